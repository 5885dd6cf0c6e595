//! Checks a server before use: is it of the right kind, does it have the right layout, and does it
//! keep its data?

use std::collections::{HashMap, HashSet};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisResult, Value};
use parking_lot::Mutex;

use super::dial::ConnectError;
use super::server_info;
use crate::domain::UserIds;
use crate::store::redis::keys::{LAYOUT_VERSION, layout_of};

/// The role of a server that takes writes.
pub(crate) const PRIMARY: &str = "master";

/// The script that asks which commands the user may run.
const RIGHTS: &str = include_str!(concat!(env!("OUT_DIR"), "/lua/rights.lua"));

/// The requirements for a server.
#[derive(Debug)]
pub(crate) struct ServerChecks {
    /// Whether it must be a node of a cluster.
    pub(crate) cluster: bool,
    pub(crate) layout_key: String,
    /// The document that says that the index of what users gave is complete.
    pub(crate) index_key: String,
    /// Which ids users have.
    pub(crate) user_ids: UserIds,
    /// A key of each kind that taps write.
    pub(crate) keys: [String; 5],
    /// Refuse a server that onetap would otherwise only warn about.
    pub(crate) strict: bool,
    /// The faults that were warned about, so that each lane does not repeat them.
    pub(crate) said: Mutex<HashSet<String>>,
}

/// A server that passed.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Its clock, in µs since 1970.
    pub(crate) server_micros: i64,
    /// The run id of its process, if the user may read it.
    pub(crate) run_id: Option<String>,
}

impl ServerChecks {
    /// Checks the server at `place`; returns its clock and run id.
    pub(crate) async fn check(
        &self,
        connection: &mut MultiplexedConnection,
        place: &str,
    ) -> Result<Checked, ConnectError> {
        let role = self.check_kind(connection, place).await?;
        // A demoted primary accepts every client, and refuses their writes for ever.
        if role != PRIMARY {
            return Err(ConnectError::Unreachable("it is a replica".into()));
        }
        // In a cluster only one node has the layout key.
        if !self.cluster {
            let mut same = connection.clone();
            self.check_layout(connection, &mut same).await?;
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

    /// Checks that the server is of the kind that `--store` names; returns its role.
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

    /// Checks that the user may run every command of a tap.
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

    /// Checks that the layout is ours; writes it if there is none. `owner`: the server of the
    /// index's document, which may be another one in a cluster.
    pub(crate) async fn check_layout(
        &self,
        connection: &mut MultiplexedConnection,
        owner: &mut MultiplexedConnection,
    ) -> Result<(), ConnectError> {
        // GET first: when memory is full or a replica is missing, Redis refuses every write, but
        // reads and removals must go on.
        let mut version: Option<Vec<u8>> =
            redis::cmd("GET").arg(&self.layout_key).query_async(connection).await?;
        if version.is_none() {
            // First the document: a store that has the layout without it counts as an old one.
            let mut complete = redis::cmd("SET");
            complete.arg(&self.index_key).arg("1 ").arg("NX");
            let _: Option<String> = complete.query_async(owner).await?;
            let mut claim = redis::cmd("SET");
            claim.arg(&self.layout_key).arg(layout_of(self.user_ids)).arg("NX").arg("GET");
            version = claim.query_async(connection).await?;
        }
        let key = &self.layout_key;
        let is = |ids: UserIds| version.as_deref() == Some(layout_of(ids).as_bytes());
        let Some(version) = version.as_deref().filter(|_| !is(self.user_ids)) else {
            return Ok(());
        };
        let other = [UserIds::Integer, UserIds::Text].into_iter().find(|ids| is(*ids));
        Err(ConnectError::Foreign(match other {
            Some(other) => format!(
                "{key} says that users have {other} ids there, and --user-ids is {}: start with \
                 --user-ids {other}, or use another --key-prefix",
                self.user_ids
            ),
            None => format!(
                "{key} holds layout version {:?}, this release writes {LAYOUT_VERSION:?}: \
                 use the release that wrote it, or another --key-prefix",
                String::from_utf8_lossy(version),
            ),
        }))
    }
}

/// The server's HELLO. Every user may run it.
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

/// The server's present role.
pub(crate) async fn role(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    Ok(said(&hello(connection).await?, "role"))
}
