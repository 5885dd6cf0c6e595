//! The state behind one lock: the posts of a partition, its change log and its idempotency records.

use std::collections::{HashMap, VecDeque};

use super::entry::KeptEntry;
use super::given::GivenIndex;
use super::kept::Kept;
use super::{LogCursor, LogEntry, LogPosition, Retention, StoreError};
use crate::domain::machine::{Gone, Post};
use crate::domain::{
    Act, Amended, Change, Forget, Forgotten, ImportMark, KeyReused, Micros, Outcome, Position,
    PostId, Reaction, Reactor, Records, Revision, Ruled, RulesEdit, StepToken, Summary, Tap,
    UserId,
};
use crate::store::{MARKS_KEPT, STEPS_KEPT};

/// Bytes of each item in memory, the allocator's overhead included; measured by `benches/memory`.
const POST_BYTES: u64 = 240;
const REACTION_BYTES: u64 = 320;
const MEMBER_BYTES: u64 = 80;
const ENTRY_BYTES: u64 = 160;
/// What a text id takes besides.
const TEXT_ID_BYTES: u64 = 80;
const RECORD_BYTES: u64 = 200;
/// What a step leaves: the mark of an import, or the answer to a step of a job without its
/// outcomes, which take a byte each.
const STEP_BYTES: u64 = 200;

/// While memory is full, each new entry replaces the oldest one, but the log keeps this many. A
/// follower must be able to notice that it missed some.
const KEPT_WHEN_FULL: usize = 128;

/// How much memory is left for the whole store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Nothing may be added. Removals go on, without idempotency records.
    None,
    /// Only the records of removals may be added.
    Reserve,
    /// Enough.
    Free,
}

#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) posts: HashMap<PostId, Post>,
    /// The greatest revision of any post that became empty.
    pub(super) floor: Revision,
    log: VecDeque<KeptEntry>,
    /// How many text ids the entries have.
    log_text_ids: u64,
    /// How many entries the log has dropped.
    dropped: u64,
    records: Records,
    pub(super) given: GivenIndex,
    pub(super) marks: Kept<PostId, ImportMark>,
    pub(super) steps: Kept<StepToken, Amended>,
    /// How many outcomes the answers to steps have.
    pub(super) outcomes: u64,
    retention: Retention,
    /// The bytes of posts and their members.
    state_bytes: u64,
}

