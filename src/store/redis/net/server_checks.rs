//! The look at a server before it is used: whether it is of the right kind, holds the right layout,
//! and keeps what it is given.

use std::collections::{HashMap, HashSet};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult, Value};
use parking_lot::Mutex;

use super::dial::ConnectError;
use super::server_info;
use crate::store::redis::keys::LAYOUT_VERSION;

/// The role of a server that takes writes.
pub(crate) const PRIMARY: &str = "master";

/// The script that asks which commands the user may run.
const RIGHTS: &str = include_str!(concat!(env!("OUT_DIR"), "/lua/rights.lua"));

/// What a server has to be.
#[derive(Debug)]
pub(crate) struct ServerChecks {
    /// Whether it has to be a node of a cluster.
    pub(crate) cluster: bool,
    pub(crate) layout_key: String,
    /// Of the kinds that taps write.
    pub(crate) keys: [String; 4],
    /// Refuse what otherwise would be warned about.
    pub(crate) strict: bool,
    /// What was found at fault and warned about, so that it is not repeated with every lane.
    pub(crate) said: Mutex<HashSet<String>>,
}

/// A server that may be used.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What its clock shows, in µs since 1970.
    pub(crate) server_micros: i64,
    /// Of its process, if the user may ask.
    pub(crate) run_id: Option<String>,
}

impl ServerChecks {
    /// Whether this server, at `place`, may be used; if so, its clock, and which one it is.
    pub(crate) async fn check(
        &self,
        connection: &mut MultiplexedConnection,
        place: &str,
    ) -> Result<Checked, ConnectError> {
        let role = self.check_kind(connection, place).await?;
        // A demoted primary lets everybody in, and refuses their writes for ever.
        if role != PRIMARY {
            return Err(ConnectError::Unreachable("it is a replica".into()));
        }
        // The layout of a cluster is at one of its nodes.
        if !self.cluster {
            self.check_layout(connection).await?;
        }
        self.check_rights(connection).await?;
        let info = server_info::info(connection).await?;
        let faults = server_info::faults(connection, info.as_deref(), self.strict).await?;
        if self.strict && !faults.is_empty() {
            return Err(ConnectError::Foreign(format!("{} (--strict)", faults.join("; "))));
        }
        for fault in faults {
            if self.said.lock().insert(fault.clone()) {
                tracing::warn!("{fault}");
            }
        }
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
        Ok(Checked {
            server_micros: seconds * 1_000_000 + micros,
            run_id: info.as_deref().and_then(server_info::run_id).map(str::to_owned),
        })
    }

    /// Whether this is a server of the kind that `--store` names; if so, its role.
    pub(crate) async fn check_kind(
        &self,
        connection: &mut MultiplexedConnection,
        place: &str,
    ) -> Result<String, ConnectError> {
        let hello = hello(connection).await?;
        let said = |name: &str| said(&hello, name);
        let foreign =
            |what: &str| Err(ConnectError::Foreign(format!("the server at {place} {what}")));
        let version = said("version");
        if server_info::is_too_old(&version) {
            return foreign(&format!("is of version {version}: use Redis 7.0 or later"));
        }
        match (said("mode").as_str(), self.cluster) {
            ("sentinel", _) => foreign(
                "is a sentinel: to ask it for the primary, use --store \
                 redis+sentinel://host[:port],…/name",
            ),
            ("cluster", false) => foreign(
                "is a node of a cluster: to use the whole cluster, give --store \
                 redis+cluster://host[:port],…",
            ),
            ("cluster", true) | (_, false) => Ok(said("role")),
            (_, true) => foreign(
                "is a single Redis and no node of a cluster: use --store redis://host[:port]",
            ),
        }
    }

    /// Whether the user may do all that a tap does.
    async fn check_rights(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), ConnectError> {
        let mut ask = redis::cmd("EVAL");
        ask.arg(RIGHTS).arg(0).arg(&self.keys);
        match ask.query_async::<Option<String>>(connection).await? {
            None => Ok(()),
            Some(command) => Err(ConnectError::Foreign(format!(
                "the Redis user has no right to {command}, or the server has renamed it; a tap would \
                 stop half way: allow it (docs/operations.md lists all rights), and do not rename it"
            ))),
        }
    }

    /// Whether the layout is ours; claims it where there is none.
    pub(crate) async fn check_layout(
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
}

/// What a server says of itself. Every user may ask.
async fn hello(connection: &mut MultiplexedConnection) -> RedisResult<HashMap<String, Value>> {
    redis::cmd("HELLO").query_async(connection).await
}

fn said(hello: &HashMap<String, Value>, name: &str) -> String {
    match hello.get(name) {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The role that a server says it has now.
pub(crate) async fn role(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    Ok(said(&hello(connection).await?, "role"))
}
