//! Taps at one moment: many connections, one barrier, one post a round; then the proof.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;

use crate::client::{Client, ClientError, Target, micros_since};
use crate::history::{self, Final, Op, Verb, Violation};

/// What to fire.
#[derive(Clone, Debug)]
pub struct BurstOptions {
    /// Taps of a round, each over a connection of its own.
    pub taps: usize,
    /// How often.
    pub rounds: usize,
    /// The taps are dealt out to so many users in turn.
    pub users: u64,
    /// Toggles alone, or PUT and DELETE among them.
    pub mix: bool,
}

/// What a run of bursts came to.
#[derive(Debug, Default)]
pub struct BurstReport {
    /// Rounds that were proved right.
    pub rounds: usize,
    /// Taps in them.
    pub taps: usize,
    /// The most taps on their way at one moment, in the round where that was least.
    pub least_overlap: usize,
    /// From sent to answered, in microseconds.
    pub latency_micros: Vec<u64>,
}

/// Why a burst failed.
#[derive(Debug, thiserror::Error)]
pub enum BurstError {
    /// The service cannot be reached to begin with.
    #[error(transparent)]
    Unreachable(ClientError),
    /// A request has no good answer, so nothing is proved of its round.
    #[error("round {round}, post {post}: {error}; nothing was found wrong before")]
    Request {
        /// Which round.
        round: usize,
        /// On which post.
        post: String,
        /// Why.
        error: ClientError,
    },
    /// The answers cannot be true together.
    #[error("round {round}, post {post}: {violation}")]
    Wrong {
        /// Which round.
        round: usize,
        /// On which post.
        post: String,
        /// What cannot be.
        violation: Violation,
        /// All taps of the round.
        history: Vec<Op>,
    },
    /// The taps came one after the other, so the round proves nothing.
    #[error("round {round}: no two taps were on their way at one moment")]
    NoOverlap {
        /// Which round.
        round: usize,
    },
}

/// Fires all rounds; `progress` is told after each.
///
/// # Errors
///
/// At the first round that is not right.
pub async fn run(
    target: &Target,
    options: &BurstOptions,
    mut progress: impl FnMut(usize),
) -> Result<BurstReport, BurstError> {
    let mut clients = Vec::with_capacity(options.taps);
    for _ in 0..options.taps {
        clients.push(target.connect().await.map_err(BurstError::Unreachable)?);
    }
    let mut report = BurstReport { least_overlap: usize::MAX, ..BurstReport::default() };
    for round in 1..=options.rounds {
        let post = uuid::Uuid::new_v4().to_string();
        let failed = |error| BurstError::Request { round, post: post.clone(), error };
        let (history, back) = fire(clients, &post, options).await.map_err(failed)?;
        clients = back;
        let users = clients[0].users(&post).await.map_err(failed)?;
        let end = Final { summary: clients[0].summary(&post).await.map_err(failed)?, users };
        if let Err(violation) = history::check(&history, &end) {
            return Err(BurstError::Wrong { round, post, violation, history });
        }
        let overlap = history::most_at_once(&history);
        if options.taps > 1 && overlap < 2 {
            return Err(BurstError::NoOverlap { round });
        }
        report.rounds += 1;
        report.taps += history.len();
        report.least_overlap = report.least_overlap.min(overlap);
        report.latency_micros.extend(history.iter().map(|op| op.answered_micros - op.sent_micros));
        progress(round);
    }
    Ok(report)
}

/// One round: everybody waits at the barrier, then all send.
async fn fire(
    clients: Vec<Client>,
    post: &str,
    options: &BurstOptions,
) -> Result<(Vec<Op>, Vec<Client>), ClientError> {
    let barrier = Arc::new(Barrier::new(clients.len()));
    let start = Instant::now();
    let tasks: Vec<_> = (0_u64..)
        .zip(clients)
        .map(|(i, mut client)| {
            let (barrier, post) = (Arc::clone(&barrier), post.to_owned());
            let user = 1 + i % options.users;
            let verb = verb(i / options.users, options.mix);
            tokio::spawn(async move {
                barrier.wait().await;
                let sent_micros = micros_since(start);
                let answer = client.tap(&post, user, verb).await?;
                let answered_micros = micros_since(start);
                let op = Op { user, verb, sent_micros, answered_micros, answer };
                Ok::<_, ClientError>((op, client))
            })
        })
        .collect();
    let (mut ops, mut back) = (Vec::new(), Vec::new());
    for task in tasks {
        let (op, client) = task.await.expect("the load test's own task does not panic")?;
        ops.push(op);
        back.push(client);
    }
    Ok((ops, back))
}

/// What the n-th tap of a user asks for.
fn verb(n: u64, mix: bool) -> Verb {
    match (mix, n % 3) {
        (true, 1) => Verb::Set,
        (true, 2) => Verb::Unset,
        _ => Verb::Toggle,
    }
}
