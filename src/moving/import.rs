//! An import: sorted rows become steps, many posts at a time, each step until it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::apply::{Counts, Plan, Step, StepRow, Stepped};
use super::estimate::Estimate;
use super::pace::Pace;
use super::posts::{PostRows, Posts, Rows, Spool};
use super::progress::Progress;
use super::target::{StepError, Target};
use crate::domain::{ImportOutcome, PostId, Rules};

/// How many groups of steps wait until others are answered.
const WAITING: usize = 1;

/// The pause before a step is sent again: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How often the steps of one post may begin at its first row again.
const MOST_RESTARTS: u32 = 10;

/// How many of the posts that were skipped are named.
const MOST_NAMED: usize = 5;

/// An import of sorted rows.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where the rows go.
    pub target: Target,
    /// What all steps share.
    pub plan: Plan,
    /// How long to send steps again that are not answered.
    pub retry_for: Duration,
    /// Set when the import is to stop after the steps in flight.
    pub stop: Arc<AtomicBool>,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What the steps did.
    pub counts: Counts,
    /// How many posts got rules.
    pub ruled: u64,
    /// How many posts keep other rules than those of the input.
    pub rules_lost: u64,
    /// What the rows that were applied take in a store.
    pub estimate: Estimate,
    /// Rows that an earlier run has done.
    pub done: u64,
    /// Posts with live taps.
    pub skipped: Posted,
    /// Posts that are damaged in the store.
    pub damaged: Posted,
}

/// Posts of which rows were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Posted {
    /// How many posts.
    pub posts: u64,
    /// How many rows.
    pub rows: u64,
    /// Some of them.
    pub named: Vec<PostId>,
}

/// How an import ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All rows were looked at.
    Whole,
    /// `stop` was set.
    Stopped,
    /// Steps were not answered, or were refused; why.
    GaveUp(String),
}

/// Posts that go together.
enum Work {
    Few(Vec<Step>),
    Large(PostId, Spool, Option<Rules>),
}

impl Posted {
    fn add(&mut self, post: PostId, rows: u64) {
        self.posts += 1;
        self.rows += rows;
        if self.named.len() < MOST_NAMED {
            self.named.push(post);
        }
    }

    fn take(&mut self, other: Self) {
        self.posts += other.posts;
        self.rows += other.rows;
        let room = MOST_NAMED - self.named.len();
        self.named.extend(other.named.into_iter().take(room));
    }
}

impl Totals {
    fn take(&mut self, other: Self) {
        let Self { counts, ruled, rules_lost, estimate, done, skipped, damaged } = other;
        self.counts.add(counts);
        self.ruled += ruled;
        self.rules_lost += rules_lost;
        self.estimate.add(estimate);
        self.done += done;
        self.skipped.take(skipped);
        self.damaged.take(damaged);
    }

    /// How many rows were looked at.
    pub fn rows_done(&self) -> u64 {
        let Counts { added, moved, removed, unchanged, lost } = self.counts;
        let left = self.done + self.skipped.rows + self.damaged.rows;
        added + moved + removed + unchanged + lost + left
    }

    /// Counts an answered step, whose post has so many rows from there on.
    fn count(&mut self, step: &Step, all: u64, stepped: &Stepped) {
        self.counts.add(stepped.counts);
        self.ruled += u64::from(stepped.ruled);
        self.rules_lost += u64::from(stepped.rules_lost);
        match stepped.outcome {
            ImportOutcome::Applied => self.estimate.step(step, stepped.counts.added),
            ImportOutcome::Done => self.done += step.rows.len() as u64,
            ImportOutcome::LiveTaps | ImportOutcome::Behind => self.skipped.add(step.post, all),
        }
    }
}

impl Import {
    /// Applies the rows. `progress` counts them.
    pub(crate) async fn run(&self, posts: Posts, progress: &Progress) -> (Totals, Ended) {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let (pace, most) = (self.target.pace(), self.target.in_flight());
        let together = pace.clone();
        let planned = std::thread::spawn(move || plan(posts, &together, &sender));
        let (mut totals, mut ended) = (Totals::default(), Ended::Whole);
        let mut flying = FuturesUnordered::new();
        let mut more = true;
        let watching = pace.gentle.watch(&self.target);
        tokio::pin!(watching);
        loop {
            if self.stop.load(Ordering::Relaxed) && ended == Ended::Whole {
                ended = Ended::Stopped;
            }
            more &= ended == Ended::Whole;
            let room = pace.in_flight(most);
            if !more && flying.is_empty() {
                break;
            }
            tokio::select! {
                work = receiver.recv(), if more && flying.len() < room => match work {
                    None => more = false,
                    Some(Ok(work)) => flying.push(self.work(work, &pace, progress)),
                    Some(Err(error)) => ended = Ended::GaveUp(error.to_string()),
                },
                never = &mut watching => match never {},
                Some((done, failed)) = flying.next() => {
                    totals.take(done);
                    if let Err(why) = failed
                        && ended == Ended::Whole
                    {
                        ended = why;
                    }
                }
            }
        }
        drop((flying, receiver));
        if planned.join().is_err() && ended == Ended::Whole {
            ended = Ended::GaveUp("the thread that puts steps together panicked".into());
        }
        (totals, ended)
    }

