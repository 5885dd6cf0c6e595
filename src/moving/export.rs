//! Everything that a store has, ordered by post, user and reaction, also while it serves.
//!
//! A walk gives the posts in no order, so their ids are sorted first, outside memory. Then the
//! posts are read, a few at a time. The reader of the export decides the speed: a bounded channel
//! is between the two.

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::input::InputError;
use super::retry::patiently;
use super::row::{Grouping, Key, Line, Names, Row};
use super::sorted::{Sorted, Sorter};
use crate::domain::{Position, PostId, Reactor, Rules, Summary};
use crate::store::{
    AnyStore, Maintenance as _, ReactorsQuery, Store as _, StoreError, SummaryQuery, WalkPage,
};

/// How many posts of a walk are asked for at a time.
const WALK: usize = 1000;

/// How many posts are read together, and how many of them at a time.
const POSTS: usize = 100;
const AT_A_TIME: usize = 8;

/// How many reactors are read at a time.
const PAGE: usize = 1000;

/// A post with more members than this is sorted outside memory.
const MANY: u64 = 10_000;

/// How many lines travel together, and how many such parts wait for the reader.
pub(crate) const TOGETHER: usize = 1000;
/// How many parts wait for the reader of an export.
pub const WAITING: usize = 4;

/// One line of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The rules of a post that has other ones than the default.
    Rules(PostId, Rules),
    /// A member; for an export of changes also one that is gone.
    Member(Moved),
    /// All members of a post, or of one reaction of it, were removed together.
    Forgotten(PostId, Option<crate::domain::Reaction>),
}

/// A member, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The post.
    pub post: PostId,
    /// The user, the reaction, and when the user reacted. For a member that is gone: when it went.
    pub reactor: Reactor,
    /// Whether the user has the reaction.
    pub active: bool,
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store does not answer, or is damaged.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Temporary files cannot be written.
    #[error(transparent)]
    Sorting(#[from] InputError),
    /// The reader has gone away.
    #[error("the reader has gone away")]
    Gone,
}

impl From<std::io::Error> for ExportError {
    fn from(error: std::io::Error) -> Self {
        Self::Sorting(InputError::Sorting(error))
    }
}

/// The parts of an export. Dropping the receiver ends it.
pub(crate) type Parts = mpsc::Sender<Vec<Exported>>;

/// Sends lines in parts.
pub(crate) struct Outlet {
    parts: Parts,
    part: Vec<Exported>,
}

impl Outlet {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, part: Vec::new() }
    }

    pub(crate) async fn send(&mut self, line: Exported) -> Result<(), ExportError> {
        self.part.push(line);
        if self.part.len() >= TOGETHER { self.flush().await } else { Ok(()) }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), ExportError> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.part);
        self.parts.send(part).await.map_err(|_| ExportError::Gone)
    }
}

/// Sends everything that the store has.
///
/// # Errors
///
/// If the store does not answer for half a minute, or the receiver is gone.
pub async fn export(store: &AnyStore, parts: Parts) -> Result<(), ExportError> {
    let mut outlet = Outlet::new(parts);
    let mut posts = chunks(all_posts(store, &outlet).await?);
    while let Some(posts) = posts.recv().await {
        let posts = posts?;
        let query = SummaryQuery { posts, viewer: None, recent: 0 };
        let summaries = patiently(|deadline| store.summaries(query.clone(), deadline)).await?;
        let small = |summary: &Summary| (1..=PAGE as u64).contains(&summary.total());
        let wanted: Vec<_> = summaries.iter().map(|it| small(it).then_some(it.post)).collect();
        // Tasks of their own: nobody polls the stream while a large post is read, and a read that
        // nobody polls would keep its turn in a store file.
        let mut pages = futures_util::stream::iter(wanted)
            .map(|post| tokio::spawn(first_page(store.clone(), post)))
            .buffered(AT_A_TIME);
        for summary in &summaries {
            if !summary.rules.is_default() {
                outlet.send(Exported::Rules(summary.post, summary.rules.clone())).await?;
            }
            match pages.next().await.transpose().map_err(std::io::Error::other)?.transpose()? {
                Some(Some(reactors)) => members(summary.post, reactors, &mut outlet).await?,
                _ if summary.reactions.is_empty() => {}
                _ => many(store, summary, &mut outlet).await?,
            }
        }
    }
    outlet.flush().await
}

/// The members of a small post. None if they do not fit into a page, or none are wanted.
async fn first_page(
    store: AnyStore,
    post: Option<PostId>,
) -> Result<Option<Vec<Reactor>>, ExportError> {
    let Some(post) = post else { return Ok(None) };
    let mut pages = Pages::of(&store, post);
    let page = pages.next().await?;
    Ok(page.filter(|_| pages.ended))
}

/// All reactors of a post, newest first, a page at a time.
pub(crate) struct Pages<'a> {
    store: &'a AnyStore,
    post: PostId,
    after: Option<Position>,
    ended: bool,
}

impl<'a> Pages<'a> {
    pub(crate) fn of(store: &'a AnyStore, post: PostId) -> Self {
        Self { store, post, after: None, ended: false }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Reactor>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let (store, after) = (self.store, self.after.take());
        let query = ReactorsQuery { post: self.post, reaction: None, after, limit: PAGE };
        let page = patiently(|deadline| store.reactors(query.clone(), deadline)).await?;
        self.after = page.next().cloned();
        self.ended = self.after.is_none();
        Ok(Some(page.reactors))
    }
}

