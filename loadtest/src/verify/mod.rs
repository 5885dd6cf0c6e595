//! Checks whether a history is possible if the service counted every tap exactly once.
//!
//! Posts are independent, so each is judged by itself. The revisions of its changes give them one
//! order. Replayed in that order, every answer must be true ([`search`]). An operation that was
//! answered before another was sent must come before it. A tap of unknown outcome may be inserted
//! where the answers require a change: once, within its time, and if its verb has that effect.
//! Nothing else may be inserted. The check takes O(n log n) for n operations. Only taps of unknown
//! outcome that overlap may leave several ways to try.

mod failure;
mod foresight;
mod loss;
mod moved;
mod next;
mod operation;
mod reason;
mod refused;
mod ruled;
mod search;
mod stage;
mod told;
mod way;
mod when;

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use crate::history::{self, Damaged, History, Outcome};
use loss::Lost;
use moved::Moved;
use operation::{Operations, Repeats};
use search::Search;
use stage::Stages;
use when::Window;

/// How many other places are tried for states that came back.
const PLACES: usize = 24;

/// The rules of a verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Whether a failover may lose the newest changes of a post, even answered ones.
    pub allow_lost_suffix: bool,
}

/// Why a post's history is impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The post.
    pub post_id: String,
    /// The lines that contradict each other; the first is the impossible one.
    pub lines: Vec<u64>,
    /// The contradiction.
    pub problem: String,
    /// Whether the search ended before it had tried every way.
    pub undecided: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        write!(f, "post {}, {word} {}: {}", self.post_id, lines.join(" and "), self.problem)
    }
}

/// The verdict on a history.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Posts.
    pub posts: usize,
    /// Attempts to tap.
    pub attempts: usize,
    /// Attempts that were answered.
    pub answered: usize,
    /// Attempts that were refused, whatever the rules of the post.
    pub refused: usize,
    /// Attempts that a rule of the post refused.
    pub ruled_out: usize,
    /// Whether the palette is known, so that its rules were checked.
    pub palette: bool,
    /// Attempts of unknown outcome.
    pub unknown: usize,
    /// Attempts whose answer was a replay.
    pub replayed: usize,
    /// Reads, final ones included.
    pub reads: usize,
    /// Posts whose final state was recorded.
    pub finals: usize,
    /// Operations of unknown outcome that must have been applied.
    pub filled: usize,
    /// Answered changes that a failover lost.
    pub lost: usize,
    /// The least number of moments of loss that explain them.
    pub losses: usize,
    /// The violations, at most one for each post.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether the check found no contradiction.
    pub fn is_right(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether it proves anything about how taps are counted.
    pub fn proves(&self) -> bool {
        self.is_right() && self.answered > 0
    }
}

/// The attempts and reads of one post.
#[derive(Debug, Default)]
struct Post {
    attempts: Vec<usize>,
    readings: Vec<usize>,
}

/// Judges a history.
pub fn check(history: &History, rules: Rules) -> Verdict {
    let mut verdict = Verdict {
        posts: history.posts.len(),
        attempts: history.attempts.len(),
        reads: history.readings.len(),
        palette: history.palette.is_some(),
        ..Verdict::default()
    };
    let mut posts: Vec<Post> = Vec::new();
    posts.resize_with(history.posts.len(), Post::default);
    for (number, attempt) in history.attempts.iter().enumerate() {
        posts[attempt.post as usize].attempts.push(number);
        match &attempt.outcome {
            Outcome::Answered { answer, .. } => {
                verdict.answered += 1;
                verdict.replayed += usize::from(answer.replayed);
            }
            Outcome::Refused => verdict.refused += 1,
            Outcome::RuledOut { .. } => verdict.ruled_out += 1,
            Outcome::Unknown { .. } => verdict.unknown += 1,
        }
    }
    for (number, reading) in history.readings.iter().enumerate() {
        posts[reading.post as usize].readings.push(number);
    }
    let is_final = |number: &usize| history.readings[*number].reactors.is_some();
    verdict.finals = posts.iter().filter(|post| post.readings.iter().any(is_final)).count();
    let mut lost = Vec::new();
    for (number, post) in (0..).zip(posts) {
        match check_post(history, &post, rules) {
            Ok((filled, losses)) => {
                verdict.filled += filled;
                lost.extend(losses);
            }
            Err(violation) => verdict
                .violations
                .push(Violation { post_id: history.posts.name(number).to_owned(), ..violation }),
        }
    }
    verdict.lost = lost.iter().map(|lost| lost.changes).sum();
    verdict.losses = loss::moments(lost);
    verdict
}

fn check_post(
    history: &History,
    post: &Post,
    rules: Rules,
) -> Result<(usize, Vec<Lost>), Violation> {
    let repeats: &[Repeats] = if rules.allow_lost_suffix {
        &[Repeats::Answered, Repeats::Unanswered]
    } else {
        &[Repeats::Never]
    };
    let mut first = None;
    for repeats in repeats {
        let (mut moved, mut places) = (Moved::new(), PLACES);
        let mut twice_within: Vec<Window> = Vec::new();
        loop {
            let operations = Operations::gather(history, post, *repeats, &twice_within)?;
            let stages = Stages::build(operations, rules.allow_lost_suffix, &moved)?;
            let replayed = if rules.allow_lost_suffix {
                loss::replay(&stages)
            } else {
                let mut search = Search::new(&stages, false);
                let run = search.run_until(stages.all.len());
                run.map(|()| (search.filled(), Vec::new())).map_err(|failure| (failure, None))
            };
            let (failure, doubtful) = match replayed {
                Ok(found) => {
                    refused::check(history, post, &stages, rules.allow_lost_suffix)?;
                    return Ok(found);
                }
                Err(failed) => failed,
            };
            first.get_or_insert_with(|| reason::explain(&failure, &stages, history));
            let places_of_doubt = [Some(failure.at), doubtful].into_iter().flatten();
            let windows = places_of_doubt.filter_map(|at| stages.window(at));
            let news: Vec<Window> = windows.filter(|new| !twice_within.contains(new)).collect();
            if rules.allow_lost_suffix && !news.is_empty() && twice_within.len() < loss::MOST {
                twice_within.extend(news);
                continue;
            }
            if places > 0
                && let Some(which) = stages.to_move(failure.at, &moved)
            {
                *moved.entry(which).or_default() += 1;
                places -= 1;
                continue;
            }
            break;
        }
    }
    Err(first.unwrap_or_default())
}

/// Reads and judges a recorded file.
///
/// # Errors
///
/// If the file cannot be read, or is not a history.
pub fn file(path: &Path, rules: Rules) -> Result<Verdict, Damaged> {
    Ok(check(&history::read_file(BufReader::new(File::open(path)?))?, rules))
}
