//! What happened to one reaction on one post, and whether that is possible if every tap was counted
//! exactly once.
//!
//! Every change has a revision, so the order in which the service says that taps took place can be
//! replayed and held against each answer. The check takes O(n log n) for n taps.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::client::{SummaryAnswer, TapAnswer};

/// What a tap asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// To flip.
    Toggle,
    /// To turn on.
    Set,
    /// To turn off.
    Unset,
}

/// One tap and its answer. Times are microseconds since the start of the round.
#[derive(Clone, Debug, Serialize)]
pub struct Op {
    /// Who.
    pub user: u64,
    /// What.
    pub verb: Verb,
    /// When the request was handed to the socket.
    pub sent_micros: u64,
    /// When the whole answer was here.
    pub answered_micros: u64,
    /// What the service said.
    pub answer: TapAnswer,
}

/// What the service says of the post once all taps are answered.
#[derive(Clone, Debug)]
pub struct Final {
    /// The counts.
    pub summary: SummaryAnswer,
    /// All users that have the reaction.
    pub users: Vec<String>,
}

/// Why a history is impossible.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Violation(String);

/// The state of the reaction after the change with some revision.
struct Step {
    user: u64,
    count: u64,
}

/// Checks a round that began with nobody having the reaction.
///
/// # Errors
///
/// The first thing found that cannot be.
pub fn check(ops: &[Op], end: &Final) -> Result<(), Violation> {
    let order = by_revision(ops)?;
    let mut active = HashSet::new();
    let mut steps = BTreeMap::new();
    let mut flips: HashMap<u64, Vec<(u64, bool)>> = HashMap::new();
    for op in &order {
        replay(op, &mut active)?;
        let TapAnswer { revision, active: now, count, .. } = op.answer;
        steps.insert(revision, Step { user: op.user, count });
        flips.entry(op.user).or_default().push((revision, now));
    }
    for op in ops {
        check_verb(op)?;
        if !op.answer.changed {
            check_unchanged(op, &steps, &flips)?;
        }
    }
    check_real_time(ops)?;
    check_final(&active, &steps, end)
}

