//! Where an import goes: a store, or a service that holds one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::apply::{Counts, Plan, Step, Stepped, apply};
use super::pace::Pace;
use super::row::Grouping;
use crate::domain::{DEFAULT_PALETTE, EditAct, ImportOutcome, MOST_EDITS};
use crate::store::{AnyStore, Deadline, StoreError};

/// Timeout of one attempt.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many rows travel together to a store, and to a service.
const STORE_ROWS: usize = 2000;
const SERVICE_ROWS: usize = 1000;

/// How many rows a step takes in Redis, for about 0.3 ms.
const REDIS_STEP: usize = 25;

/// How many groups of rows are on their way at a time.
const IN_FLIGHT: usize = 6;

/// The most rows that share a commit of a file. Nobody else waits for it, since this process holds
/// the file.
const COMMIT_ROWS: usize = 80_000;

/// One group is written while the next one is put together. More would share its commit.
const IN_FLIGHT_TO_A_FILE: usize = 2;

/// Where an import goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// A store that this process uses itself.
    Store(AnyStore),
    /// A service, by its URL.
    Service(Service),
}

/// Why a step was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepError {
    /// It may be sent again, which is always safe.
    Again(String),
    /// The post is damaged.
    Damaged(String),
    /// Nothing of this kind will ever be accepted.
    Fatal(String),
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(why) => Self::Damaged(why),
            other => Self::Again(other.to_string()),
        }
    }
}

impl Target {
    /// In which order its posts should come.
    pub(crate) fn grouping(&self) -> Grouping {
        match self {
            Self::Store(AnyStore::File(_) | AnyStore::Memory(_)) => Grouping::Posts,
            Self::Store(AnyStore::Redis(_)) | Self::Service(_) => Grouping::Partitions,
        }
    }

    /// How many rows go together, each post in a step of its own.
    pub(crate) fn pace(&self) -> Pace {
        match self {
            Self::Store(AnyStore::File(_)) => Pace::between(STORE_ROWS, COMMIT_ROWS),
            Self::Store(AnyStore::Redis(_)) => {
                Pace::between(STORE_ROWS, STORE_ROWS).beginning_gently()
            }
            Self::Store(_) => Pace::between(STORE_ROWS, STORE_ROWS),
            Self::Service(_) => Pace::between(SERVICE_ROWS, SERVICE_ROWS),
        }
    }

    /// How many rows of a post a step takes. In Redis no tap runs beside a step. A file has a
    /// commit for each step of a large post, and a service an answer.
    pub(crate) fn step(&self) -> usize {
        match self {
            Self::Store(AnyStore::Redis(_)) => REDIS_STEP,
            Self::Store(_) | Self::Service(_) => MOST_EDITS,
        }
    }

    /// How many groups of rows are on their way at a time.
    pub(crate) fn in_flight(&self) -> usize {
        match self {
            Self::Store(AnyStore::File(_)) => IN_FLIGHT_TO_A_FILE,
            Self::Store(_) | Self::Service(_) => IN_FLIGHT,
        }
    }

    pub(crate) async fn apply(
        &self,
        plan: Plan,
        steps: &[Step],
    ) -> Vec<Result<Stepped, StepError>> {
        match self {
            Self::Store(store) => {
                let stepped = apply(store, plan, steps, Deadline::after(PATIENCE)).await;
                stepped.into_iter().map(|one| one.map_err(StepError::from)).collect()
            }
            Self::Service(service) => match service.apply(plan, steps).await {
                Ok(stepped) => stepped,
                Err(error) => steps.iter().map(|_| Err(error.clone())).collect(),
            },
        }
    }
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    url: String,
    /// The value of the header `Authorization`.
    bearer: Option<String>,
    agent: ureq::Agent,
}

#[derive(Serialize)]
struct Request<'a> {
    source: String,
    merge: bool,
    dry_run: bool,
    restore: bool,
    posts: Vec<PostJson<'a>>,
}

#[derive(Serialize)]
struct PostJson<'a> {
    post_id: String,
    from: u64,
    rows: Vec<RowJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<RulesJson<'a>>,
}

#[derive(Serialize)]
struct RowJson<'a> {
    user_id: String,
    reaction: &'a str,
    reacted_at: String,
    active: bool,
}

#[derive(Serialize)]
struct RulesJson<'a> {
    palette: &'a str,
    add: &'a str,
    locked: bool,
}

#[derive(Deserialize)]
struct Answer {
    posts: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    outcome: Option<String>,
    #[serde(default)]
    problem: String,
    #[serde(default)]
    added: u64,
    #[serde(default)]
    moved: u64,
    #[serde(default)]
    removed: u64,
    #[serde(default)]
    unchanged: u64,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    ruled: bool,
    #[serde(default)]
    rules_lost: bool,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
}

