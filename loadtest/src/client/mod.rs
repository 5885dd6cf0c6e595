//! One HTTP/1.1 connection to the service, used by one task. It holds at most [`MAX_ANSWER`] of an
//! answer, whichever server sends it.

mod events;
mod rules;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::HOST;
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::history::{Read, TapAnswer, Verb};

pub use events::Events;

/// The timeout of a request. Longer than any timeout of the service.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest body accepted. The answers that a load test needs have at most some ten thousand
/// bytes.
pub const MAX_ANSWER: usize = 256 * 1024;

/// The longest response head accepted.
const MAX_HEAD: usize = 64 * 1024;

/// The page size of a list of users, and the most pages read.
const PAGE: usize = 100;
const MAX_PAGES: usize = 10_000;

/// The most distinct errors in a report.
const MAX_KINDS: usize = 50;

/// How many characters of an unreadable answer are shown.
const MAX_SHOWN: usize = 600;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is not an address.
    #[error("--url {0} is not of the form http://HOST:PORT")]
    Url(String),
    /// The address contains a password.
    #[error("--url names a user or a password, and onetap takes neither: say http://HOST:PORT")]
    Credentials,
    /// The service does not accept connections there.
    #[error("cannot connect to {0}: {1} (is the service running?)")]
    Connect(String, std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The service sent nothing until the timeout.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// The answer is not one of onetap's.
    #[error("{0} is not an answer of onetap: {1}")]
    Unreadable(String, serde_json::Error),
    /// The answer is too long.
    #[error("an answer of more than {0} bytes, so it is not onetap's: the rest was not read")]
    TooLong(usize),
    /// The list of users does not end.
    #[error("a list of users that has no end, or pages longer than {PAGE}: it is not onetap's")]
    Endless,
    /// The stream ended before its first event.
    #[error("a stream ended before its first event")]
    NoStream,
    /// The post kept changing.
    #[error("a post goes on changing, although nothing is sent any more")]
    Restless,
    /// The service answered with a status other than 2xx.
    #[error("{0}: {1}")]
    Status(StatusCode, String),
}

impl ClientError {
    /// Whether the service says that it has not applied the tap and will not.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Status(status, _) => status.is_client_error() || *status == 503,
            Self::Connect(..) => true,
            Self::Url(_)
            | Self::Credentials
            | Self::Broken(_)
            | Self::Silent
            | Self::Unreadable(..)
            | Self::TooLong(_)
            | Self::Endless
            | Self::Restless
            | Self::NoStream => false,
        }
    }

    /// Whether the connection cannot be used any more.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Connect(..) | Self::Broken(_) | Self::Silent | Self::TooLong(_))
    }

    /// The error without its variable parts, so that equal ones can be counted.
    pub fn kind(&self) -> String {
        match self {
            Self::Status(status, text) => {
                let problem: Option<serde_json::Value> = serde_json::from_str(text).ok();
                let code = problem.as_ref().and_then(|problem| problem["code"].as_str());
                format!("{} {}", status.as_u16(), code.unwrap_or_default())
            }
            Self::Unreadable(..) => "not an answer of onetap".to_owned(),
            Self::Connect(..) => "no connection".to_owned(),
            Self::Broken(_) => "the connection broke".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// The address of the service.
#[derive(Clone, Debug)]
pub struct Target {
    authority: String,
}

impl Target {
    /// Parses `http://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// If the text has another form.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        if url.contains('@') {
            return Err(ClientError::Credentials);
        }
        let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match authority {
            Some(authority) if !authority.is_empty() && !authority.contains('/') => {
                let port = if authority.contains(':') { "" } else { ":80" };
                Ok(Self { authority: format!("{authority}{port}") })
            }
            _ => Err(ClientError::Url(url.to_owned())),
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// If the service does not accept connections.
    pub async fn connect(&self) -> Result<Client, ClientError> {
        let failed = |error| ClientError::Connect(self.authority.clone(), error);
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(&self.authority)).await;
        let stream = stream.unwrap_or_else(|late| Err(late.into())).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { authority: self.authority.clone(), sender })
    }
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    authority: String,
    sender: SendRequest<Empty<Bytes>>,
}

/// The service's summary of a post.
#[derive(Clone, Debug, Deserialize)]
pub struct SummaryAnswer {
    /// The revision of the whole summary.
    pub revision: u64,
    /// How many changes the post has seen, if the service says so.
    pub changes: Option<u64>,
    /// The sum of the counts.
    pub total: Option<u64>,
    /// The reactions with a count.
    pub reactions: Vec<ReactionAnswer>,
}

/// One reaction of a summary.
#[derive(Clone, Debug, Deserialize)]
pub struct ReactionAnswer {
    /// The reaction.
    pub reaction: String,
    /// How many users have it.
    pub count: u64,
}

impl SummaryAnswer {
    /// This summary as a read in a history.
    pub fn read(self, post: &str, sent_micros: u64, answered_micros: u64) -> Read<'static> {
        Read {
            post_id: post.to_owned().into(),
            sent_micros,
            answered_micros,
            revision: self.revision,
            changes: self.changes,
            total: self.total,
            reactions: self.reactions.into_iter().map(|r| (r.reaction.into(), r.count)).collect(),
            reactors: None,
        }
    }
}

