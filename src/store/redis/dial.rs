//! How a connection to a server is made: credentials, TLS, settings.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo, RedisError, TlsCertificates,
};
use deadpool_redis::{Hook, Manager, Pool, PoolConfig, Runtime, Timeouts};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::address::{Address, Node, Secret};

/// Connections for exclusive use that the pool keeps. Taps never wait for one.
const POOL_SIZE: usize = 4;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answered in time, or the answer was an error that may pass.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody answered, and it is not what the configuration says, or not for this release.
    #[error("{0}")]
    Foreign(String),
}

/// Knows everything about a connection but where it goes.
pub(super) struct Dialer {
    settings: RedisConnectionInfo,
    tls: Option<TlsCertificates>,
    config: AsyncConnectionConfig,
    timeout: Duration,
}

impl Dialer {
    /// `ca` is in PEM.
    pub(super) fn new(
        address: &Address,
        ca: Option<&[u8]>,
        timeout: Duration,
    ) -> Result<Self, String> {
        // RESP3, because only then redis-rs tells of a connection that the server has closed.
        let mut settings = RedisConnectionInfo::default()
            .set_db(address.database.into())
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &address.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &address.password {
            settings = settings.set_password(Secret::expose(password));
        }
        let tls = address.tls.then(|| certificates(ca)).transpose()?;
        let config = AsyncConnectionConfig::new()
            // A little less, so that there is time to say what timed out.
            .set_connection_timeout(Some(timeout * 9 / 10))
            // Batches have a deadline for each of their calls; the default of 500 ms would cut in.
            .set_response_timeout(None);
        Ok(Self { settings, tls, config, timeout })
    }

    /// A new connection to this server, whose reader runs on the current runtime. What the server
    /// says unasked goes to `news`.
    pub(super) async fn dial(
        &self,
        node: &Node,
        news: impl redis::aio::AsyncPushSender,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let config = self.config.clone().set_push_sender(news);
        let client = self.client(node, self.settings.clone())?;
        let dialled = client.get_multiplexed_async_connection_with_config(&config).await;
        dialled.map_err(|error| match &self.tls {
            Some(_) if error.is_timeout() => ConnectError::Unreachable(
                "no answer to TLS in time (if it does not speak TLS: redis://)".into(),
            ),
            None if error.is_connection_dropped() && !error.is_connection_refusal() => {
                ConnectError::Unreachable(format!("{error} (if it wants TLS: rediss://)"))
            }
            _ => error.into(),
        })
    }

    /// A connection to a sentinel: as nobody, as most of them want it, or as whom the Redis knows.
    pub(super) async fn dial_sentinel(
        &self,
        node: &Node,
        as_nobody: bool,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let settings = match as_nobody {
            true => RedisConnectionInfo::default(),
            false => self.settings.clone().set_db(0),
        };
        let client = self.client(node, settings)?;
        Ok(client.get_multiplexed_async_connection_with_config(&self.config).await?)
    }

    /// Lends connections to this server for exclusive use, each after a `look` at it.
    pub(super) fn pool(&self, node: &Node, look: Hook) -> Result<Pool, ConnectError> {
        let info = self.client(node, self.settings.clone())?.get_connection_info().clone();
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

    fn client(&self, node: &Node, settings: RedisConnectionInfo) -> Result<Client, RedisError> {
        let (host, port) = (node.host.clone(), node.port);
        // Nagle's algorithm holds a small command back until the last one is acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = |address: ConnectionAddr| -> Result<ConnectionInfo, RedisError> {
            let info = address.into_connection_info()?;
            Ok(info.set_tcp_settings(tcp.clone()).set_redis_settings(settings))
        };
        match &self.tls {
            None => Client::open(info(ConnectionAddr::Tcp(host, port))?),
            Some(certificates) => {
                let address =
                    ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
                Client::build_with_tls(info(address)?, certificates.clone())
            }
        }
    }
}

/// Whom to trust: whoever has signed `ca`, or else whom the system trusts.
fn certificates(ca: Option<&[u8]>) -> Result<TlsCertificates, String> {
    // redis-rs leaves the cryptography to the program. That another part of it has chosen already
    // is all right.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(pem) = ca {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            certificate.map_err(|error| format!("a certificate in it cannot be read: {error}"))?;
            found += 1;
        }
        if found == 0 {
            return Err("there is no certificate in it (it has to be PEM)".into());
        }
    }
    Ok(TlsCertificates { client_tls: None, root_cert: ca.map(<[u8]>::to_vec) })
}

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        let foreign = |what: &str| Self::Foreign(what.into());
        match (error.code(), error.kind()) {
            (Some("WRONGTYPE"), _) => foreign(
                "the layout key is of another type: another program uses this key prefix; \
                 choose another with --key-prefix",
            ),
            (Some("NOAUTH"), _) => {
                foreign("it wants a password: give one in --redis-password-file")
            }
            (Some("WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => {
                foreign("the user name or the password is wrong")
            }
            (Some("NOPERM"), _) => Self::Foreign(format!(
                "the user may not do what onetap has to ({}): allow it",
                error.detail().unwrap_or("NOPERM")
            )),
            (Some("ERR"), _) if is_about_the_database(&error) => Self::Foreign(format!(
                "it refuses the database that --store names ({}): name another number, or let it \
                 have that one (`databases`, and SELECT for the user)",
                error.detail().unwrap_or("SELECT")
            )),
            _ if is_unknown_command(&error) => Self::Foreign(format!(
                "it lacks a command ({}): Redis 7.0 or later is needed, with all its commands under \
                 their own names",
                error.detail().unwrap_or("HELLO").trim_end()
            )),
            (_, ErrorKind::Parse) => {
                foreign("what answers there does not speak the Redis protocol")
            }
            _ => match tls_error(&error) {
                Some(rustls::Error::InvalidCertificate(why)) => Self::Foreign(format!(
                    "its TLS certificate is not valid ({why}): the certificate has to name the \
                     host in --store, and whoever signed it to be in --redis-ca-file"
                )),
                Some(rustls::Error::InvalidMessage(_)) => {
                    foreign("what answers there does not speak TLS: redis:// instead of rediss://?")
                }
                Some(why) => Self::Unreachable(format!("TLS: {why}")),
                None => Self::Unreachable(error.to_string()),
            },
        }
    }
}

/// redis-rs says so of SELECT, and leaves out its code.
fn is_about_the_database(error: &RedisError) -> bool {
    error.to_string().starts_with("Redis server refused to switch database")
}

fn is_unknown_command(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.detail().is_some_and(|detail| detail.starts_with("unknown command"))
}

/// What TLS has to say about an error, if it is its own. redis-rs shares what it was told.
fn tls_error(error: &RedisError) -> Option<&rustls::Error> {
    let shared = error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let told: &(dyn Error + 'static) = shared.as_ref();
    told.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()
}