impl PartitionState {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            posts: HashMap::new(),
            floor: Revision::default(),
            log: VecDeque::new(),
            log_text_ids: 0,
            dropped: 0,
            records: Records::new(retention.records),
            given: GivenIndex::default(),
            marks: Kept::new(MARKS_KEPT),
            steps: Kept::new(STEPS_KEPT),
            outcomes: 0,
            retention,
            state_bytes: 0,
        }
    }

    /// About how many bytes the partition takes.
    pub(super) fn bytes(&self) -> u64 {
        let (entries, records) = (self.log.len() as u64, self.records.units());
        let log = entries * ENTRY_BYTES + self.log_text_ids * TEXT_ID_BYTES;
        let steps = (self.marks.writes() + self.steps.writes()) * STEP_BYTES + self.outcomes;
        self.state_bytes + self.given.bytes() + log + records * RECORD_BYTES + steps
    }

    pub(super) fn tap(
        &mut self,
        tap: &Tap,
        now: Micros,
        room: Room,
    ) -> Result<Outcome, StoreError> {
        let answered = self.records.find(tap, now).map_err(|KeyReused| StoreError::KeyReused)?;
        if let Some(answered) = answered {
            return Ok(answered);
        }
        if room < Room::Free && !self.is_removal(tap, room) {
            return Err(StoreError::Overloaded);
        }
        let (outcome, changes) = self.on_post(tap.post, |post, floor| {
            post.apply(tap, now, floor).map_err(StoreError::Refused)
        })?;
        if outcome.changed {
            self.hint(tap.post, tap.user, outcome.active);
        }
        changes.into_iter().for_each(|change| self.append(change, now, room));
        self.records.keep(tap, outcome.clone(), now);
        Ok(outcome)
    }

    /// Changes the rules of a post. A full memory refuses this, as it refuses a tap that adds.
    pub(super) fn rule(
        &mut self,
        edit: &RulesEdit,
        now: Micros,
        room: Room,
    ) -> Result<Ruled, StoreError> {
        if room < Room::Free {
            return Err(StoreError::Overloaded);
        }
        let (ruled, change) = self.on_post(edit.post, |post, floor| post.rule(edit, now, floor));
        change.into_iter().for_each(|change| self.append(change, now, room));
        Ok(ruled)
    }

    /// Removes members. Returns them, too, for the caller to drop without the lock.
    pub(super) fn forget(&mut self, forget: &Forget, now: Micros, room: Room) -> (Forgotten, Gone) {
        let (forgotten, change, gone) =
            self.on_post(forget.post, |post, floor| post.forget(forget, now, floor));
        change.into_iter().for_each(|change| self.append(change, now, room));
        if forget.reaction.is_none() {
            self.marks.remove(&forget.post);
        }
        (forgotten, gone)
    }

    /// Runs a step on a post, and counts the bytes that it adds or removes.
    pub(super) fn on_post<R>(
        &mut self,
        id: PostId,
        step: impl FnOnce(&mut Post, Revision) -> R,
    ) -> R {
        let mut post = self.posts.remove(&id).unwrap_or_default();
        let before = bytes(&post);
        let result = step(&mut post, self.floor);
        self.state_bytes = (self.state_bytes + bytes(&post)).saturating_sub(before);
        // A post without state is not kept. Its revisions go on above the floor.
        if post.is_empty() {
            self.floor = post.revision_or(self.floor).max(self.floor);
        } else {
            self.posts.insert(id, post);
        }
        result
    }

    /// Whether a tap may run although memory is full: it removes something, or adds nothing.
    fn is_removal(&self, tap: &Tap, room: Room) -> bool {
        let Some(post) = self.posts.get(&tap.post) else {
            return tap.keyed.is_none() && tap.act.only_removes();
        };
        // A record is kept for what removes something, and for nothing else.
        let removes = || match &tap.act {
            Act::One(_, name) => post.has(name, tap.user) || post.has_alias(tap, name),
            Act::Exactly(_) => post.has_any(tap.user),
        };
        tap.act.only_removes() && (tap.keyed.is_none() || room == Room::Reserve && removes())
    }

    pub(super) fn summary(&self, post: PostId, viewer: Option<UserId>, recent: usize) -> Summary {
        match self.posts.get(&post) {
            Some(state) => state.summary(post, viewer, recent, self.floor),
            None => Post::default().summary(post, viewer, recent, self.floor),
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
        self.log.range(start..).take(limit).map(KeptEntry::entry).collect()
    }

    /// How many entries are gone, and the entries from a position on, the one at the position
    /// included.
    pub(super) fn log_from(&self, from: Option<LogPosition>, most: usize) -> (u64, Vec<LogEntry>) {
        let start = self.log.partition_point(|entry| Some(entry.position) < from);
        (self.dropped, self.log.range(start..).take(most).map(KeptEntry::entry).collect())
    }

    /// The cursor behind the newest entry.
    pub(super) fn newest(&self) -> LogCursor {
        let last: Vec<_> = self.log.back().map(KeptEntry::entry).into_iter().collect();
        LogCursor::behind(self.dropped + (self.log.len() - last.len()) as u64, &last)
    }

    pub(super) fn log_end(&self) -> Option<LogPosition> {
        self.log.back().map(|entry| entry.position)
    }

    /// Appends an entry and drops those that are too old or too many. Positions rise even when the
    /// clock goes back, so the age of an entry is that of its change.
    pub(super) fn append(&mut self, change: Change, now: Micros, room: Room) {
        let millis = now.0 / 1000;
        let position = match self.log.back() {
            Some(KeptEntry { position: last, .. }) if last.millis >= millis => {
                LogPosition { millis: last.millis, sequence: last.sequence + 1 }
            }
            _ => LogPosition { millis, sequence: 0 },
        };
        let entry = KeptEntry::of(position, change);
        self.log_text_ids += entry.text_ids();
        self.log.push_back(entry);
        let most = match room {
            Room::Free => self.retention.change_log_entries as usize,
            Room::Reserve | Room::None => (self.log.len() - 1).max(KEPT_WHEN_FULL),
        };
        self.trim(most, now);
        self.sweep_steps(now);
    }

    /// Drops what is too old, in a partition without taps too.
    pub(super) fn sweep(&mut self, now: Micros) {
        self.trim(usize::MAX, now);
        self.records.sweep(now);
        self.sweep_steps(now);
    }

    fn trim(&mut self, most: usize, now: Micros) {
        let change_log = self.retention.change_log;
        let is_old = |entry: &KeptEntry| entry.occurred_at.is_old(now, change_log);
        while self.log.len() > most || self.log.front().is_some_and(is_old) {
            let gone = self.log.pop_front();
            self.log_text_ids -= gone.map_or(0, |entry| entry.text_ids());
            self.dropped += 1;
        }
    }
}

