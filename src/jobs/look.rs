//! Looking for what the next step has to change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::job::{Job, Lists};
use super::plan::{Item, Names, Pending, Place, Plan, STEP, STEP_WITH_LISTS};
use super::task::Task;
use crate::domain::{Exclusive, Group, Palettes, PostId, Reaction, Reactor, Summary, UserId};
use crate::store::{
    AnyStore, Deadline, Maintenance as _, ReactorsQuery, Store as _, StoreError, SummaryQuery,
    WalkCursor, WalkedPost,
};

/// How many posts a call of the store reads, and how many a page of a walk should have.
const PAGE: usize = 100;

/// The most reactions of a post that an audit looks for in one go, beyond those that are counted.
const MOST_SEEN: usize = 50;

/// How many calls of the store a step makes at most to look for something.
const MOST_READS: usize = 100;

/// How long a call of the store may take. Nobody waits for a job.
pub(super) fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

/// Looks for what a job has to change.
pub(super) struct Look<'a> {
    pub(super) store: &'a AnyStore,
    pub(super) palettes: &'a Palettes,
    pub(super) job: &'a Job,
    pub(super) lists: &'a Lists,
    /// How much to look at, at most.
    pub(super) most: usize,
}

impl Look<'_> {
    /// The next step.
    pub(super) async fn plan(&self) -> Result<Plan, StoreError> {
        let mut plan = Plan { next: self.job.place.clone(), ..Plan::default() };
        match &self.job.task {
            Task::Audit { .. } => self.audit(&mut plan).await?,
            Task::Erase { user } | Task::MergeUser { from: user, .. } => {
                self.given(&[*user], &mut plan).await?;
            }
            Task::Retract { .. } => self.given(&self.lists.users, &mut plan).await?,
            Task::Rename { .. } | Task::CopyPost { .. } | Task::MovePost { .. } => {
                self.members(&mut plan).await?;
            }
        }
        self.exclude(&mut plan).await?;
        Ok(plan)
    }

    /// How many reactions a step may have.
    fn step(&self) -> usize {
        let everything =
            |palette: &crate::domain::Palette| matches!(palette.exclusive(), Exclusive::Everything);
        let lists = self.palettes.iter().any(everything);
        self.most.min(if lists { STEP_WITH_LISTS } else { STEP })
    }

    /// The next of what these users gave.
    async fn given(&self, users: &[UserId], plan: &mut Plan) -> Result<(), StoreError> {
        let posts: HashSet<PostId> = self.lists.posts.iter().copied().collect();
        let listed = matches!(self.job.task, Task::Retract { listed: true, .. });
        for _ in 0..MOST_READS {
            let left = plan.room_for(self.step());
            let Some(user) = users.get(plan.next.nth) else { break };
            if left == 0 {
                return Ok(());
            }
            let after = plan.next.given.clone().map(Into::into);
            let page = self.store.given(*user, after, left, patience()).await?;
            for given in &page.given {
                let about = self.job.task.is_about(&given.reaction, given.reacted_at);
                let here = !listed || posts.contains(&given.post);
                if about && here && self.job.takes(given.reacted_at) {
                    plan.add(Item {
                        post: given.post,
                        user: *user,
                        reaction: given.reaction.clone(),
                        at: given.reacted_at.0,
                        excluded: None,
                    });
                }
            }
            if let Some(last) = page.given.last() {
                plan.next.given = Some(last.into());
            }
            if !page.more {
                (plan.next.nth, plan.next.given) = (plan.next.nth + 1, None);
                plan.looked += 1;
            }
        }
        plan.ends_pass = plan.next.nth >= users.len();
        Ok(())
    }

    /// The next members of the posts that the task is about.
    async fn members(&self, plan: &mut Plan) -> Result<(), StoreError> {
        let reaction = match &self.job.task {
            Task::Rename { from, .. } => Some(from.clone()),
            _ => None,
        };
        let mut begun = HashSet::new();
        for _ in 0..MOST_READS {
            let left = plan.room_for(self.step());
            if left == 0 || plan.looked as usize >= self.most {
                return Ok(());
            }
            let Some(pending) = plan.next.pending.front_mut() else {
                if !self.more_posts(plan).await? {
                    plan.ends_pass = true;
                    return Ok(());
                }
                continue;
            };
            let post = pending.post;
            // A walk may come by a post again, before this step has changed it.
            if pending.after.is_none() && !begun.insert(post) {
                plan.next.pending.pop_front();
                continue;
            }
            let after = pending.after.clone().map(Reactor::from);
            let query = ReactorsQuery { post, reaction: reaction.clone(), after, limit: left };
            let read = self.store.reactors(query, patience()).await;
            let page = match read {
                Ok(page) => page,
                Err(StoreError::Damaged(why)) => {
                    plan.note_damage(Some(post), &why);
                    plan.next.pending.pop_front();
                    continue;
                }
                Err(error) => return Err(error),
            };
            match page.next() {
                Some(last) => pending.after = Some(last.into()),
                None => drop(plan.next.pending.pop_front()),
            }
            for Reactor { reacted_at, user, reaction } in page.reactors {
                if self.job.takes(reacted_at) {
                    let at = reacted_at.0;
                    plan.add(Item { post, user, reaction, at, excluded: None });
                }
            }
        }
        Ok(())
    }

    /// Finds the next posts that the task is about. Returns whether there may be more.
    async fn more_posts(&self, plan: &mut Plan) -> Result<bool, StoreError> {
        match &self.job.task {
            Task::CopyPost { from, .. } | Task::MovePost { from, .. } => {
                if plan.next.nth > 0 {
                    return Ok(false);
                }
                plan.next.nth = 1;
                plan.next.pending.push_back(Pending::new(*from, Vec::new()));
                return Ok(true);
            }
            Task::Rename { from, listed, .. } => {
                let posts = match listed {
                    true => self.listed(&mut plan.next),
                    false => self.walked(plan).await?.map(|seen| {
                        let once: HashSet<PostId> = seen.iter().map(|it| it.post).collect();
                        once.into_iter().collect()
                    }),
                };
                let Some(posts) = posts else { return Ok(false) };
                plan.looked += posts.len() as u64;
                for summary in self.summaries(&posts, plan).await? {
                    if summary.reactions.iter().any(|counted| counted.reaction == *from) {
                        plan.next.pending.push_back(Pending::new(summary.post, Vec::new()));
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The next of the posts that the job lists.
    fn listed(&self, place: &mut Place) -> Option<Vec<PostId>> {
        let posts = self.lists.posts.get(place.nth..).filter(|rest| !rest.is_empty())?;
        let posts: Vec<PostId> = posts.iter().take(PAGE).copied().collect();
        place.nth += posts.len();
        Some(posts)
    }

    /// The next posts of a walk; None at its end. A post of which the walk has seen many reactions
    /// comes several times, with some of them each.
    pub(super) async fn walked(&self, plan: &mut Plan) -> Result<Option<Vec<Pending>>, StoreError> {
        if plan.next.walked {
            return Ok(None);
        }
        let after = plan.next.walk.take().map(WalkCursor);
        let page = self.store.walk(after, PAGE, patience()).await?;
        plan.next.walked = page.next.is_none();
        plan.next.walk = page.next.map(|WalkCursor(text)| text);
        page.damaged.iter().for_each(|why| plan.note_damage(None, why));
        let mut once = HashSet::new();
        let posts = page.posts.into_iter().filter(|walked| once.insert(walked.post));
        let (own, by_members): (Vec<_>, Vec<_>) = posts.partition(|walked| walked.own);
        let by_members = self.uncounted(by_members).await?;
        let posts =
            own.into_iter().chain(by_members).flat_map(|WalkedPost { post, seen, .. }| {
                let more = seen.chunks(MOST_SEEN).skip(1).map(<[_]>::to_vec).collect::<Vec<_>>();
                let first = seen.into_iter().take(MOST_SEEN).collect();
                std::iter::once(first).chain(more).map(move |seen| Pending::new(post, seen))
            });
        Ok(Some(posts.collect()))
    }

    /// Of posts that a walk came by at members of theirs, those with a reaction that no count
    /// names. The walk comes by the others themselves.
    async fn uncounted(&self, posts: Vec<WalkedPost>) -> Result<Vec<WalkedPost>, StoreError> {
        let ids: Vec<PostId> = posts.iter().map(|walked| walked.post).collect();
        let mut read = Plan::default();
        let counted: HashSet<(PostId, Reaction)> = self
            .summaries(&ids, &mut read)
            .await?
            .into_iter()
            .flat_map(|it| it.reactions.into_iter().map(move |one| (it.post, one.reaction)))
            .collect();
        let is_counted = |post, name: &Reaction| counted.contains(&(post, name.clone()));
        let uncounted = |it: &WalkedPost| !it.seen.iter().all(|name| is_counted(it.post, name));
        Ok(posts.into_iter().filter(uncounted).collect())
    }

    /// The summaries of these posts. Damaged posts are left out, and noted in the plan.
    pub(super) async fn summaries(
        &self,
        posts: &[PostId],
        plan: &mut Plan,
    ) -> Result<Vec<Summary>, StoreError> {
        let mut all = Vec::new();
        let read = async |posts: &[PostId]| {
            let query = SummaryQuery { posts: posts.to_vec(), viewer: None, recent: 0 };
            self.store.summaries(query, patience()).await
        };
        for part in posts.chunks(PAGE) {
            match read(part).await {
                Ok(summaries) => all.extend(summaries),
                // It names one post; the others are sound, as far as we know.
                Err(StoreError::Damaged(_)) => {
                    for post in part {
                        match read(&[*post]).await {
                            Ok(summaries) => all.extend(summaries),
                            Err(StoreError::Damaged(why)) => {
                                plan.note_damage(Some(*post), &why);
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Notes for each reaction of the plan what excludes the one that it becomes.
    async fn exclude(&self, plan: &mut Plan) -> Result<(), StoreError> {
        let nothing = self.palettes.iter().all(|it| *it.exclusive() == Exclusive::Nothing);
        let gives = !matches!(self.job.task, Task::Erase { .. } | Task::Retract { .. });
        if nothing || !gives || plan.items.is_empty() {
            return Ok(());
        }
        let posts: BTreeSet<PostId> =
            plan.items.iter().map(|item| self.job.task.target(item).0).collect();
        let posts: Vec<PostId> = posts.into_iter().collect();
        let summaries = self.summaries(&posts, plan).await?;
        let by_post: HashMap<PostId, Summary> =
            summaries.into_iter().map(|summary| (summary.post, summary)).collect();
        let task = &self.job.task;
        // What excludes a reaction on a damaged post is not known.
        plan.retain(|item| by_post.contains_key(&task.target(item).0));
        let mut known: HashMap<Vec<Reaction>, usize> = HashMap::new();
        for item in &mut plan.items {
            let (post, _, reaction) = self.job.task.target(item);
            let Some(summary) = by_post.get(&post) else { continue };
            let names = excluded(self.palettes, summary, &reaction);
            if names.is_empty() {
                continue;
            }
            let next = known.len();
            item.excluded = Some(*known.entry(names.clone()).or_insert(next));
            if known.len() > plan.excluded.len() {
                plan.excluded.push(Names { names });
            }
        }
        Ok(())
    }

    /// How much there is to do, if a few reads tell; and the newest time that there is.
    pub(super) async fn extent(&self) -> Result<(Option<u64>, u64), StoreError> {
        match &self.job.task {
            Task::Erase { user } | Task::MergeUser { from: user, .. } => {
                let (mut count, mut newest, mut after) = (0, 0, None);
                loop {
                    let page = self.store.given(*user, after, 1000, patience()).await?;
                    count += page.given.len() as u64;
                    newest = page.given.first().map_or(newest, |it| newest.max(it.reacted_at.0));
                    after = page.given.last().cloned();
                    if !page.more {
                        return Ok((Some(count), newest));
                    }
                }
            }
            Task::Retract { .. } => Ok((Some(self.lists.users.len() as u64), 0)),
            Task::Rename { listed: true, .. } => Ok((Some(self.lists.posts.len() as u64), 0)),
            Task::CopyPost { from, .. } | Task::MovePost { from, .. } => {
                let summaries = self.summaries(&[*from], &mut Plan::default()).await?;
                Ok((summaries.first().map(Summary::total), 0))
            }
            Task::Rename { .. } | Task::Audit { .. } => Ok((None, 0)),
        }
    }
}

impl Task {
    /// What a reaction becomes.
    pub(super) fn target(&self, item: &Item) -> (PostId, UserId, Reaction) {
        let reaction = item.reaction.clone();
        match self {
            Self::Rename { to, .. } => (item.post, item.user, to.clone()),
            Self::MergeUser { to, .. } => (item.post, *to, reaction),
            Self::CopyPost { to, .. } | Self::MovePost { to, .. } => (*to, item.user, reaction),
            _ => (item.post, item.user, reaction),
        }
    }
}

/// The reactions that exclude this one on a post.
fn excluded(palettes: &Palettes, summary: &Summary, reaction: &Reaction) -> Vec<Reaction> {
    let palette = palettes.of(&summary.rules);
    let mut names: Vec<Reaction> = match palette.verdict(reaction).group {
        Group::None => Vec::new(),
        Group::Of(group) => group.to_vec(),
        // What nobody had a moment ago can only be newer, and a tap on it saw the palette.
        Group::All => summary.reactions.iter().map(|counted| counted.reaction.clone()).collect(),
    };
    names.retain(|name| name != reaction);
    names.sort_unstable();
    names.truncate(crate::domain::MOST_NAMED);
    names
}