    async fn work(
        &self,
        work: Work,
        pace: &Pace,
        progress: &Progress,
    ) -> (Totals, Result<(), Ended>) {
        let mut totals = Totals::default();
        let ended = match work {
            Work::Few(steps) => {
                let (rows, began) =
                    (steps.iter().map(|step| step.rows.len()).sum(), Instant::now());
                let ended = self.few(steps, &mut totals, progress).await;
                pace.took(rows, began.elapsed());
                ended
            }
            Work::Large(post, spool, rules) => {
                self.large(post, spool, rules, &mut totals, progress).await
            }
        };
        (totals, ended)
    }

    async fn few(
        &self,
        steps: Vec<Step>,
        totals: &mut Totals,
        progress: &Progress,
    ) -> Result<(), Ended> {
        self.until_answered(steps, |step, answer| {
            let rows = step.rows.len() as u64;
            match answer {
                Ok(stepped) => totals.count(step, rows, &stepped),
                Err(_) => totals.damaged.add(step.post, rows),
            }
            progress.more(rows);
        })
        .await
    }

    /// A post with more rows than one step takes: its steps come one after the other.
    async fn large(
        &self,
        post: PostId,
        mut spool: Spool,
        rules: Option<Rules>,
        totals: &mut Totals,
        progress: &Progress,
    ) -> Result<(), Ended> {
        let unreadable = |error: std::io::Error| Ended::GaveUp(error.to_string());
        let (all, mut restarts) = (spool.count(), 0);
        while spool.done() < all {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Ended::Stopped);
            }
            let from = spool.done();
            let rows: Vec<_> =
                spool.next().map_err(unreadable)?.into_iter().map(StepRow::from).collect();
            let (count, more) = (rows.len() as u64, spool.done() < all);
            let rules = rules.clone().filter(|_| !more);
            let mut outcome = None;
            let step = Step { post, from, more, rows, rules };
            self.until_answered(vec![step], |step, answer| {
                outcome = Some(answer.map(|stepped| (step.clone(), stepped)));
            })
            .await?;
            match outcome {
                Some(Ok((_, stepped))) if stepped.outcome == ImportOutcome::Behind => {
                    restarts += 1;
                    if restarts > MOST_RESTARTS {
                        let why = format!("the store keeps losing what it has of post {post}");
                        return Err(Ended::GaveUp(why));
                    }
                    spool.rewind().map_err(unreadable)?;
                    continue;
                }
                Some(Ok((step, stepped))) => {
                    totals.count(&step, all - from, &stepped);
                    if stepped.outcome == ImportOutcome::LiveTaps {
                        progress.more(all - from);
                        return Ok(());
                    }
                    progress.more(count);
                }
                Some(Err(_)) | None => {
                    totals.damaged.add(post, all - from);
                    progress.more(all - from);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sends the steps until each is answered. A step may be sent any number of times.
    async fn until_answered(
        &self,
        mut steps: Vec<Step>,
        mut answered: impl FnMut(&Step, Result<Stepped, String>),
    ) -> Result<(), Ended> {
        let (mut since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let answers = self.target.apply(self.plan, &steps).await;
            let (before, mut last, mut left) = (steps.len(), String::new(), Vec::new());
            for (step, answer) in std::mem::take(&mut steps).into_iter().zip(answers) {
                match answer {
                    Ok(stepped) => answered(&step, Ok(stepped)),
                    Err(StepError::Damaged(why)) => answered(&step, Err(why)),
                    Err(StepError::Fatal(why)) => return Err(Ended::GaveUp(why)),
                    Err(StepError::Again(why)) => {
                        last = why;
                        left.push(step);
                    }
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            if left.len() < before {
                (since, pause) = (Instant::now(), FIRST_PAUSE);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Ended::Stopped);
            }
            if since.elapsed() >= self.retry_for {
                return Err(Ended::GaveUp(last));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            steps = left;
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.added += other.added;
        self.moved += other.moved;
        self.removed += other.removed;
        self.unchanged += other.unchanged;
        self.lost += other.lost;
    }
}

/// Puts steps together, on a thread of its own: this decodes and merges.
fn plan(posts: Posts, pace: &Pace, sender: &mpsc::Sender<std::io::Result<Work>>) {
    let (mut steps, mut rows) = (Vec::new(), 0);
    for post in posts {
        let sent = match post {
            Ok(PostRows { post, rows: Rows::Few(few), rules }) => {
                let more = few.len().max(1);
                let full = rows + more > pace.rows() && !steps.is_empty();
                let sent = full.then(|| std::mem::take(&mut steps));
                rows = if full { more } else { rows + more };
                let few = few.into_iter().map(StepRow::from).collect();
                steps.push(Step { post, from: 0, more: false, rows: few, rules });
                let Some(sent) = sent else { continue };
                sender.blocking_send(Ok(Work::Few(sent)))
            }
            Ok(PostRows { post, rows: Rows::Many(spool), rules }) => {
                sender.blocking_send(Ok(Work::Large(post, spool, rules)))
            }
            Err(error) => sender.blocking_send(Err(error)),
        };
        if sent.is_err() {
            return;
        }
    }
    if !steps.is_empty() {
        let _ = sender.blocking_send(Ok(Work::Few(steps)));
    }
}
