//! What the answers to all attempts of one operation say together.

use super::Violation;
use super::operation::violation;
use super::when::{When, Window};
use crate::history::{Attempt, Outcome, TapAnswer};

/// Whether an attempt repeats the first answer of another.
pub(super) fn is_replay_of(attempt: &Attempt, original: &Attempt) -> bool {
    match (&attempt.outcome, &original.outcome) {
        (Outcome::Answered { answer, .. }, Outcome::Answered { answer: first, .. }) => {
            *answer == TapAnswer { replayed: true, ..first.clone() }
        }
        _ => false,
    }
}

/// The answer that all answered attempts of an operation give, and the time of its effect.
pub(super) fn told<'a>(
    attempts: &[&'a Attempt],
) -> Result<Option<(u64, &'a TapAnswer, When)>, Violation> {
    let mut first: Option<(&Attempt, &TapAnswer)> = None;
    let mut original: Option<&Attempt> = None;
    let mut end = u64::MAX;
    for attempt in attempts {
        let Outcome::Answered { at_micros, answer } = &attempt.outcome else { continue };
        end = end.min(*at_micros);
        if let Some((line, other)) = first.map(|(a, answer)| (a.line, answer)) {
            let same = TapAnswer { replayed: other.replayed, ..answer.clone() } == *other;
            if !same {
                let problem = "two attempts of one operation were answered differently";
                return violation(&[line, attempt.line], problem);
            }
        }
        first = first.or(Some((attempt, answer)));
        if !answer.replayed
            && let Some(other) = original.replace(attempt)
        {
            let problem = "two attempts of one operation were applied: neither is a replay";
            return violation(&[other.line, attempt.line], problem);
        }
    }
    let Some((named, answer)) = first else { return Ok(None) };
    let window = |attempt: &&Attempt| {
        let to = match attempt.outcome {
            Outcome::Unknown { not_after_micros: Some(not_after) } => end.min(not_after),
            Outcome::Unknown { .. }
            | Outcome::Answered { .. }
            | Outcome::Refused
            | Outcome::RuledOut { .. } => end,
        };
        Some(Window { from: attempt.sent, to }).filter(|window| window.from <= window.to)
    };
    let windows = match original {
        Some(original) => window(&original).into_iter().collect(),
        None => attempts.iter().filter_map(window).collect(),
    };
    match When::any(windows) {
        Some(when) => Ok(Some((original.unwrap_or(named).line, answer, when))),
        None => violation(&[named.line], "a replay was answered before the tap could be applied"),
    }
}
