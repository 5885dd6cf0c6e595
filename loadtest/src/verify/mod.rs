//! Whether a history is possible if every tap was counted exactly once.
//!
//! Posts have nothing to do with each other, so each is judged by itself. Its changes have
//! revisions, and so one order: replayed in it, every answer must be true ([`search`]). What was
//! answered before another was sent comes before it. A tap of unknown outcome may be put in where
//! the answers demand a change, once, within its time, if its verb has that effect; nothing else
//! may. This takes O(n log n) for n operations; only where taps of unknown outcome overlap there
//! may be more than one way to try.

mod failure;
mod foresight;
mod loss;
mod moved;
mod next;
mod operation;
mod reason;
mod search;
mod stage;

use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use crate::history::{self, Damaged, History, Outcome};
use loss::Lost;
use moved::Moved;
use operation::{Operations, Repeats, Window};
use search::Search;
use stage::Stages;

/// So many other places are tried for states that came back.
const PLACES: usize = 24;

/// What is held to be right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// A failover may lose the newest changes of a post, even if they were answered.
    pub allow_lost_suffix: bool,
}

/// Why a post's history is impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// On which post.
    pub post_id: String,
    /// The lines that contradict each other; the first is the one that cannot be.
    pub lines: Vec<u64>,
    /// What cannot be.
    pub problem: String,
    /// No way was found to explain it, but not all were tried.
    pub undecided: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines.iter().map(u64::to_string).collect();
        let word = if lines.len() == 1 { "line" } else { "lines" };
        write!(f, "post {}, {word} {}: {}", self.post_id, lines.join(" and "), self.problem)
    }
}

/// What a history came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Posts.
    pub posts: usize,
    /// Attempts at taps.
    pub attempts: usize,
    /// Attempts that were answered.
    pub answered: usize,
    /// Attempts that were refused.
    pub refused: usize,
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
    /// At least so many moments of loss are needed to explain them.
    pub losses: usize,
    /// At most one a post.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether nothing was found that cannot be.
    pub fn is_right(&self) -> bool {
        self.violations.is_empty()
    }

    /// Whether it shows anything of how taps are counted.
    pub fn proves(&self) -> bool {
        self.is_right() && self.answered > 0
    }
}

/// The lines of one post.
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
                Ok(found) => return Ok(found),
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
/// If it cannot be read, or is no history.
pub fn file(path: &Path, rules: Rules) -> Result<Verdict, Damaged> {
    Ok(check(&history::read_file(BufReader::new(File::open(path)?))?, rules))
}