impl Service {
    /// The service at this URL: `http://host:port`.
    ///
    /// # Errors
    ///
    /// If the URL has another form; what to do.
    pub fn at(url: &str) -> Result<Self, String> {
        let parsed = url::Url::parse(url).ok().filter(|parsed| {
            parsed.scheme() == "http" && parsed.query().is_none() && parsed.fragment().is_none()
        });
        if parsed.is_none() {
            return Err("it is no address of a service; write http://host:port".into());
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_send_body(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .max_redirects(0)
            .user_agent(concat!("onetap/", env!("CARGO_PKG_VERSION")))
            .build();
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, bearer: None, agent: config.into() })
    }

    /// Sends this in the header `Authorization` of each request.
    #[must_use]
    pub fn with_bearer(self, bearer: Option<String>) -> Self {
        Self { bearer, ..self }
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body of a GET, to read to its end. Blocks.
    pub(crate) fn get(&self, path: &str) -> Result<ureq::http::Response<ureq::Body>, String> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let answer = request.call();
        let mut answer = answer.map_err(|error| format!("{}: {error}", self.url))?;
        if answer.status() == 200 {
            return Ok(answer);
        }
        Err(self.problem(&mut answer))
    }

    fn problem(&self, answer: &mut ureq::http::Response<ureq::Body>) -> String {
        let status = answer.status().as_u16();
        match answer.body_mut().read_json::<Problem>() {
            Ok(Problem { code, detail }) => format!("{}: {status} {code}: {detail}", self.url),
            Err(_) => format!("{}: it answered {status}; is it onetap?", self.url),
        }
    }

    async fn apply(
        &self,
        plan: Plan,
        steps: &[Step],
    ) -> Result<Vec<Result<Stepped, StepError>>, StepError> {
        let request = Request {
            source: format!("{:?}", plan.source),
            merge: plan.merge,
            dry_run: plan.dry_run,
            restore: plan.restore,
            posts: steps.iter().map(post_json).collect(),
        };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let (service, count) = (self.clone(), steps.len());
        let sent = tokio::task::spawn_blocking(move || service.send(&body)).await;
        let answer = sent.map_err(|error| StepError::Again(error.to_string()))??;
        if answer.posts.len() != count {
            return Err(StepError::Fatal(format!("{}: it left out posts", self.url)));
        }
        Ok(answer.posts.into_iter().map(Answered::read).collect())
    }

    fn send(&self, body: &[u8]) -> Result<Answer, StepError> {
        let url = format!("{}/v1/import", self.url);
        let mut request = self.agent.post(url).content_type("application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let again = |error: ureq::Error| StepError::Again(format!("{}: {error}", self.url));
        let mut answer = request.send(body).map_err(again)?;
        match answer.status().as_u16() {
            200 => answer.body_mut().read_json().map_err(again),
            408 | 429 | 500.. => Err(StepError::Again(self.problem(&mut answer))),
            _ => Err(StepError::Fatal(self.problem(&mut answer))),
        }
    }
}

fn post_json(step: &Step) -> PostJson<'_> {
    let rows = step.rows.iter().map(|row| RowJson {
        user_id: row.edit.user.to_string(),
        reaction: row.edit.reaction.as_str(),
        reacted_at: row.edit.act.time().to_string(),
        active: matches!(row.edit.act, EditAct::Put(_)),
    });
    PostJson {
        post_id: step.post.to_string(),
        from: step.from,
        rows: rows.collect(),
        rules: step.rules.as_ref().map(|rules| RulesJson {
            palette: rules.palette.as_ref().map_or(DEFAULT_PALETTE, |name| name.as_str()),
            add: rules.add.word(),
            locked: rules.locked,
        }),
    }
}

impl Answered {
    fn read(self) -> Result<Stepped, StepError> {
        let Self { added, moved, removed, unchanged, lost, ruled, rules_lost, .. } = self;
        let outcome = self.outcome.as_deref().and_then(|word| {
            let each = [
                ImportOutcome::Applied,
                ImportOutcome::Done,
                ImportOutcome::LiveTaps,
                ImportOutcome::Behind,
            ];
            each.into_iter().find(|outcome| super::outcome_word(*outcome) == word)
        });
        match outcome {
            Some(outcome) => {
                let counts = Counts { added, moved, removed, unchanged, lost };
                Ok(Stepped { outcome, counts, ruled, rules_lost })
            }
            None if self.problem == "store_damaged" => Err(StepError::Damaged(self.problem)),
            None => Err(StepError::Again(self.problem)),
        }
    }
}
