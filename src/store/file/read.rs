//! Reads, each from one snapshot of the file: the last commit.

use redb::{ReadOnlyTable, ReadTransaction};

use super::file_error::FileResult;
use super::{
    LogCursor, LogEntry, LogPage, LogPosition, ReactorsQuery, SummaryQuery, keys, log, step,
};
use crate::domain::{
    Partition, Position, PostId, Reaction, ReactionSummary, Reactor, Revision, Summary,
};
use crate::store::change_log::read_with;

type Posts = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Meta = ReadOnlyTable<&'static str, u64>;

pub(super) fn summaries(txn: &ReadTransaction, query: &SummaryQuery) -> FileResult<Vec<Summary>> {
    let posts = txn.open_table(keys::POSTS)?;
    let meta = txn.open_table(keys::META)?;
    query.posts.iter().map(|post| summary(&posts, &meta, *post, query)).collect()
}

fn summary(posts: &Posts, meta: &Meta, post: PostId, query: &SummaryQuery) -> FileResult<Summary> {
    let Some(head) = posts.get(&keys::head(post)[..])? else {
        return Ok(Summary::new(post, step::floor(meta, post.partition())?, Vec::new()));
    };
    let revision = Revision(keys::number(head.value(), "revision")?);
    let reactions = counts(posts, post)?.into_iter().map(|(reaction, count)| {
        let mine = match query.viewer {
            None => None,
            Some(user) => Some(posts.get(&keys::member(post, &reaction, user)[..])?.is_some()),
        };
        let recent = newest(posts, post, &reaction, None, query.recent)?;
        Ok(ReactionSummary { reaction, count, mine, recent })
    });
    Ok(Summary::new(post, revision, reactions.collect::<FileResult<_>>()?))
}

/// The first `take` reactors behind the position asked for, newest first.
pub(super) fn reactors(
    txn: &ReadTransaction,
    query: &ReactorsQuery,
    take: usize,
) -> FileResult<Vec<Reactor>> {
    let posts = txn.open_table(keys::POSTS)?;
    let after = query.after.as_ref();
    if let Some(reaction) = &query.reaction {
        return newest(&posts, query.post, reaction, after, take);
    }
    let mut found = Vec::new();
    for (reaction, _) in counts(&posts, query.post)? {
        found.extend(newest(&posts, query.post, &reaction, after, take)?);
    }
    found.sort_by(|a, b| b.cmp(a));
    found.truncate(take);
    Ok(found)
}

pub(super) fn changes(
    txn: &ReadTransaction,
    partition: Partition,
    after: Option<LogPosition>,
    limit: usize,
) -> FileResult<Vec<LogEntry>> {
    log::read(&txn.open_table(keys::LOG)?, partition, after, limit)
}

/// A page of a partition's log; it says whether the reader missed entries.
pub(super) fn log_page(
    txn: &ReadTransaction,
    partition: Partition,
    after: Option<LogCursor>,
    limit: usize,
) -> FileResult<LogPage> {
    let (log, meta) = (txn.open_table(keys::LOG)?, txn.open_table(keys::META)?);
    let dropped = log::dropped(&meta, partition)?;
    read_with(after, limit, |from, most| {
        Ok((dropped, log::read_from(&log, partition, from, most)?))
    })
}

/// The length of each partition's log.
pub(super) fn log_lengths(txn: &ReadTransaction) -> FileResult<log::Lengths> {
    log::Lengths::count(&txn.open_table(keys::LOG)?)
}

pub(super) fn log_end(
    txn: &ReadTransaction,
    partition: Partition,
) -> FileResult<Option<LogPosition>> {
    log::end(&txn.open_table(keys::LOG)?, partition)
}

fn counts(posts: &Posts, post: PostId) -> FileResult<Vec<(Reaction, u64)>> {
    let (from, end) = keys::counts(post);
    let found = posts.range::<&[u8]>(&from[..]..&end[..])?.map(|entry| {
        let (key, count) = entry?;
        Ok((keys::reaction_of_count(key.value())?, keys::number(count.value(), "count")?))
    });
    found.collect()
}

fn newest(
    posts: &Posts,
    post: PostId,
    reaction: &Reaction,
    after: Option<&Position>,
    take: usize,
) -> FileResult<Vec<Reactor>> {
    let (from, end) = keys::orders(post, reaction);
    // The position itself belongs to the page if it is of another reaction; see the filter below.
    let end = match after {
        None => end,
        Some(place) => {
            let mut key = keys::order(post, reaction, place.reacted_at, place.user);
            key.push(0);
            key
        }
    };
    let reactors = posts.range::<&[u8]>(&from[..]..&end[..])?.rev().map(|entry| {
        let (reacted_at, user) = keys::member_of_order(entry?.0.value(), reaction)?;
        Ok(Reactor { reacted_at, user, reaction: reaction.clone() })
    });
    let behind = |found: &FileResult<Reactor>| match (found, after) {
        (Ok(reactor), Some(after)) => reactor < after,
        _ => true,
    };
    reactors.filter(behind).take(take).collect()
}