#[derive(Deserialize)]
struct UsersAnswer {
    users: Vec<UserAnswer>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct UserAnswer {
    #[serde(deserialize_with = "from_text")]
    user_id: u64,
}

fn from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

impl Client {
    /// Sends a tap, with an idempotency key if given.
    ///
    /// # Errors
    ///
    /// If there is no answer, or if its status is not 2xx.
    pub async fn tap(
        &mut self,
        post: &str,
        reaction: &str,
        user: u64,
        verb: Verb,
        key: Option<&str>,
    ) -> Result<TapAnswer, ClientError> {
        let path = format!("/v1/posts/{post}/reactions/{}/users/{user}", encoded(reaction));
        let (method, path) = match verb {
            Verb::Toggle => (Method::POST, format!("{path}/toggle")),
            Verb::Set => (Method::PUT, path),
            Verb::Unset => (Method::DELETE, path),
        };
        let (answer, replayed) = self.ask::<TapAnswer>(method, &path, key).await?;
        Ok(TapAnswer { replayed, ..answer })
    }

    /// Reads the counts of a post.
    ///
    /// # Errors
    ///
    /// If there is no answer, or if its status is not 2xx.
    pub async fn summary(&mut self, post: &str) -> Result<SummaryAnswer, ClientError> {
        let path = format!("/v1/posts/{post}/reactions");
        Ok(self.ask(Method::GET, &path, None).await?.0)
    }

    /// Reads all users that have a reaction, page by page.
    ///
    /// # Errors
    ///
    /// If there is no answer, or if its status is not 2xx.
    pub async fn reactors(&mut self, post: &str, reaction: &str) -> Result<Vec<u64>, ClientError> {
        let path = format!("/v1/posts/{post}/reactions/{}/users?limit={PAGE}", encoded(reaction));
        let (mut users, mut next) = (Vec::new(), path.clone());
        for _ in 0..MAX_PAGES {
            let (page, _) = self.ask::<UsersAnswer>(Method::GET, &next, None).await?;
            if page.users.len() > PAGE {
                break;
            }
            users.extend(page.users.into_iter().map(|user| user.user_id));
            match page.next_cursor {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => return Ok(users),
            }
        }
        Err(ClientError::Endless)
    }

    /// Opens the stream of some posts. It takes the connection for itself.
    ///
    /// # Errors
    ///
    /// If there is no answer, or if its status is not 2xx.
    pub async fn watch(mut self, posts: &[&str]) -> Result<Events, ClientError> {
        let query: Vec<_> = posts.iter().map(|post| format!("post_id={post}")).collect();
        let path = format!("/v1/posts/reactions/stream?{}", query.join("&"));
        let request = Request::builder().uri(path).header(HOST, &self.authority);
        let request = request.body(Empty::new()).expect("paths are visible ASCII");
        let asked = tokio::time::timeout(PATIENCE, self.sender.send_request(request)).await;
        let response = asked.map_err(|_| ClientError::Silent)??;
        if !response.status().is_success() {
            return Err(ClientError::Status(response.status(), String::new()));
        }
        Ok(Events::new(response.into_body(), self.sender))
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
    ) -> Result<(T, bool), ClientError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Empty::new()).expect("paths and keys are visible ASCII");
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (parts, body) = response.into_parts();
            Ok::<_, ClientError>((parts, whole(body).await?))
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let (Parts { status, headers, .. }, body) = answer.map_err(|_| ClientError::Silent)??;
        if !status.is_success() {
            return Err(ClientError::Status(status, shown(&body)));
        }
        let replayed = headers.get("idempotency-replayed").is_some_and(|value| value == "true");
        let answer = serde_json::from_slice(&body);
        Ok((answer.map_err(|error| ClientError::Unreadable(shown(&body), error))?, replayed))
    }
}

/// Reads the whole body, up to the limit.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().unwrap_or_default();
        if bytes.len() + data.len() > MAX_ANSWER {
            return Err(ClientError::TooLong(MAX_ANSWER));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// The beginning of an unreadable answer.
fn shown(body: &[u8]) -> String {
    let most = &body[..body.len().min(4 * MAX_SHOWN)];
    String::from_utf8_lossy(most).chars().take(MAX_SHOWN).collect()
}

/// Errors and how often each occurred. Bounded, so that a server with ever new errors fills no
/// memory.
#[derive(Clone, Debug, Default)]
pub struct Errors(BTreeMap<String, u64>);

impl Errors {
    /// Counts an error.
    pub fn count(&mut self, kind: String, times: u64) {
        let known = self.0.len() < MAX_KINDS || self.0.contains_key(&kind);
        let kind = if known { kind } else { "other errors".to_owned() };
        *self.0.entry(kind).or_default() += times;
    }

    /// Adds the errors of another.
    pub fn add(&mut self, other: Self) {
        for (kind, times) in other.0 {
            self.count(kind, times);
        }
    }

    /// All errors with their counts.
    pub fn into_inner(self) -> BTreeMap<String, u64> {
        self.0
    }
}

/// A reaction, percent-encoded as a path segment.
fn encoded(reaction: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte);
    let one = |byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") };
    reaction.bytes().map(one).collect()
}

/// Microseconds from `start` to now.
pub fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}
