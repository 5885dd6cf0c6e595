//! Explains in words why a post cannot be replayed.

use super::Violation;
use super::failure::{Failure, Reason};
use super::stage::Stages;
use crate::history::History;

/// The violation for a failure at a stage.
pub(super) fn explain(failure: &Failure, stages: &Stages, history: &History) -> Violation {
    let Failure { at, reason, undecided } = failure;
    let name = |reaction: usize| history.reactions.name(stages.reactions[reaction]);
    // The last changes before the stage that meet a condition, newest first.
    let before = |cell: Option<usize>, reaction: Option<usize>| {
        stages.all[..*at].iter().rev().filter_map(move |stage| {
            let change = stage.change.as_ref()?;
            let fits = cell.is_none_or(|cell| change.cells().any(|one| one == cell))
                && reaction
                    .is_none_or(|r| change.cells().any(|one| stages.cells[one].reaction == r));
            fits.then_some(change.line)
        })
    };
    let (line, other, mut problem) = match reason {
        Reason::Cell { line, cell, was } => {
            let state = if *was { "active" } else { "not active" };
            let (user, reaction) = (stages.cells[*cell].user, name(stages.cells[*cell].reaction));
            let other = before(Some(*cell), None).next();
            let since = if other.is_some() { "since the other line" } else { "from the start" };
            (*line, other, format!("user {user} was {state} for {reaction:?}, {since}"))
        }
        Reason::Count { line, reaction, shown, known } => {
            let other = before(None, Some(*reaction)).next();
            let name = name(*reaction);
            (*line, other, format!("it shows a count of {shown} for {name:?}, but {known} have it"))
        }
        Reason::Impossible { line } => (*line, None, "a count that cannot be".to_owned()),
        Reason::Late { line, behind } => {
            let problem = "it was answered before the other line was sent, but its revision puts \
                           it behind that or behind what that shows";
            (*line, Some(*behind), problem.to_owned())
        }
        Reason::Ghost { line } => {
            let problem = "no change has the revision that it shows";
            (*line, before(None, None).next(), problem.to_owned())
        }
        Reason::Again { line } => {
            let problem = "it shows a revision again that was passed already".to_owned();
            (*line, before(None, None).next(), problem)
        }
        Reason::Changes { line, shown, known } => {
            let problem = format!("it shows {shown} changes of the post, but {known} are known");
            (*line, before(None, None).next(), problem)
        }
        Reason::Twice { line, other } => {
            let problem = "two attempts of one operation took effect, and neither was lost";
            (*line, Some(*other), problem.to_owned())
        }
        Reason::Both { line, cell, other } => {
            let [new, old] = [cell, other].map(|cell| name(stages.cells[*cell].reaction));
            let user = stages.cells[*cell].user;
            let problem = format!("user {user} got {new:?} and kept {old:?}, which excludes it");
            (*line, before(Some(*other), None).next(), problem)
        }
        Reason::Kinds { line, kinds, most } => {
            let problem = format!("{kinds} different reactions of the post; {most} are allowed");
            (*line, before(None, None).next(), format!("it makes {problem}"))
        }
        Reason::Each { line, held, most } => {
            (*line, None, format!("it makes {held} reactions of the user; {most} are allowed"))
        }
        Reason::Undecided => (0, None, "no way to replay it was found".to_owned()),
    };
    if *undecided {
        problem.push_str(
            " (undecided: too many taps of unknown outcome overlap; record `not_after_micros`)",
        );
    } else if !stages.fillers.is_empty() {
        problem.push_str(", and no tap of unknown outcome explains it");
    }
    let lines = std::iter::once(line).chain(other).filter(|line| *line > 0).collect();
    Violation { lines, problem, undecided: *undecided, ..Violation::default() }
}
