//! What one lock guards: the posts of a partition, the log of their changes, the records of keys.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{LogEntry, LogPosition, Retention};
use crate::domain::machine::Post;
use crate::domain::{
    Change, KeyReused, Micros, Outcome, Position, PostId, Reaction, Reactor, Records, Summary, Tap,
    UserId,
};

#[derive(Debug)]
pub(super) struct PartitionState {
    posts: HashMap<PostId, Post>,
    log: VecDeque<LogEntry>,
    log_retention: Duration,
    records: Records,
}

impl PartitionState {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            posts: HashMap::new(),
            log: VecDeque::new(),
            log_retention: retention.change_log,
            records: Records::new(retention.records),
        }
    }

    pub(super) fn tap(&mut self, tap: &Tap, now: Micros) -> Result<Outcome, KeyReused> {
        if let Some(answered) = self.records.find(tap, now)? {
            return Ok(answered);
        }
        // A tap that changes nothing must not leave an empty post behind.
        let (outcome, change) = match self.posts.get_mut(&tap.post) {
            Some(post) => post.apply(tap, now),
            None => {
                let mut post = Post::default();
                let applied = post.apply(tap, now);
                if applied.1.is_some() {
                    self.posts.insert(tap.post, post);
                }
                applied
            }
        };
        if let Some(change) = change {
            self.append(change, now);
        }
        self.records.keep(tap, outcome, now);
        Ok(outcome)
    }

    pub(super) fn summary(
        &self,
        post: PostId,
        viewer: Option<UserId>,
        recent: usize,
        now: Micros,
    ) -> Summary {
        match self.posts.get(&post) {
            Some(state) => state.summary(post, viewer, recent, now),
            None => Post::default().summary(post, viewer, recent, now),
        }
    }

    pub(super) fn reactors(
        &self,
        post: PostId,
        reaction: Option<&Reaction>,
        after: Option<&Position>,
        take: usize,
    ) -> Vec<Reactor> {
        self.posts.get(&post).map_or_else(Vec::new, |post| post.reactors(reaction, after, take))
    }

    pub(super) fn changes(&self, after: Option<LogPosition>, limit: usize) -> Vec<LogEntry> {
        let start = self.log.partition_point(|entry| Some(entry.position) <= after);
        self.log.range(start..).take(limit).cloned().collect()
    }

    pub(super) fn log_end(&self) -> Option<LogPosition> {
        self.log.back().map(|entry| entry.position)
    }

    /// Appends an entry and drops those that are too old. Places rise also when the clock goes
    /// back, so it is the times of the changes that tell.
    fn append(&mut self, change: Change, now: Micros) {
        let millis = now.0 / 1000;
        let position = match self.log.back() {
            Some(LogEntry { position: last, .. }) if last.millis >= millis => {
                LogPosition { millis: last.millis, sequence: last.sequence + 1 }
            }
            _ => LogPosition { millis, sequence: 0 },
        };
        self.log.push_back(LogEntry { position, change });
        let is_old = |entry: &LogEntry| entry.change.occurred_at.is_old(now, self.log_retention);
        while self.log.front().is_some_and(is_old) {
            self.log.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verb;

    #[test]
    fn the_log_drops_what_is_older_than_it_keeps() {
        let change_log = Duration::from_millis(10);
        let mut state = PartitionState::new(Retention { change_log, ..Retention::default() });
        let tap = Tap {
            post: "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id"),
            user: 7.try_into().expect("a user id"),
            reaction: "like".parse().expect("a reaction"),
            verb: Verb::Toggle,
            keyed: None,
        };
        let mut kept_after = |millis: u64| {
            state.tap(&tap, Micros(millis * 1000)).expect("a tap without a key");
            let kept = state.changes(None, 9).into_iter().map(|entry| entry.position.millis);
            kept.collect::<Vec<_>>()
        };
        assert_eq!(kept_after(100), [100]);
        assert_eq!(kept_after(110), [100, 110]);
        assert_eq!(kept_after(111), [110, 111]);
        // A clock that goes back drops nothing, and places go on.
        assert_eq!(kept_after(105), [110, 111, 111]);
        assert_eq!(kept_after(900), [900]);
        // Unless it had been further ahead than anything is kept: then no entry would ever go.
        assert_eq!(kept_after(120), [900]);
        assert_eq!(kept_after(130), [900, 900]);
        assert_eq!(kept_after(131), [900, 900]);
        assert_eq!(kept_after(901), [901]);
    }
}
