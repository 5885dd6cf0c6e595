//! One HTTP/1.1 connection to the service, used by one task.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::history::Verb;

/// Longer than any deadline of the service: whoever waits longer has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of an answer is shown that is not understood.
const MAX_SHOWN: usize = 300;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("--url {0} is not of the form http://HOST:PORT")]
    Url(String),
    /// Nobody listens there.
    #[error(
        "cannot connect to {0}: {1} (is the service running? are enough files allowed: ulimit -n?)"
    )]
    Connect(String, std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    /// Nothing came.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// What came is not an answer of onetap.
    #[error("{0} is not an answer of onetap: {1}")]
    Unreadable(String, serde_json::Error),
    /// The service said no.
    #[error("{0}: {1}")]
    Status(StatusCode, String),
}

/// Where the service is.
#[derive(Clone, Debug)]
pub struct Target {
    authority: String,
}

impl Target {
    /// Reads `http://HOST:PORT`.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn new(url: &str) -> Result<Self, ClientError> {
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
    /// If nobody listens.
    pub async fn connect(&self) -> Result<Client, ClientError> {
        let failed = |error| ClientError::Connect(self.authority.clone(), error);
        let stream = TcpStream::connect(&self.authority).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
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

/// What the service answers to a tap, as far as the load test looks at it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TapAnswer {
    /// Whether the user has the reaction now.
    pub active: bool,
    /// Whether this tap changed that.
    pub changed: bool,
    /// How many users have it now.
    pub count: u64,
    /// The order of the change.
    pub revision: u64,
}

/// What the service answers to a question for the counts of a post.
#[derive(Clone, Debug, Deserialize)]
pub struct SummaryAnswer {
    /// Vouches for all of the post.
    pub revision: u64,
    /// The reactions that somebody has.
    pub reactions: Vec<ReactionAnswer>,
}

/// One reaction of a summary.
#[derive(Clone, Debug, Deserialize)]
pub struct ReactionAnswer {
    /// Which.
    pub reaction: String,
    /// How many users have it.
    pub count: u64,
}

#[derive(Deserialize)]
struct UsersAnswer {
    users: Vec<UserAnswer>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct UserAnswer {
    user_id: String,
}

impl Client {
    /// Sends a tap.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is not 2xx.
    pub async fn tap(
        &mut self,
        post: &str,
        user: u64,
        verb: Verb,
    ) -> Result<TapAnswer, ClientError> {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}");
        match verb {
            Verb::Toggle => self.ask(Method::POST, &format!("{path}/toggle")).await,
            Verb::Set => self.ask(Method::PUT, &path).await,
            Verb::Unset => self.ask(Method::DELETE, &path).await,
        }
    }

    /// Asks for the counts of a post.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is not 2xx.
    pub async fn summary(&mut self, post: &str) -> Result<SummaryAnswer, ClientError> {
        self.ask(Method::GET, &format!("/v1/posts/{post}/reactions")).await
    }

    /// Asks for all users that have the reaction, page by page.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that is not 2xx.
    pub async fn users(&mut self, post: &str) -> Result<Vec<String>, ClientError> {
        let path = format!("/v1/posts/{post}/reactions/like/users?limit=100");
        let (mut users, mut next) = (Vec::new(), path.clone());
        loop {
            let page: UsersAnswer = self.ask(Method::GET, &next).await?;
            users.extend(page.users.into_iter().map(|user| user.user_id));
            match page.next_cursor {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => return Ok(users),
            }
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
    ) -> Result<T, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .body(Empty::new())
            .expect("paths are made of UUIDs and numbers");
        let answer = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            Ok::<_, hyper::Error>((status, response.into_body().collect().await?.to_bytes()))
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let (status, body) = answer.map_err(|_| ClientError::Silent)??;
        let text = || String::from_utf8_lossy(&body).chars().take(MAX_SHOWN).collect();
        if !status.is_success() {
            return Err(ClientError::Status(status, text()));
        }
        serde_json::from_slice(&body).map_err(|error| ClientError::Unreadable(text(), error))
    }
}

/// Microseconds from `start` to now.
pub fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}
