//! The records of what taps with idempotency keys were answered.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::tap::record_units_of_set;
use super::{Form, IdempotencyKey, Keyed, Micros, Outcome, Tap};

/// The key was used for another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReused;

/// The records of taps with a key, in memory.
#[derive(Debug)]
pub struct Records {
    retention: Duration,
    kept: HashMap<IdempotencyKey, Record>,
    /// How large all of them are: see [`Act::record_units`](super::Act::record_units).
    units: u64,
    /// The keys, oldest record first, with their expiry times.
    by_age: VecDeque<(Micros, IdempotencyKey)>,
}

/// What a store keeps for an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The form of the request.
    pub form: Form,
    /// The reactions as the caller named them: [`Act::named`](super::Act::named).
    pub named: String,
    /// The answer.
    pub outcome: Outcome,
    /// The time at which the record expires.
    pub expires_at: Micros,
}

impl Record {
    fn units(&self) -> u64 {
        let whole = self.form == Form::Exactly;
        if whole { record_units_of_set(&self.named).into() } else { 1 }
    }

    /// The answer to a tap with the record's key, as a replay; None if the record has expired.
    ///
    /// # Errors
    ///
    /// If the record belongs to another request.
    pub fn answer(&self, form: Form, tap: &Tap, now: Micros) -> Result<Option<Outcome>, KeyReused> {
        match self.expires_at > now {
            false => Ok(None),
            true if self.form == form && self.named == tap.act.named() => {
                Ok(Some(Outcome { replayed: true, ..self.outcome.clone() }))
            }
            true => Err(KeyReused),
        }
    }
}

/// What a sweep does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// It has expired.
    Drop,
    /// A clock that was too far ahead wrote it, and it would stay until that time. It expires at
    /// this time instead. Someone may have corrected the clock a moment ago, and callers may still
    /// ask.
    Redate(Micros),
}

impl Fate {
    /// What to do with a record that expires at `then`, if records are kept for `retention`.
    pub fn at(now: Micros, then: Micros, retention: Duration) -> Self {
        let expires_at = now.later(retention);
        if then <= now {
            Self::Drop
        } else if then > expires_at.later(retention) {
            Self::Redate(expires_at)
        } else {
            Self::Keep
        }
    }
}

