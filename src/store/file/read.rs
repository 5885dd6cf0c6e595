//! Reads, each from one snapshot of the file: the last commit.

use std::collections::HashMap;

use redb::{ReadOnlyTable, ReadTransaction};

use super::file_error::FileResult;
use super::keys::{self, Set};
use super::values::{Counted, Head};
use super::{LogCursor, LogEntry, LogPage, LogPosition, ReactorsQuery, SummaryQuery};
use super::{log, seen, sweep};
use crate::domain::{
    MOST_NAMED, Partition, Position, PostId, ReactionSummary, Reactor, Rules, Summary,
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
        let floor = seen::floor(meta, post.partition())?;
        return Ok(Summary::new(post, floor, Rules::default(), Vec::new()));
    };
    let Head { revision, rules, .. } = Head::decode(head.value())?;
    let (mut sets, mut reactions) = (HashMap::new(), Vec::new());
    for (set, count) in counts(posts, post)? {
        let mine = match query.viewer {
            None => None,
            Some(user) => Some(posts.get(&set.member(user)[..])?.is_some()),
        };
        let reaction = set.reaction.clone();
        sets.insert(reaction.clone(), set);
        reactions.push(ReactionSummary { reaction, count, mine, recent: Vec::new() });
    }
    let mut summary = Summary::new(post, revision, rules, reactions);
    if query.recent > 0 {
        for named in summary.reactions.iter_mut().take(MOST_NAMED) {
            if let Some(set) = sets.get(&named.reaction) {
                named.recent = newest(posts, set, None, query.recent)?;
            }
        }
    }
    Ok(summary)
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
        let Some(count) = posts.get(&keys::count(query.post, reaction)[..])? else {
            return Ok(Vec::new());
        };
        let Counted { generation, .. } = Counted::decode(count.value())?;
        let set = Set { post: query.post, reaction: reaction.clone(), generation };
        return newest(&posts, &set, after, take);
    }
    let mut found = Vec::new();
    for (set, _) in counts(&posts, query.post)? {
        found.extend(newest(&posts, &set, after, take)?);
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

/// The cursor behind the newest entry of a log.
pub(super) fn newest_change(txn: &ReadTransaction, partition: Partition) -> FileResult<LogCursor> {
    let (log, meta) = (txn.open_table(keys::LOG)?, txn.open_table(keys::META)?);
    let before = log::dropped(&meta, partition)?;
    let Some(end) = log::end(&log, partition)? else { return Ok(LogCursor::behind(before, &[])) };
    let last = log::read_from(&log, partition, Some(end), 1)?;
    let length = log::length(&log, partition)?;
    Ok(LogCursor::behind(before + length.saturating_sub(last.len() as u64), &last))
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

/// Whether the file has entries of sets that are forgotten.
pub(super) fn has_forgotten(txn: &ReadTransaction) -> FileResult<bool> {
    sweep::next_forgotten(&txn.open_table(keys::POSTS)?).map(|set| set.is_some())
}

fn counts(posts: &Posts, post: PostId) -> FileResult<Vec<(Set, u64)>> {
    let (from, end) = keys::counts(post);
    let found = posts.range::<&[u8]>(&from[..]..&end[..])?.map(|entry| {
        let (key, value) = entry?;
        let reaction = keys::reaction_of_count(key.value())?;
        let Counted { count, generation } = Counted::decode(value.value())?;
        Ok((Set { post, reaction, generation }, count))
    });
    found.collect()
}

fn newest(
    posts: &Posts,
    set: &Set,
    after: Option<&Position>,
    take: usize,
) -> FileResult<Vec<Reactor>> {
    let (from, end) = set.orders();
    // The position itself belongs to the page if it is of another reaction; see the filter below.
    let end = match after {
        None => end,
        Some(place) => {
            let mut key = set.order(place.reacted_at, place.user);
            key.push(0);
            key
        }
    };
    let reactors = posts.range::<&[u8]>(&from[..]..&end[..])?.rev().map(|entry| {
        let (reacted_at, user) = set.member_of_order(entry?.0.value())?;
        Ok(Reactor { reacted_at, user, reaction: set.reaction.clone() })
    });
    let behind = |found: &FileResult<Reactor>| match (found, after) {
        (Ok(reactor), Some(after)) => reactor < after,
        _ => true,
    };
    reactors.filter(behind).take(take).collect()
}
