//! Opening connections: finding the server, and the check that it is the right one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_redis::Pool;
use deadpool_redis::redis::aio::{MultiplexedConnection, SendError};
use deadpool_redis::redis::{self, PushInfo, PushKind, Value};

use super::address::{Address, Form, Node};
use super::clock::StoreClock;
use super::complaints::Complaints;
use super::connection::{Connection, Health};
use super::dial::{ConnectError, Dialer};
use super::keys::{Keys, LAYOUT_VERSION};
use super::{RedisOptions, sentinel, startup};
use crate::store::StoreError;

/// How connections are made.
pub(super) struct Connector {
    address: Address,
    dialer: Dialer,
    connect_timeout: Duration,
    layout_key: String,
    /// Refuse what otherwise would be warned about.
    strict: bool,
    warnings: Complaints,
    /// The server that was found last, and the pool that lends connections to it.
    found: Mutex<Option<(Node, Pool)>>,
    /// The address, for people; never the password.
    pub(super) place: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(options: &RedisOptions, keys: &Keys) -> Result<Self, String> {
        let (address, timeout) = (options.address.clone(), options.connect_timeout);
        let dialer = Dialer::new(&address, options.ca.as_deref(), timeout)?;
        Ok(Self {
            place: address.place(),
            address,
            dialer,
            connect_timeout: timeout,
            layout_key: keys.layout(),
            strict: options.strict,
            warnings: Complaints::default(),
            found: Mutex::default(),
        })
    }

    /// A new connection whose reader runs on the current runtime, after a look at what is there.
    pub(super) async fn open(&self) -> Result<Connection, ConnectError> {
        match tokio::time::timeout(self.connect_timeout, self.find()).await {
            Ok(found) => found,
            Err(_) => Err(ConnectError::Unreachable(format!(
                "no answer within {} ms",
                self.connect_timeout.as_millis()
            ))),
        }
    }

    /// Finds the server that takes writes now.
    async fn find(&self) -> Result<Connection, ConnectError> {
        match &self.address.form {
            Form::Single(node) => self.open_at(node).await,
            Form::Sentinel { sentinels, name } => {
                let timeout = self.connect_timeout;
                let mut problem = None;
                for node in sentinel::primaries(&self.dialer, sentinels, name, timeout).await? {
                    match self.open_at(&node).await {
                        Ok(connection) => return Ok(connection),
                        Err(error) => problem = Some(error),
                    }
                }
                Err(problem.unwrap_or_else(|| ConnectError::Unreachable("no primary".into())))
            }
        }
    }

    async fn open_at(&self, node: &Node) -> Result<Connection, ConnectError> {
        let health = Arc::new(Health::default());
        let news = Arc::clone(&health);
        let news = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                news.mark_broken("it was closed", false);
            }
            Ok::<(), SendError>(())
        };
        let mut multiplexed = self.dialer.dial(node, news).await?;
        let clock = self.check(&mut multiplexed).await?;
        self.remember(node)?;
        Ok(Connection { multiplexed, clock, health })
    }

    /// Keeps a pool of connections to the server that was just found.
    fn remember(&self, node: &Node) -> Result<(), ConnectError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.as_ref().is_none_or(|(known, _)| known != node) {
            *found = Some((node.clone(), self.dialer.pool(node)?));
        }
        Ok(())
    }

    /// Looks who is there, claims the layout where there is none, and reads the clock.
    async fn check(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<StoreClock, ConnectError> {
        self.check_server(connection).await?;
        self.check_layout(connection).await?;
        let faults = startup::faults(connection, self.strict).await?;
        if self.strict && !faults.is_empty() {
            return Err(ConnectError::Foreign(format!("{} (--strict)", faults.join("; "))));
        }
        faults.iter().for_each(|fault| self.warnings.about(fault));
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
        Ok(StoreClock::new(seconds * 1_000_000 + micros))
    }

    /// Whether this is a server of the kind that `--store` names, and one that takes writes.
    async fn check_server(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), ConnectError> {
        let hello: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
        let said = |name: &str| match hello.get(name) {
            Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Value::SimpleString(text)) => text.clone(),
            _ => String::new(),
        };
        let foreign = |what: String| {
            Err(ConnectError::Foreign(format!("the server at {} {what}", self.place)))
        };
        let version = said("version");
        if startup::is_too_old(&version) {
            return foreign(format!("is of version {version}: Redis 7.0 or later is needed"));
        }
        match said("mode").as_str() {
            "cluster" => {
                return foreign(
                    "is a node of a cluster, which this release does not speak: name a single \
                     Redis in --store"
                        .into(),
                );
            }
            "sentinel" => {
                return foreign(
                    "is a sentinel: --store redis+sentinel://host[:port],…/name asks it for the \
                     primary"
                        .into(),
                );
            }
            _ => {}
        }
        // A demoted primary lets everybody in, and refuses their writes for ever.
        if said("role") != "master" {
            return Err(ConnectError::Unreachable("it is a replica".into()));
        }
        Ok(())
    }

    async fn check_layout(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), ConnectError> {
        // First a look: when memory is full or a replica is missing, Redis refuses every write, and
        // reading and removing have to go on.
        let mut version: Option<Vec<u8>> =
            redis::cmd("GET").arg(&self.layout_key).query_async(connection).await?;
        if version.is_none() {
            let mut claim = redis::cmd("SET");
            claim.arg(&self.layout_key).arg(LAYOUT_VERSION).arg("NX").arg("GET");
            version = claim.query_async(connection).await?;
        }
        match version.as_deref() {
            Some(version) if version != LAYOUT_VERSION.as_bytes() => {
                Err(ConnectError::Foreign(format!(
                    "{} holds layout version {:?}, this release writes {LAYOUT_VERSION:?}: \
                     use the release that wrote it, or another --key-prefix",
                    self.layout_key,
                    String::from_utf8_lossy(version),
                )))
            }
            _ => Ok(()),
        }
    }

    /// Reads a stretch of a stream on a connection of its own: the entries behind `after`, or from
    /// the oldest.
    pub(super) async fn read_stream(
        &self,
        key: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<Value>, StoreError> {
        let unavailable =
            |error: &dyn std::error::Error| StoreError::Unavailable(error.to_string());
        let pool = self.exclusive().await.map_err(|error| unavailable(&error))?;
        let mut connection = pool.get().await.map_err(|error| unavailable(&error))?;
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(key).arg(start).arg("+").arg("COUNT").arg(limit);
        cmd.query_async(&mut connection).await.map_err(|error| match error.code() {
            Some("WRONGTYPE") => StoreError::Damaged(format!("{key} is not a stream")),
            _ => unavailable(&error),
        })
    }

    /// The pool of the server that takes writes now.
    async fn exclusive(&self) -> Result<Pool, ConnectError> {
        loop {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
            match found {
                Some((_, pool)) => return Ok(pool),
                None => drop(self.open().await?),
            }
        }
    }
}
