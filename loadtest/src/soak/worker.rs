//! The load of one connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Shared;
use crate::client::{Client, ClientError, Errors};
use crate::history::{Outcome, Tap, Verb};

/// The reactions to send; the last needs encoding in a path.
pub(super) const REACTIONS: [&str; 4] = ["like", "+1", "tada", "👍"];

/// The pause between attempts while the service is away or refuses.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a tap of unknown outcome is retried with its key; the service keeps records longer.
const RETRIES: Duration = Duration::from_secs(60);

struct Worker {
    shared: Arc<Shared>,
    client: Option<Client>,
    rng: Rng,
    errors: Errors,
    /// Whether this operation may have been applied. If so, it is retried after the end, too.
    in_doubt: bool,
}

/// Sends one request after the other; returns the errors.
pub(super) async fn run(shared: Arc<Shared>, number: usize) -> Errors {
    let mut worker = Worker {
        shared,
        client: None,
        rng: Rng::new(),
        errors: Errors::default(),
        in_doubt: false,
    };
    let mut sent = 0_u64;
    while worker.shared.begins() {
        sent += 1;
        if worker.rng.u8(..) < 32 {
            worker.read().await;
        } else {
            let key = worker.shared.options.keys.then(|| format!("{number}-{sent}"));
            worker.operation(key).await;
        }
    }
    worker.errors
}

impl Worker {
    /// The connection; opens a new one after it broke.
    async fn client(&mut self) -> Option<&mut Client> {
        if self.client.is_none() {
            let shared = Arc::clone(&self.shared);
            let connected = tokio::select! {
                connected = shared.target.connect() => connected,
                () = shared.until_stopped(), if !self.in_doubt => return None,
            };
            match connected {
                Ok(client) => self.client = Some(client),
                Err(error) => {
                    self.failed(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        self.client.as_mut()
    }

    fn failed(&mut self, error: &ClientError) {
        self.errors.count(error.kind(), 1);
        if error.is_broken() {
            self.client = None;
        }
    }

    async fn read(&mut self) {
        self.in_doubt = false;
        let post = self.rng.usize(..self.shared.posts.len());
        let shared = Arc::clone(&self.shared);
        let Some(client) = self.client().await else { return };
        let sent = shared.recorder.now_micros();
        match client.summary(&shared.posts[post]).await {
            Ok(summary) => {
                shared.answered.store(true, Ordering::Relaxed);
                let answered = shared.recorder.now_micros();
                shared.recorder.read(&summary.read(&shared.posts[post], sent, answered));
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Sends one tap, with all its attempts.
    async fn operation(&mut self, key: Option<String>) {
        let shared = Arc::clone(&self.shared);
        let tap = Tap {
            post_id: shared.posts[self.rng.usize(..shared.posts.len())].as_str().into(),
            reaction: REACTIONS[self.rng.usize(..REACTIONS.len())].into(),
            user_id: 1 + self.rng.u64(..shared.options.users),
            verb: [Verb::Toggle, Verb::Toggle, Verb::Set, Verb::Unset][self.rng.usize(..4)],
            sent_micros: 0,
            key: key.map(Into::into),
            outcome: Outcome::Refused,
        };
        let until = Instant::now() + RETRIES;
        // Now and then repeats an answered tap; its answer must be a replay.
        let mut again = tap.key.is_some() && self.rng.u8(..) < 8;
        self.in_doubt = false;
        loop {
            let outcome = self.attempt(&tap).await;
            self.in_doubt |= matches!(outcome, Some(Outcome::Unknown { .. }));
            let goes_on = self.in_doubt || !shared.has_stopped();
            let retried = match outcome {
                Some(Outcome::Answered { .. }) => std::mem::take(&mut again),
                Some(Outcome::Refused | Outcome::RuledOut { .. }) => false,
                Some(Outcome::Unknown { .. }) | None => {
                    tap.key.is_some() && goes_on && Instant::now() < until
                }
            };
            if !matches!(outcome, Some(Outcome::Answered { .. } | Outcome::RuledOut { .. })) {
                tokio::time::sleep(PAUSE).await;
            }
            if !retried {
                return;
            }
        }
    }

    /// Makes one attempt; None without a connection.
    async fn attempt(&mut self, tap: &Tap<'_>) -> Option<Outcome> {
        let shared = Arc::clone(&self.shared);
        let client = self.client().await?;
        let sent_micros = shared.recorder.now_micros();
        let Tap { post_id, reaction, user_id, verb, key, .. } = tap;
        let answer = client.tap(post_id, reaction, *user_id, *verb, key.as_deref()).await;
        let at_micros = shared.recorder.now_micros();
        let outcome = match answer {
            Ok(answer) => {
                shared.answered.store(true, Ordering::Relaxed);
                Outcome::Answered { at_micros, answer }
            }
            Err(error) => {
                self.failed(&error);
                if let Some(limit) = error.limit() {
                    Outcome::RuledOut { at_micros, limit }
                } else if error.is_refusal() {
                    Outcome::Refused
                } else {
                    // The service may have the request, and its own timeout counts from the
                    // arrival.
                    let timeout = shared.options.request_timeout.as_micros();
                    let not_after =
                        at_micros.saturating_add(timeout.try_into().unwrap_or(u64::MAX));
                    shared.quiet_micros.fetch_max(not_after, Ordering::Relaxed);
                    Outcome::Unknown { not_after_micros: Some(not_after) }
                }
            }
        };
        shared.recorder.tap(&Tap { sent_micros, outcome: outcome.clone(), ..tap.clone() });
        Some(outcome)
    }
}
