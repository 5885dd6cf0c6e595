//! Opens a connection to a server: credentials, TLS, settings.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, TlsCertificates,
};
use deadpool_redis::{Hook, Manager, Pool, PoolConfig, Runtime, Timeouts};
use tokio::io::AsyncReadExt;

use super::address::Node;
use super::credentials::{CredentialSource, Credentials};

/// Connections for exclusive use that a pool keeps. Taps never wait for one.
const POOL_SIZE: usize = 4;

/// How long to wait for the server's reason when it rejects a client. It sends it at once.
const GREETING: Duration = Duration::from_millis(100);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No server answered in time, or it answered with an error that may pass.
    #[error("{0}")]
    Unreachable(String),
    /// A server answered, but it is not what the configuration says, or not for this release.
    #[error("{0}")]
    Foreign(String),
}

/// How to connect to any server.
pub(crate) struct Dialer {
    credentials: CredentialSource,
    config: AsyncConnectionConfig,
    timeout: Duration,
}

impl Dialer {
    pub(crate) fn new(credentials: CredentialSource, timeout: Duration) -> Self {
        let config = AsyncConnectionConfig::new()
            // A little less, so that there is time to report what timed out.
            .set_connection_timeout(Some(timeout * 9 / 10))
            // Each call of a batch has a deadline of its own; the default of 500 ms would cut in.
            .set_response_timeout(None);
        Self { credentials, config, timeout }
    }

    /// Opens a connection to this server, whose reader runs on the current runtime. Push messages
    /// of the server go to `news`.
    pub(crate) async fn dial(
        &self,
        node: &Node,
        news: impl redis::aio::AsyncPushSender,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let config = self.config.clone().set_push_sender(news);
        let Credentials { settings, tls } = self.credentials.now().as_ref().clone();
        let client = client(node, settings, tls.clone())?;
        let dialled = client.get_multiplexed_async_connection_with_config(&config).await;
        let error = match dialled {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        Err(match tls {
            Some(_) if error.is_timeout() => ConnectError::Unreachable(
                "no answer to TLS in time (if it does not speak TLS: redis://)".into(),
            ),
            None if error.is_connection_dropped() && !error.is_connection_refusal() => {
                ConnectError::Unreachable(match greeting(node).await {
                    Some(said) => said,
                    None => format!("{error} (if it wants TLS: rediss://)"),
                })
            }
            _ => error.into(),
        })
    }

    /// Opens a connection to a sentinel: without a user, as most want it, or as the user of the
    /// Redis.
    pub(crate) async fn dial_sentinel(
        &self,
        node: &Node,
        as_nobody: bool,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let Credentials { settings, tls } = self.credentials.now().as_ref().clone();
        let settings = match as_nobody {
            true => RedisConnectionInfo::default(),
            false => settings.set_db(0),
        };
        let client = client(node, settings, tls)?;
        Ok(client.get_multiplexed_async_connection_with_config(&self.config).await?)
    }

    /// A pool of connections to this server for exclusive use. It runs `look` on each new one.
    pub(crate) fn pool(&self, node: &Node, look: Hook) -> Result<Pool, ConnectError> {
        let Credentials { settings, tls } = self.credentials.now().as_ref().clone();
        let info = client(node, settings, tls)?.get_connection_info().clone();
        let timeouts = Timeouts {
            wait: Some(self.timeout),
            create: Some(self.timeout),
            recycle: Some(self.timeout),
        };
        let pool = Pool::builder(Manager::new_with_config(info, self.config.clone())?)
            .config(PoolConfig { timeouts, ..PoolConfig::new(POOL_SIZE) })
            .runtime(Runtime::Tokio1)
            .post_create(look)
            .build();
        Ok(pool.expect("a pool with a runtime can have timeouts"))
    }
}

fn client(
    node: &Node,
    settings: RedisConnectionInfo,
    tls: Option<TlsCertificates>,
) -> Result<Client, RedisError> {
    let (host, port) = (node.host.clone(), node.port);
    // Nagle's algorithm would hold a small command back until the last one is acknowledged.
    let tcp = TcpSettings::default().set_nodelay(true);
    let info = |address: ConnectionAddr| -> Result<ConnectionInfo, RedisError> {
        let info = address.into_connection_info()?;
        Ok(info.set_tcp_settings(tcp.clone()).set_redis_settings(settings))
    };
    match tls {
        None => Client::open(info(ConnectionAddr::Tcp(host, port))?),
        Some(certificates) => {
            let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
            Client::build_with_tls(info(address)?, certificates)
        }
    }
}

/// What a server sends to a client that it rejects, such as one too many. A client that sends first
/// may see only that the connection was closed.
async fn greeting(node: &Node) -> Option<String> {
    let listen = async {
        let mut stream =
            tokio::net::TcpStream::connect((node.host.as_str(), node.port)).await.ok()?;
        let mut said = Vec::new();
        AsyncReadExt::take(&mut stream, 256).read_to_end(&mut said).await.ok()?;
        let line = std::str::from_utf8(&said).ok()?.strip_prefix("-")?.lines().next()?;
        Some(format!("it turned the connection away: {line}"))
    };
    tokio::time::timeout(GREETING, listen).await.ok()?
}

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        let foreign = |what: &str| Self::Foreign(what.into());
        match (error.code(), error.kind()) {
            (Some("WRONGTYPE"), _) => foreign(
                "the layout key is of another type: another program uses this key prefix; \
                 choose another with --key-prefix",
            ),
            (Some("NOAUTH"), _) => foreign(
                "it requires a password: put it into a file, and name that in --redis-password-file",
            ),
            (Some("WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => foreign(
                "the user name or the password is wrong: check --redis-username and \
                     --redis-password-file",
            ),
            (Some("NOPERM"), _) => Self::Foreign(format!(
                "the Redis user lacks a right ({}): allow it (docs/operations.md lists all rights)",
                error.detail().unwrap_or("NOPERM")
            )),
            (Some("ERR"), _) if is_about_the_database(&error) => Self::Foreign(format!(
                "it refuses the database that --store names ({}): name another number, or allow this \
                 one (raise `databases` in its configuration, and allow SELECT for the user)",
                error.detail().unwrap_or("SELECT")
            )),
            _ if is_unknown_command(&error) => Self::Foreign(format!(
                "it lacks a command ({}): use Redis 7.0 or later, and do not rename its commands",
                error.detail().unwrap_or("HELLO").trim_end()
            )),
            (_, ErrorKind::Parse) => foreign(
                "the server there does not speak the Redis protocol: check host and port in --store",
            ),
            _ => match tls_error(&error) {
                Some(rustls::Error::InvalidCertificate(why)) => Self::Foreign(format!(
                    "its TLS certificate is not valid ({why}): use the host name that the certificate \
                     has, and name its certificate authority in --redis-ca-file"
                )),
                Some(rustls::Error::InvalidMessage(_)) => foreign(
                    "the server there does not speak TLS: use redis:// instead of rediss://",
                ),
                Some(why) => Self::Unreachable(format!("TLS: {why}")),
                None => Self::Unreachable(error.to_string()),
            },
        }
    }
}

/// redis-rs words the error of SELECT itself, and drops its code.
fn is_about_the_database(error: &RedisError) -> bool {
    error.to_string().starts_with("Redis server refused to switch database")
}

fn is_unknown_command(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.detail().is_some_and(|detail| detail.starts_with("unknown command"))
}

/// The TLS error behind an error, if it has one. redis-rs wraps it in an `Arc`.
fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    let shared = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let told: &(dyn Error + 'static) = shared.as_ref();
    told.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}