/// The most taps that were on their way at one moment.
pub fn most_at_once(ops: &[Op]) -> usize {
    let mut moments: Vec<(u64, i32)> =
        ops.iter().flat_map(|op| [(op.sent_micros, 1), (op.answered_micros, -1)]).collect();
    // An answer and a request of one microsecond did not overlap for sure.
    moments.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in moments {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

fn violation<T>(text: String) -> Result<T, Violation> {
    Err(Violation(text))
}

/// The taps that changed something, in the order that the service claims.
fn by_revision(ops: &[Op]) -> Result<Vec<&Op>, Violation> {
    let mut order: Vec<&Op> = ops.iter().filter(|op| op.answer.changed).collect();
    order.sort_by_key(|op| op.answer.revision);
    match order.windows(2).find(|pair| pair[0].answer.revision == pair[1].answer.revision) {
        None => Ok(order),
        Some(pair) => violation(format!(
            "two changes have revision {}: by user {} and by user {}",
            pair[0].answer.revision, pair[0].user, pair[1].user
        )),
    }
}

fn replay(op: &Op, active: &mut HashSet<u64>) -> Result<(), Violation> {
    let TapAnswer { active: now, count, revision, .. } = op.answer;
    let flipped = if now { active.insert(op.user) } else { active.remove(&op.user) };
    if !flipped {
        return violation(format!(
            "revision {revision}: user {} became active={now} but was so already",
            op.user
        ));
    }
    if count != active.len() as u64 {
        return violation(format!(
            "revision {revision}: count {count}, but {} users have it",
            active.len()
        ));
    }
    Ok(())
}

fn check_verb(op: &Op) -> Result<(), Violation> {
    let fits = match op.verb {
        Verb::Toggle => op.answer.changed,
        Verb::Set => op.answer.active,
        Verb::Unset => !op.answer.active,
    };
    if fits { Ok(()) } else { violation(format!("the answer does not fit the verb: {op:?}")) }
}

/// An answer without a change shows the state as of its revision.
fn check_unchanged(
    op: &Op,
    steps: &BTreeMap<u64, Step>,
    flips: &HashMap<u64, Vec<(u64, bool)>>,
) -> Result<(), Violation> {
    let TapAnswer { active, count, revision, .. } = op.answer;
    let (expected_count, was_active) = match steps.get(&revision) {
        Some(step) => {
            let of_user = flips.get(&op.user).map_or(&[][..], Vec::as_slice);
            let seen = of_user.partition_point(|(at, _)| *at <= revision);
            (step.count, seen > 0 && of_user[seen - 1].1)
        }
        // Before the first change a post answers what the store's clock was just before.
        None if steps.first_key_value().is_none_or(|(first, _)| revision < *first) => (0, false),
        None => return violation(format!("no change has the revision of {op:?}")),
    };
    if (active, count) == (was_active, expected_count) {
        Ok(())
    } else {
        violation(format!(
            "as of its revision this should be active={was_active}, count {expected_count}: {op:?}"
        ))
    }
}

/// What was answered before another was sent must come before it in the order.
fn check_real_time(ops: &[Op]) -> Result<(), Violation> {
    let mut by_sent: Vec<&Op> = ops.iter().collect();
    by_sent.sort_by_key(|op| op.sent_micros);
    let mut by_answered: Vec<&Op> = ops.iter().collect();
    by_answered.sort_by_key(|op| op.answered_micros);
    let mut answered = by_answered.into_iter().peekable();
    let mut latest: Option<&Op> = None;
    for op in by_sent {
        while let Some(earlier) = answered.next_if(|e| e.answered_micros < op.sent_micros) {
            if latest.is_none_or(|l| l.answer.revision < earlier.answer.revision) {
                latest = Some(earlier);
            }
        }
        let Some(earlier) = latest else { continue };
        let (before, after) = (earlier.answer.revision, op.answer.revision);
        // A change comes strictly after; an answer without one may show the same state.
        let ordered = if op.answer.changed && earlier.answer.changed {
            before < after
        } else {
            before <= after
        };
        if !ordered {
            return violation(format!(
                "{op:?} was sent after {earlier:?} was answered, but comes before it"
            ));
        }
    }
    Ok(())
}

fn check_final(
    active: &HashSet<u64>,
    steps: &BTreeMap<u64, Step>,
    end: &Final,
) -> Result<(), Violation> {
    let like = end.summary.reactions.iter().find(|r| r.reaction == "like");
    let count = like.map_or(0, |r| r.count);
    if count != active.len() as u64 {
        return violation(format!(
            "the summary says {count}, the answers add up to {}",
            active.len()
        ));
    }
    if like.is_some_and(|r| r.count == 0) {
        return violation("the summary lists a reaction that nobody has".into());
    }
    if let Some((last, step)) = steps.last_key_value()
        && end.summary.revision != *last
    {
        return violation(format!(
            "the summary has revision {}, the last change {last} (by user {})",
            end.summary.revision, step.user
        ));
    }
    let listed: HashSet<&str> = end.users.iter().map(String::as_str).collect();
    let expected: HashSet<String> = active.iter().map(u64::to_string).collect();
    let same = listed.len() == end.users.len()
        && listed.len() == expected.len()
        && expected.iter().all(|user| listed.contains(user.as_str()));
    if same {
        Ok(())
    } else {
        violation(format!("the reactors are {:?}, the answers leave {expected:?}", end.users))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ReactionAnswer;

    fn op(user: u64, verb: Verb, at: (u64, u64), answer: (bool, bool, u64, u64)) -> Op {
        let (active, changed, count, revision) = answer;
        let answer = TapAnswer { active, changed, count, revision };
        Op { user, verb, sent_micros: at.0, answered_micros: at.1, answer }
    }

    fn end(revision: u64, users: &[u64]) -> Final {
        let count = users.len() as u64;
        let reactions = (count > 0).then(|| ReactionAnswer { reaction: "like".into(), count });
        Final {
            summary: SummaryAnswer { revision, reactions: reactions.into_iter().collect() },
            users: users.iter().map(u64::to_string).collect(),
        }
    }

    /// A history with everything in it: two users, all verbs, overlap, answers without a change.
    fn good() -> (Vec<Op>, Final) {
        let ops = vec![
            op(1, Verb::Unset, (0, 5), (false, false, 0, 90)),
            op(1, Verb::Toggle, (6, 20), (true, true, 1, 100)),
            op(2, Verb::Set, (7, 21), (true, true, 2, 101)),
            op(1, Verb::Toggle, (8, 22), (false, true, 1, 102)),
            op(2, Verb::Set, (9, 23), (true, false, 2, 101)),
            op(1, Verb::Unset, (30, 40), (false, false, 1, 102)),
            op(1, Verb::Toggle, (50, 60), (true, true, 2, 103)),
        ];
        (ops, end(103, &[1, 2]))
    }

    #[test]
    fn accepts_what_is_possible() {
        let (ops, end) = good();
        assert_eq!(check(&ops, &end), Ok(()));
        assert_eq!(most_at_once(&ops), 4);
        assert_eq!(check(&[], &super::tests::end(7, &[])), Ok(()));
    }

    #[test]
    fn objects_to_any_single_falsehood() {
        let (ops, end) = good();
        let mut tried = 0;
        for i in 0..ops.len() {
            let falsehoods: [fn(&mut TapAnswer); 6] = [
                |a| a.active = !a.active,
                |a| a.changed = !a.changed,
                |a| a.count += 1,
                |a| a.count = a.count.wrapping_sub(1),
                |a| a.revision += 50,
                |a| a.revision -= 50,
            ];
            for (kind, falsify) in falsehoods.into_iter().enumerate() {
                // The clock that a post without state answers may be any earlier moment.
                if (i, kind) == (0, 5) {
                    continue;
                }
                let mut false_ops = ops.clone();
                falsify(&mut false_ops[i].answer);
                assert!(check(&false_ops, &end).is_err(), "op {i}, falsehood {kind} was accepted");
                tried += 1;
            }
        }
        assert_eq!(tried, 41);
    }

    #[test]
    fn objects_to_a_lost_doubled_or_swapped_tap() {
        let (ops, end) = good();
        for i in [1, 2, 3, 6] {
            let mut lost = ops.clone();
            lost.remove(i);
            assert!(check(&lost, &end).is_err(), "lost {i}");
            let mut doubled = ops.clone();
            doubled.push(ops[i].clone());
            assert!(check(&doubled, &end).is_err(), "doubled {i}");
        }
        let mut swapped = ops.clone();
        let (a, b) = (ops[1].answer.clone(), ops[6].answer.clone());
        swapped[1].answer = b;
        swapped[6].answer = a;
        assert!(check(&swapped, &end).is_err());
    }

    #[test]
    fn objects_to_an_order_against_time() {
        // The same answers, but the second change was answered before the first was sent.
        let ops = [
            op(1, Verb::Toggle, (50, 60), (true, true, 1, 100)),
            op(2, Verb::Toggle, (10, 20), (true, true, 2, 101)),
        ];
        assert!(check(&ops, &end(101, &[1, 2])).is_err());
    }

    #[test]
    fn objects_to_a_false_final_state() {
        let (ops, _) = good();
        for wrong in [end(102, &[1, 2]), end(103, &[1]), end(103, &[1, 3]), end(103, &[1, 2, 2])] {
            assert!(check(&ops, &wrong).is_err(), "{wrong:?}");
        }
    }
}