/// About how many bytes a post takes.
fn bytes(post: &Post) -> u64 {
    let (kinds, members) = post.size();
    let own = if post.is_empty() { 0 } else { POST_BYTES };
    own + kinds * REACTION_BYTES + members * MEMBER_BYTES
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Form, IdempotencyKey, Keyed, Verb};

    fn tap(verb: Verb, user: u64) -> Tap {
        let post = "0192f0c1-2345-7890-abcd-ef0123456789".parse().expect("a post id");
        let user = user.try_into().expect("a user id");
        Tap::new(post, user, verb, "like".parse().expect("a reaction"))
    }

    #[test]
    fn what_is_gone_takes_no_memory_and_the_floor_stays() {
        let retention = Retention { change_log: Duration::ZERO, ..Retention::default() };
        let mut state = PartitionState::new(retention);
        let mut last = Revision::default();
        for round in 1..=3 {
            for verb in [Verb::Set, Verb::Unset] {
                for user in 1..=5 {
                    // The clock stands still.
                    let outcome = state.tap(&tap(verb, user), Micros(7), Room::Free);
                    let outcome = outcome.expect("room enough");
                    assert!(outcome.changed && outcome.revision > last, "round {round}");
                    last = outcome.revision;
                }
            }
            assert_eq!((state.posts.len(), state.state_bytes, state.floor), (0, 0, last));
            assert_eq!(state.summary(tap(Verb::Set, 1).post, None, 0).revision, last);
        }
    }

    #[test]
    fn the_log_keeps_no_more_entries_than_it_may() {
        let retention = Retention { change_log_entries: 300, ..Retention::default() };
        let mut state = PartitionState::new(retention);
        for n in 0..1000 {
            state.tap(&tap(Verb::Toggle, 1), Micros(n), Room::Free).expect("room enough");
        }
        assert_eq!(state.log.len(), 300);
        let full = state.bytes();
        state.tap(&tap(Verb::Set, 1), Micros(2000), Room::Free).expect("room enough");
        state.tap(&tap(Verb::Unset, 1), Micros(2001), Room::None).expect("a removal");
        assert_eq!((state.log.len(), state.bytes()), (300, full));
    }

    #[test]
    fn a_full_memory_takes_removals_alone() {
        let mut state = PartitionState::new(Retention::default());
        let keyed = |verb, user, text: &str, form| {
            let tap = tap(verb, user);
            let key = IdempotencyKey::new(text, tap.post, tap.user).expect("a key");
            Tap { keyed: Some(Keyed { key, form }), ..tap }
        };
        let unset = |user, text: &str| keyed(Verb::Unset, user, text, Form::Unset);
        for user in 1..=4 {
            state.tap(&tap(Verb::Set, user), Micros(5), Room::Free).expect("room enough");
        }
        let mut ask = |tap: &Tap, room| state.tap(tap, Micros(9), room).map(|o| o.changed);
        let refused = Err(StoreError::Overloaded);
        for room in [Room::Reserve, Room::None] {
            assert_eq!(ask(&tap(Verb::Set, 9), room), refused);
            assert_eq!(ask(&tap(Verb::Toggle, 1), room), refused);
            assert_eq!(ask(&unset(9, "nothing-to-remove"), room), refused);
            assert_eq!(ask(&tap(Verb::Unset, 9), room), Ok(false));
        }
        let all = |user, text: &str| {
            let tap = keyed(Verb::Unset, user, text, Form::Exactly);
            Tap { act: Act::Exactly(Vec::new()), ..tap }
        };
        assert_eq!(ask(&all(9, "nothing-to-remove"), Room::Reserve), refused);
        assert_eq!(ask(&all(3, "c"), Room::Reserve), Ok(true));
        assert_eq!(ask(&unset(1, "a"), Room::Reserve), Ok(true));
        assert_eq!(ask(&unset(1, "a"), Room::None), Ok(true), "a replay");
        assert_eq!(ask(&unset(2, "b"), Room::None), refused);
        assert_eq!(ask(&tap(Verb::Unset, 2), Room::None), Ok(true));
    }

    #[test]
    fn the_log_drops_what_is_older_than_it_keeps() {
        let change_log = Duration::from_millis(10);
        let mut state = PartitionState::new(Retention { change_log, ..Retention::default() });
        let tap = tap(Verb::Toggle, 7);
        let mut kept_after = |millis: u64| {
            state.tap(&tap, Micros(millis * 1000), Room::Free).expect("room enough");
            let kept = state.changes(None, 9).into_iter().map(|entry| entry.position.millis);
            kept.collect::<Vec<_>>()
        };
        assert_eq!(kept_after(100), [100]);
        assert_eq!(kept_after(110), [100, 110]);
        assert_eq!(kept_after(111), [110, 111]);
        // A clock that goes back drops nothing, and places go on.
        assert_eq!(kept_after(105), [110, 111, 111]);
        assert_eq!(kept_after(900), [900]);
        // Unless the clock was ahead by more than the retention: else no entry would ever go.
        assert_eq!(kept_after(120), [900]);
        assert_eq!(kept_after(130), [900, 900]);
        assert_eq!(kept_after(131), [900, 900]);
        assert_eq!(kept_after(901), [901]);
    }
}