impl Records {
    /// Starts without records; keeps each for `retention`.
    pub fn new(retention: Duration) -> Self {
        Self { retention, kept: HashMap::new(), units: 0, by_age: VecDeque::new() }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many records of ordinary taps are as large as all of these.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The earlier answer to this tap, if its key has a record.
    ///
    /// # Errors
    ///
    /// If the record belongs to another request.
    pub fn find(&self, tap: &Tap, now: Micros) -> Result<Option<Outcome>, KeyReused> {
        let Some(Keyed { key, form }) = &tap.keyed else { return Ok(None) };
        self.kept.get(key).map_or(Ok(None), |record| record.answer(*form, tap, now))
    }

    /// Records the answer to a tap that has a key, and drops expired records.
    pub fn keep(&mut self, tap: &Tap, outcome: Outcome, now: Micros) {
        self.sweep(now);
        let Some(Keyed { key, form }) = tap.keyed else { return };
        let (named, expires_at) = (tap.act.named().into_owned(), now.later(self.retention));
        let record = Record { form, named, outcome, expires_at };
        self.units += record.units();
        if let Some(before) = self.kept.insert(key, record) {
            self.units -= before.units();
        }
        self.by_age.push_back((expires_at, key));
    }

    /// Drops expired records, oldest first.
    pub fn sweep(&mut self, now: Micros) {
        while let Some((then, key)) = self.by_age.front().copied() {
            let fate = Fate::at(now, then, self.retention);
            if fate == Fate::Keep {
                break;
            }
            self.by_age.pop_front();
            // A key that was used again after its record expired has a later record.
            let Some(record) = self.kept.get_mut(&key).filter(|record| record.expires_at == then)
            else {
                continue;
            };
            if let Fate::Redate(expires_at) = fate {
                record.expires_at = expires_at;
                self.by_age.push_back((expires_at, key));
            } else {
                let gone = self.kept.remove(&key);
                self.units -= gone.map_or(0, |record| record.units());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PostId, Reaction, Revision, UserId, Verb};

    fn post(last: char) -> PostId {
        format!("0192f0c1-2345-7890-abcd-ef012345678{last}").parse().expect("a post id")
    }

    fn user(id: u64) -> UserId {
        id.try_into().expect("a user id")
    }

    fn tap(form: Form, reaction: &str, key: &str) -> Tap {
        let key = IdempotencyKey::new(key, post('1'), user(7)).expect("a key");
        let reaction: Reaction = reaction.parse().expect("a reaction");
        let plain = Tap::new(post('1'), user(7), Verb::Set, reaction.clone());
        Tap { act: form.act(reaction), keyed: Some(Keyed { key, form }), ..plain }
    }

    const OUTCOME: Outcome = Outcome {
        active: true,
        changed: true,
        count: 3,
        revision: Revision(5),
        replayed: false,
        details: None,
    };

    #[test]
    fn a_record_answers_the_same_request_until_it_goes() {
        let mut records = Records::new(Duration::from_micros(10));
        let first = tap(Form::Toggle, "like", "a");
        assert_eq!(records.find(&first, Micros(100)), Ok(None));
        records.keep(&first, OUTCOME, Micros(100));
        let replayed = Outcome { replayed: true, ..OUTCOME };
        assert_eq!(records.find(&first, Micros(109)), Ok(Some(replayed)));
        assert_eq!(records.find(&first, Micros(110)), Ok(None));
        for other in [tap(Form::Set, "like", "a"), tap(Form::Toggle, "love", "a")] {
            assert_eq!(records.find(&other, Micros(109)), Err(KeyReused));
        }
        assert_eq!(records.find(&tap(Form::Set, "like", "b"), Micros(109)), Ok(None));
    }

    #[test]
    fn forms_that_do_the_same_are_still_other_requests() {
        for form in Form::EACH {
            for other in Form::EACH.into_iter().filter(|other| *other != form) {
                assert_ne!(form.letter(), other.letter());
                let mut records = Records::new(Duration::from_secs(1));
                records.keep(&tap(form, "like", "a"), OUTCOME, Micros(1));
                assert_eq!(records.find(&tap(other, "like", "a"), Micros(2)), Err(KeyReused));
            }
        }
    }

    #[test]
    fn records_that_are_too_old_are_dropped_and_a_newer_one_of_their_key_stays() {
        let mut records = Records::new(Duration::from_micros(10));
        for (key, at) in [("a", 0), ("b", 1), ("a", 12)] {
            records.keep(&tap(Form::Set, "like", key), OUTCOME, Micros(at));
        }
        assert_eq!((records.kept.len(), records.by_age.len()), (1, 1));
        assert!(records.find(&tap(Form::Set, "like", "a"), Micros(13)).is_ok_and(|r| r.is_some()));
        let keyless = Tap { keyed: None, ..tap(Form::Set, "like", "a") };
        records.keep(&keyless, OUTCOME, Micros(22));
        assert_eq!((records.kept.len(), records.by_age.len()), (0, 0));
    }

    #[test]
    fn a_clock_that_was_ahead_once_does_not_keep_records_for_as_long() {
        let mut records = Records::new(Duration::from_micros(10));
        for (key, at) in [("ahead", 1000), ("a", 100), ("b", 105)] {
            records.keep(&tap(Form::Set, "like", key), OUTCOME, Micros(at));
        }
        // It lasts as long as any other record, from the moment the clock is right again.
        let found = |records: &Records, key, at| {
            records.find(&tap(Form::Set, "like", key), Micros(at)).is_ok_and(|r| r.is_some())
        };
        assert!(found(&records, "ahead", 109) && !found(&records, "ahead", 110));
        let keyless = Tap { keyed: None, ..tap(Form::Set, "like", "a") };
        records.keep(&keyless, OUTCOME, Micros(110));
        assert_eq!((records.kept.len(), records.by_age.len()), (1, 1), "b is left");
        // A record that is less far ahead stays as it is: a clock may go back a little.
        records.keep(&tap(Form::Set, "like", "c"), OUTCOME, Micros(130));
        records.keep(&keyless, OUTCOME, Micros(120));
        assert!(found(&records, "c", 139) && records.kept.len() == 1);
    }
}