async fn members(
    post: PostId,
    mut reactors: Vec<Reactor>,
    outlet: &mut Outlet,
) -> Result<(), ExportError> {
    reactors.sort_by(|a, b| (a.user, &a.reaction).cmp(&(b.user, &b.reaction)));
    for reactor in reactors {
        outlet.send(Exported::Member(Moved { post, reactor, active: true })).await?;
    }
    Ok(())
}

pub(crate) async fn many(
    store: &AnyStore,
    summary: &Summary,
    outlet: &mut Outlet,
) -> Result<(), ExportError> {
    let (post, mut pages) = (summary.post, Pages::of(store, summary.post));
    if summary.total() <= MANY {
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            all.extend(page);
        }
        return members(post, all, outlet).await;
    }
    let (keys, sorted) = sorter();
    let key = |reactor: Reactor| {
        let Reactor { reacted_at: at, user, reaction } = reactor;
        let row = Row { post, user, reaction, at, active: true };
        Key::new(&Line::Member(row), 0, Grouping::Posts)
    };
    while let Some(page) = pages.next().await? {
        let page = page.into_iter().map(key).collect();
        keys.send(page).await.map_err(|_| ExportError::Gone)?;
    }
    drop(keys);
    let mut names = Names::default();
    let mut lines = in_parts(joined(sorted).await?, |keys| keys);
    while let Some(keys) = lines.recv().await {
        for key in keys? {
            if let Some(Line::Member(row)) = key.line(&mut names) {
                let Row { user, reaction, at: reacted_at, .. } = row;
                let reactor = Reactor { reacted_at, user, reaction };
                outlet.send(Exported::Member(Moved { post, reactor, active: true })).await?;
            }
        }
    }
    Ok(())
}

pub(crate) type Sorting = tokio::task::JoinHandle<Result<Sorted, InputError>>;

/// Sorts keys on a thread that may wait for a disk. Ends when the sender is dropped.
pub(crate) fn sorter() -> (mpsc::Sender<Vec<Key>>, Sorting) {
    let (sender, mut receiver) = mpsc::channel::<Vec<Key>>(WAITING);
    let sorted = tokio::task::spawn_blocking(move || {
        let mut sorter = Sorter::new();
        while let Some(keys) = receiver.blocking_recv() {
            keys.into_iter().try_for_each(|key| sorter.push(key))?;
        }
        sorter.done()
    });
    (sender, sorted)
}

pub(crate) async fn joined(sorted: Sorting) -> Result<Sorted, ExportError> {
    let sorted = sorted.await.map_err(|error| ExportError::from(std::io::Error::other(error)))?;
    Ok(sorted?)
}

/// Gives sorted keys in parts, from a thread that may wait for a disk. Of equal keys it gives one.
pub(crate) fn in_parts<T: Send + 'static>(
    sorted: Sorted,
    part: impl Fn(Vec<Key>) -> T + Send + 'static,
) -> mpsc::Receiver<std::io::Result<T>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let (mut keys, mut last) = (Vec::new(), None::<Key>);
        for key in sorted {
            match key {
                Ok(key) if last.as_ref() == Some(&key) => continue,
                Ok(key) => {
                    last = Some(key.clone());
                    keys.push(key);
                }
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
            if keys.len() >= POSTS
                && sender.blocking_send(Ok(part(std::mem::take(&mut keys)))).is_err()
            {
                return;
            }
        }
        if !keys.is_empty() {
            let _ = sender.blocking_send(Ok(part(keys)));
        }
    });
    receiver
}

/// The ids of all posts, sorted; one may come twice.
async fn all_posts(store: &AnyStore, outlet: &Outlet) -> Result<Sorted, ExportError> {
    let (keys, sorted) = sorter();
    let mut after = None;
    loop {
        // A walk over a large store takes a while, in which the reader may go away.
        if outlet.parts.is_closed() {
            return Err(ExportError::Gone);
        }
        let WalkPage { posts, damaged, next } =
            patiently(|deadline| store.walk(after.clone(), WALK, deadline)).await?;
        // An export that says nothing about what it lacks would pass for a whole one.
        if let Some(why) = damaged.into_iter().next() {
            return Err(StoreError::Damaged(why).into());
        }
        let posts = posts.into_iter().map(|walked| Key::of_post(walked.post)).collect();
        if keys.send(posts).await.is_err() {
            break;
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    drop(keys);
    joined(sorted).await
}

/// The keys of one post after the other, each sorted, from a thread that may wait for a disk.
pub(crate) fn whole_posts(sorted: Sorted) -> mpsc::Receiver<std::io::Result<Vec<Key>>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut keys: Vec<Key> = Vec::new();
        for key in sorted {
            let ended = match &key {
                Ok(key) => keys.first().is_some_and(|first| !first.same_post(key)),
                Err(_) => true,
            };
            if ended && sender.blocking_send(Ok(std::mem::take(&mut keys))).is_err() {
                return;
            }
            match key {
                Ok(key) => keys.push(key),
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            }
        }
        let _ = sender.blocking_send(Ok(keys));
    });
    receiver
}

fn chunks(sorted: Sorted) -> mpsc::Receiver<std::io::Result<Vec<PostId>>> {
    in_parts(sorted, |keys| keys.iter().filter_map(Key::post).collect())
}
