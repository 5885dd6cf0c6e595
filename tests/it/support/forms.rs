//! Redis over TLS, behind sentinels and as a cluster. All tests share one of each, with keys of
//! their own.

use std::sync::LazyLock;

use onetap::store::redis::{RedisOptions, RedisSource, RedisStore};
use tokio::sync::OnceCell;

use super::certificates::Certificates;
use super::cluster::Cluster;
use super::prefix;
use super::redis_server::{Kind, RedisServer, free_port, options};
use super::sentinels::Sentinels;

struct Secured {
    certificates: Certificates,
    port: u16,
    _server: RedisServer,
}

static SECURED: LazyLock<Secured> = LazyLock::new(|| {
    let (certificates, port) = (Certificates::valid_for(&["127.0.0.1"]), free_port());
    let args = certificates.server_args(port);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = RedisServer::start(Kind::Redis, &args);
    Secured { certificates, port, _server: server }
});

static SENTINELS: OnceCell<Sentinels> = OnceCell::const_new();
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

fn store(url: &str, ca: Option<Vec<u8>>) -> RedisStore {
    let options = RedisOptions { ca, ..options(url, &prefix()) };
    RedisSource::new(&options).unwrap().attach()
}

pub(crate) fn over_tls() -> RedisStore {
    let ca = std::fs::read(SECURED.certificates.ca()).unwrap();
    store(&format!("rediss://127.0.0.1:{}", SECURED.port), Some(ca))
}

pub(crate) async fn sentinel_url() -> String {
    SENTINELS.get_or_init(Sentinels::start).await.url()
}

pub(crate) async fn cluster_url() -> String {
    CLUSTER.get_or_init(|| Cluster::start(Kind::Redis, 3, false)).await.url()
}

pub(crate) async fn behind_sentinels() -> RedisStore {
    store(&sentinel_url().await, None)
}

pub(crate) async fn in_a_cluster() -> RedisStore {
    store(&cluster_url().await, None)
}
