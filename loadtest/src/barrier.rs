//! All users at one barrier, against the limits of the palette; then the proof that they held.
//!
//! First each user adds a reaction of their own to one post, so that it would get as many different
//! reactions as there are users. Then each user sends two taps at once, for two reactions of one
//! exclusive group, to another post.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;

use crate::burst::{BurstError, as_history, most_at_once, span};
use crate::client::{Client, ClientError, Target, micros_since};
use crate::history::{AllOr, Outcome, Palette, Read, Tap, Verb};
use crate::verify::{self, Rules};

/// What a run has proved.
#[derive(Debug)]
pub struct BarrierReport {
    /// The palette that held.
    pub palette: Palette,
    /// The taps for different reactions.
    pub kinds: Crowd,
    /// The two reactions that exclude each other, and the taps for them, if the palette has any.
    pub group: Option<([String; 2], Crowd)>,
}

/// The taps at one barrier.
#[derive(Debug)]
pub struct Crowd {
    /// How many taps there were.
    pub taps: usize,
    /// How many of them a limit refused.
    pub refused: usize,
    /// How many different reactions the post has at the end.
    pub kinds: usize,
    /// The most taps in flight at one moment.
    pub overlap: usize,
    /// Time from request to answer, in microseconds.
    pub latency_micros: Vec<u64>,
}

impl BarrierReport {
    /// Whether more different reactions were tapped than a post may have.
    pub fn meets_the_limit(&self) -> bool {
        self.kinds.refused > 0 && self.kinds.kinds as u64 == self.palette.max_kinds_per_post
    }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// The first connection to the service failed.
    #[error(transparent)]
    Unreachable(ClientError),
    /// The service does not say what holds.
    #[error(
        "the service has no GET /v1/palettes, so nothing says which limits must hold; use a \
         release of onetap that has palettes"
    )]
    NoPalette,
    /// The palette could not be read.
    #[error("the palettes cannot be read: {0}")]
    Palette(ClientError),
    /// A round failed as one of a burst does.
    #[error(transparent)]
    Round(BurstError),
}

/// One tap to send: the user, and the reaction to turn on.
type Wish = (u64, String);

/// Runs both parts.
///
/// # Errors
///
/// If an answer is wrong, or if there are too few answers to prove anything.
pub async fn run(target: &Target, users: u64) -> Result<BarrierReport, BarrierError> {
    let mut first = target.connect().await.map_err(BarrierError::Unreachable)?;
    let palette = first.palette().await.map_err(BarrierError::Palette)?;
    let palette = palette.ok_or(BarrierError::NoPalette)?;
    let wishes = (0..users).map(|number| (1 + number, own_reaction(&palette, number)));
    let pair = palette.pair();
    let wanted = if pair.is_some() { 2 * users } else { users };
    let mut clients = vec![first];
    while (clients.len() as u64) < wanted {
        clients.push(target.connect().await.map_err(BarrierError::Unreachable)?);
    }
    let kinds = round(1, &mut clients, wishes.collect(), &palette).await;
    let kinds = kinds.map_err(BarrierError::Round)?;
    let group = match pair {
        None => None,
        Some(pair) => {
            let both = |user| pair.iter().map(move |reaction| (user, reaction.clone()));
            let wishes = (1..=users).flat_map(both).collect();
            let crowd = round(2, &mut clients, wishes, &palette).await;
            Some((pair, crowd.map_err(BarrierError::Round)?))
        }
    };
    Ok(BarrierReport { palette, kinds, group })
}

/// The reaction of the n-th user: a different one for each, as far as the palette goes.
fn own_reaction(palette: &Palette, number: u64) -> String {
    match &palette.reactions {
        AllOr::These(listed) if !listed.is_empty() => {
            let at = usize::try_from(number).unwrap_or(0) % listed.len();
            listed[at].clone()
        }
        _ => format!("r{number}"),
    }
}

/// Sends all wishes at one moment to a new post, and checks all answers.
async fn round(
    round: usize,
    clients: &mut Vec<Client>,
    wishes: Vec<Wish>,
    palette: &Palette,
) -> Result<Crowd, BurstError> {
    let post = uuid::Uuid::new_v4().to_string();
    let failed = |error| BurstError::Request { round, post: post.clone(), error };
    let start = Instant::now();
    let taps = fire(clients, &post, wishes, start).await.map_err(failed)?;
    let end = ending(&mut clients[0], &post, start).await.map_err(failed)?;
    let verdict = verify::check(&as_history(&taps, &end, Some(palette)), Rules::default());
    if let Some(violation) = verdict.violations.into_iter().next() {
        return Err(BurstError::Wrong { round, violation, history: taps });
    }
    let spans: Vec<(u64, u64)> = taps.iter().filter_map(span).collect();
    let overlap = most_at_once(&spans);
    if overlap < 2 {
        return Err(BurstError::NoOverlap { round });
    }
    Ok(Crowd {
        taps: taps.len(),
        refused: taps.iter().filter(|tap| tap.outcome.is_refusal()).count(),
        kinds: end.reactions.len(),
        overlap,
        latency_micros: spans.iter().map(|(sent, answered)| answered - sent).collect(),
    })
}

/// All tasks wait at the barrier, then send, each over a connection of its own.
async fn fire(
    clients: &mut Vec<Client>,
    post: &str,
    wishes: Vec<Wish>,
    start: Instant,
) -> Result<Vec<Tap<'static>>, ClientError> {
    let barrier = Arc::new(Barrier::new(wishes.len()));
    let own = clients.split_off(clients.len() - wishes.len());
    let tasks: Vec<_> = wishes
        .into_iter()
        .zip(own)
        .map(|((user, reaction), mut client)| {
            let (barrier, post) = (Arc::clone(&barrier), post.to_owned());
            tokio::spawn(async move {
                barrier.wait().await;
                let sent_micros = micros_since(start);
                let answer = client.tap(&post, &reaction, user, Verb::Set, None).await;
                let at_micros = micros_since(start);
                let outcome = match answer {
                    Ok(answer) => Outcome::Answered { at_micros, answer },
                    Err(error) => match error.limit() {
                        Some(limit) => Outcome::RuledOut { at_micros, limit },
                        None => return Err(error),
                    },
                };
                let tap = Tap {
                    post_id: post.into(),
                    reaction: reaction.into(),
                    user_id: user,
                    verb: Verb::Set,
                    sent_micros,
                    key: None,
                    outcome,
                };
                Ok((tap, client))
            })
        })
        .collect();
    let mut taps = Vec::new();
    for task in tasks {
        let (tap, client) = task.await.expect("the load test's own task does not panic")?;
        taps.push(tap);
        clients.push(client);
    }
    Ok(taps)
}

/// The final state of the post, with all users of each reaction.
async fn ending(
    client: &mut Client,
    post: &str,
    start: Instant,
) -> Result<Read<'static>, ClientError> {
    let sent_micros = micros_since(start);
    let summary = client.summary(post).await?;
    let mut reactors = BTreeMap::new();
    for counted in &summary.reactions {
        let users = client.reactors(post, &counted.reaction).await?;
        reactors.insert(counted.reaction.clone().into(), users);
    }
    let end = summary.read(post, sent_micros, micros_since(start));
    Ok(Read { reactors: Some(reactors), ..end })
}
