//! Opening connections: where to, with which settings, and the check that it is the right place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisError, Value,
};
use deadpool_redis::{Manager, Pool, PoolConfig, Runtime, Timeouts};

use super::clock::StoreClock;
use super::connection::{Connection, Health};
use super::keys::{Keys, LAYOUT_VERSION};
use crate::store::StoreError;

/// Connections for exclusive use that the pool keeps. Taps never wait for one.
const POOL_SIZE: usize = 4;

/// How connections are made.
pub(super) struct Connector {
    /// Makes the lanes' connections.
    client: Client,
    config: AsyncConnectionConfig,
    /// Lends connections for exclusive use.
    pool: Pool,
    connect_timeout: Duration,
    layout_key: String,
    /// Host, port and database, for people; never the password.
    pub(super) place: String,
}

impl std::fmt::Debug for Connector {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("layout_key", &self.layout_key).finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time, or the answer was an error.
    #[error("{0}")]
    Unreachable(String),
    /// A Redis answered, but what it holds is not for this release.
    #[error("{0}")]
    Foreign(String),
}

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        if error.code() == Some("WRONGTYPE") {
            return Self::Foreign(
                "the layout key is of another type: another program uses this key prefix; \
                 choose another with --key-prefix"
                    .into(),
            );
        }
        Self::Unreachable(match (error.code(), error.kind()) {
            (Some("NOAUTH"), _) => "it wants a password: redis://:PASSWORD@host".into(),
            (Some("WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => {
                "the user name or the password is wrong".into()
            }
            (_, ErrorKind::Parse) => "what answers there does not speak the Redis protocol".into(),
            _ => error.to_string(),
        })
    }
}

impl Connector {
    pub(super) fn new(
        url: &str,
        keys: &Keys,
        connect_timeout: Duration,
    ) -> Result<Self, RedisError> {
        let info: ConnectionInfo = url.into_connection_info()?;
        let place = format!("{}/{}", info.addr(), info.redis_settings().db());
        // Nagle's algorithm holds a small command back until the last one is acknowledged.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        // RESP3, because only then redis-rs tells of a connection that the server has closed.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_redis_settings(redis);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            // Batches have a deadline for each of their calls; the default of 500 ms would cut in.
            .set_response_timeout(None);
        let client = Client::open(info.clone())?;
        let timeouts = Timeouts {
            wait: Some(connect_timeout),
            create: Some(connect_timeout),
            recycle: Some(connect_timeout),
        };
        let pool = Pool::builder(Manager::new_with_config(info, config.clone())?)
            .config(PoolConfig { timeouts, ..PoolConfig::new(POOL_SIZE) })
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime can have timeouts");
        Ok(Self { client, config, pool, connect_timeout, layout_key: keys.layout(), place })
    }

    /// A new connection whose reader runs on the current runtime, after a look at what is there.
    pub(super) async fn open(&self) -> Result<Connection, ConnectError> {
        let open = async {
            let health = Arc::new(Health::default());
            let news = Arc::clone(&health);
            let config = self.config.clone().set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    news.mark_broken("it was closed", false);
                }
                Ok::<(), redis::aio::SendError>(())
            });
            let mut multiplexed =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            let clock = self.check(&mut multiplexed).await?;
            Ok(Connection { multiplexed, clock, health })
        };
        match tokio::time::timeout(self.connect_timeout, open).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Unreachable(format!(
                "no answer within {} ms",
                self.connect_timeout.as_millis()
            ))),
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
        let mut connection = self.pool.get().await.map_err(|error| unavailable(&error))?;
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(key).arg(start).arg("+").arg("COUNT").arg(limit);
        cmd.query_async(&mut connection).await.map_err(|error| match error.code() {
            Some("WRONGTYPE") => StoreError::Damaged(format!("{key} is not a stream")),
            _ => unavailable(&error),
        })
    }

    /// Looks who is there, claims the layout where there is none, and reads the clock.
    async fn check(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<StoreClock, ConnectError> {
        let hello: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
        let said = |name: &str| match hello.get(name) {
            Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Value::SimpleString(text)) => text.clone(),
            _ => String::new(),
        };
        if said("mode") == "cluster" {
            return Err(ConnectError::Foreign(format!(
                "Redis at {} is a node of a cluster, which this release does not speak: \
                 name a single Redis in --store",
                self.place
            )));
        }
        // A demoted primary lets everybody in, and refuses their writes for ever.
        if said("role") != "master" {
            return Err(ConnectError::Unreachable("it is a replica".into()));
        }
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
            None => {}
            Some(version) if version == LAYOUT_VERSION.as_bytes() => {}
            Some(other) => {
                return Err(ConnectError::Foreign(format!(
                    "{} holds layout version {:?}, this release writes {LAYOUT_VERSION:?}: \
                     use the release that wrote it, or another --key-prefix",
                    self.layout_key,
                    String::from_utf8_lossy(other),
                )));
            }
        }
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(connection).await?;
        Ok(StoreClock::new(seconds * 1_000_000 + micros))
    }

    /// What an operator should change about a Redis that can be used as it is.
    pub(super) async fn warnings(&self) -> Vec<String> {
        let asked = async {
            let mut connection = self.pool.get().await.ok()?;
            let mut cmd = redis::cmd("CONFIG");
            cmd.arg("GET").arg(&["maxmemory-policy", "appendonly", "save"]);
            cmd.query_async::<HashMap<String, String>>(&mut connection).await.ok()
        };
        // Who may not ask is not warned.
        let settings = asked.await.unwrap_or_default();
        let is = |name: &str, value: &str| settings.get(name).is_some_and(|set| set == value);
        let mut warnings = Vec::new();
        if !settings.is_empty() && !is("maxmemory-policy", "noeviction") {
            let policy = settings.get("maxmemory-policy").map_or("", String::as_str);
            warnings.push(format!(
                "maxmemory-policy is {policy}: Redis may throw reactions away when memory is full; \
                 set it to noeviction"
            ));
        }
        if is("appendonly", "no") && is("save", "") {
            warnings.push(
                "Redis keeps nothing over a restart (appendonly no, save \"\"): reactions will be \
                 lost with it; set appendonly yes"
                    .into(),
            );
        }
        warnings
    }
}
