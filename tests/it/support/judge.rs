//! The judge of a run: taps and jobs changed the same posts at once, and the change log has to
//! explain every answer and the final state.

use std::collections::{BTreeMap, BTreeSet};

use onetap::domain::{Act, Cause, Change, Outcome, Partition, PostId, Reaction, Tap, UserId, What};
use onetap::store::{AnyStore, ChangeLog as _, ReactorsQuery, Store as _, SummaryQuery};

use super::soon;

/// A tap and what it was answered.
pub(crate) type Answered = (Tap, Outcome);

type Members = BTreeSet<(Reaction, UserId)>;

/// The change logs of these posts, in the order of their revisions.
pub(crate) async fn log_of(store: &AnyStore, posts: &[PostId]) -> BTreeMap<PostId, Vec<Change>> {
    let mut by_post: BTreeMap<PostId, Vec<Change>> =
        posts.iter().map(|post| (*post, Vec::new())).collect();
    let partitions: BTreeSet<Partition> = posts.iter().map(PostId::partition).collect();
    for partition in partitions {
        let mut after = None;
        loop {
            let page = store.read(partition, after, 5_000, soon()).await.unwrap();
            assert!(!page.gap, "the log was trimmed: the test is too large for it");
            if page.entries.is_empty() {
                break;
            }
            after = Some(page.next);
            for entry in page.entries {
                if let Some(log) = by_post.get_mut(&entry.change.post) {
                    log.push(entry.change);
                }
            }
        }
    }
    by_post
}

/// Asserts that the log of each post has rising revisions and only real changes, that a replay of
/// it gives the answer of every tap, and that it ends in the state that readers see. The posts were
/// empty before. Returns how many changes had each cause.
pub(crate) async fn assert_explained(
    store: &AnyStore,
    posts: &[PostId],
    taps: &[Answered],
) -> Causes {
    let mut causes = Causes::default();
    let mut by_post: BTreeMap<PostId, Vec<&Answered>> = BTreeMap::new();
    taps.iter().for_each(|one| by_post.entry(one.0.post).or_default().push(one));
    for (post, log) in log_of(store, posts).await {
        let mut own = by_post.remove(&post).unwrap_or_default();
        own.sort_by_key(|(_, outcome)| outcome.revision);
        let mut own = own.into_iter().peekable();
        let (mut members, mut last, mut made) = (Members::new(), 0, BTreeSet::new());
        for change in &log {
            while let Some((tap, outcome)) = own.next_if(|(_, it)| it.revision < change.revision) {
                explains(&members, &made, tap, outcome);
            }
            assert!(change.revision.0 > last, "{post}: revisions rise in the log");
            last = change.revision.0;
            let What::Reaction { user, reaction, active, cause } = &change.what else {
                panic!("{post}: {change:?}");
            };
            causes.count(*cause);
            let member = (reaction.clone(), *user);
            let flipped = if *active { members.insert(member) } else { members.remove(&member) };
            // A job that gives a reaction an older time writes an entry, too.
            let older = *active && *cause == Cause::Moderate;
            assert!(flipped || older, "{post}: a change that changed nothing: {change:?}");
            if matches!(cause, Cause::Tap) {
                made.insert((change.revision, *user, *active));
            }
        }
        for (tap, outcome) in own {
            explains(&members, &made, tap, outcome);
        }
        assert_eq!(members, members_of(store, post).await, "{post}: the list and the log differ");
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
        let summary = store.summaries(query, soon()).await.unwrap().remove(0);
        assert!(summary.revision.0 >= last, "{post}: the summary is older than the log");
        let mut counts: BTreeMap<&Reaction, u64> = BTreeMap::new();
        members.iter().for_each(|(name, _)| *counts.entry(name).or_default() += 1);
        let seen: BTreeMap<&Reaction, u64> =
            summary.reactions.iter().map(|it| (&it.reaction, it.count)).collect();
        assert_eq!(seen, counts, "{post}: counts and members differ");
    }
    causes
}

/// Asserts that the state at the revision of an answer is what the answer says.
fn explains(
    members: &Members,
    made: &BTreeSet<(onetap::domain::Revision, UserId, bool)>,
    tap: &Tap,
    outcome: &Outcome,
) {
    let Act::One(_, reaction) = &tap.act else { panic!("{tap:?}") };
    let active = members.contains(&(reaction.clone(), tap.user));
    let count = members.iter().filter(|(name, _)| name == reaction).count() as u64;
    assert_eq!((outcome.active, outcome.count), (active, count), "{tap:?}: {outcome:?}");
    let logged = made.contains(&(outcome.revision, tap.user, outcome.active));
    assert!(!outcome.changed || logged, "not in the log: {tap:?}: {outcome:?}");
}

/// All members of a post.
pub(crate) async fn members_of(store: &AnyStore, post: PostId) -> Members {
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 1_000_000 };
    let listed = store.reactors(query, soon()).await.unwrap().reactors;
    listed.into_iter().map(|reactor| (reactor.reaction, reactor.user)).collect()
}

/// How many changes had each cause.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    pub(crate) taps: usize,
    pub(crate) erased: usize,
    pub(crate) moderated: usize,
}

impl Causes {
    fn count(&mut self, cause: Cause) {
        match cause {
            Cause::Tap | Cause::Replace => self.taps += 1,
            Cause::Erase => self.erased += 1,
            Cause::Moderate => self.moderated += 1,
            Cause::Import => {}
        }
    }
}
