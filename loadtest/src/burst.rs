//! Taps at one moment: many connections, one barrier and one post for each round; then the proof.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;

use crate::client::{Client, ClientError, Target, micros_since};
use crate::history::{History, Outcome, Palette, Read, Tap, Verb};
use crate::verify::{self, Rules, Violation};

/// The taps to send.
#[derive(Clone, Debug)]
pub struct BurstOptions {
    /// Taps in a round, each over a connection of its own.
    pub taps: usize,
    /// The number of rounds.
    pub rounds: usize,
    /// The number of users; the taps go to them in turn.
    pub users: u64,
    /// Whether PUT and DELETE are among the toggles.
    pub mix: bool,
}

/// The result of a run of bursts.
#[derive(Debug, Default)]
pub struct BurstReport {
    /// Rounds that were proved right.
    pub rounds: usize,
    /// Taps in these rounds.
    pub taps: usize,
    /// The most taps in flight at one moment, in the round where that was least.
    pub least_overlap: usize,
    /// Time from request to answer, in microseconds.
    pub latency_micros: Vec<u64>,
}

/// Why a burst failed.
#[derive(Debug, thiserror::Error)]
pub enum BurstError {
    /// The first connection to the service failed.
    #[error(transparent)]
    Unreachable(ClientError),
    /// A request got no good answer, so its round proves nothing.
    #[error("round {round}, post {post}: {error}; nothing was found wrong before")]
    Request {
        /// The number of the round.
        round: usize,
        /// The post of the round.
        post: String,
        /// The error of the request.
        error: ClientError,
    },
    /// The answers contradict each other.
    #[error("round {round}: {violation}")]
    Wrong {
        /// The number of the round.
        round: usize,
        /// The contradiction. Its lines number the taps from 1; the final state comes after the
        /// last tap.
        violation: Violation,
        /// All taps of the round.
        history: Vec<Tap<'static>>,
    },
    /// The taps did not overlap, so the round proves nothing.
    #[error("round {round}: no two taps were on their way at one moment")]
    NoOverlap {
        /// The number of the round.
        round: usize,
    },
}

/// Runs all rounds, and calls `progress` after each.
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
        let start = Instant::now();
        let (history, back) = fire(clients, &post, options, start).await.map_err(failed)?;
        clients = back;
        let (sent_micros, summary) =
            (micros_since(start), clients[0].summary(&post).await.map_err(failed)?);
        let users = clients[0].reactors(&post, "like").await.map_err(failed)?;
        let end = summary.read(&post, sent_micros, micros_since(start));
        let reactors = (!users.is_empty()).then(|| ("like".into(), users));
        let end = Read { reactors: Some(BTreeMap::from_iter(reactors)), ..end };
        let verdict = verify::check(&as_history(&history, &end, None), Rules::default());
        if let Some(violation) = verdict.violations.into_iter().next() {
            return Err(BurstError::Wrong { round, violation, history });
        }
        let spans: Vec<(u64, u64)> = history.iter().filter_map(span).collect();
        let overlap = most_at_once(&spans);
        if options.taps > 1 && overlap < 2 {
            return Err(BurstError::NoOverlap { round });
        }
        report.rounds += 1;
        report.taps += history.len();
        report.least_overlap = report.least_overlap.min(overlap);
        report.latency_micros.extend(spans.iter().map(|(sent, answered)| answered - sent));
        progress(round);
    }
    Ok(report)
}

/// Runs one round: all tasks wait at the barrier, then send.
async fn fire(
    clients: Vec<Client>,
    post: &str,
    options: &BurstOptions,
    start: Instant,
) -> Result<(Vec<Tap<'static>>, Vec<Client>), ClientError> {
    let barrier = Arc::new(Barrier::new(clients.len()));
    let tasks: Vec<_> = (0_u64..)
        .zip(clients)
        .map(|(i, mut client)| {
            let (barrier, post) = (Arc::clone(&barrier), post.to_owned());
            let user = 1 + i % options.users;
            let verb = verb(i / options.users, options.mix);
            tokio::spawn(async move {
                barrier.wait().await;
                let sent_micros = micros_since(start);
                let answer = client.tap(&post, "like", user, verb, None).await?;
                let outcome = Outcome::Answered { at_micros: micros_since(start), answer };
                let tap = Tap {
                    post_id: post.into(),
                    reaction: "like".into(),
                    user_id: user,
                    verb,
                    sent_micros,
                    key: None,
                    outcome,
                };
                Ok::<_, ClientError>((tap, client))
            })
        })
        .collect();
    let (mut taps, mut back) = (Vec::new(), Vec::new());
    for task in tasks {
        let (tap, client) = task.await.expect("the load test's own task does not panic")?;
        taps.push(tap);
        back.push(client);
    }
    Ok((taps, back))
}

/// A history of these taps and the final state, by the palette that judged them, if it is known.
pub(crate) fn as_history(taps: &[Tap<'_>], end: &Read<'_>, palette: Option<&Palette>) -> History {
    let mut history = History::default();
    if let Some(palette) = palette {
        history.judged_by(palette.clone());
    }
    for (line, tap) in (1..).zip(taps) {
        history.tap(line, tap);
    }
    history.read(taps.len() as u64 + 1, end);
    history
}

/// The times of a tap's request and answer.
pub(crate) fn span(tap: &Tap<'_>) -> Option<(u64, u64)> {
    match tap.outcome {
        Outcome::Answered { at_micros, .. } => Some((tap.sent_micros, at_micros)),
        Outcome::RuledOut { at_micros, .. } => Some((tap.sent_micros, at_micros)),
        Outcome::Refused | Outcome::Unknown { .. } => None,
    }
}

/// The most spans that overlap at one moment.
pub(crate) fn most_at_once(spans: &[(u64, u64)]) -> usize {
    let mut moments: Vec<(u64, i32)> =
        spans.iter().flat_map(|(sent, answered)| [(*sent, 1), (*answered, -1)]).collect();
    // An answer and a request in the same microsecond may not have overlapped, so they do not
    // count.
    moments.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, step) in moments {
        now += step;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

/// The verb of a user's n-th tap.
fn verb(n: u64, mix: bool) -> Verb {
    match (mix, n % 3) {
        (true, 1) => Verb::Set,
        (true, 2) => Verb::Unset,
        _ => Verb::Toggle,
    }
}
