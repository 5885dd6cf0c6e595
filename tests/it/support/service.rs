//! The service, within the test process, on a free port.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use onetap::app;
use onetap::config::{Config, Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http::{Connection, Response};
use super::prefix;
use super::redis_server::{Kind, shared};

/// A running service. Stops on drop.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    running: Option<JoinHandle<Result<(), app::Failure>>>,
}

impl Service {
    /// With the memory store.
    pub(crate) fn memory() -> Self {
        Self::with(&[])
    }

    /// With the shared Redis and its own key prefix.
    pub(crate) fn redis() -> Self {
        Self::redis_with_prefix(&prefix())
    }

    pub(crate) fn redis_with_prefix(prefix: &str) -> Self {
        Self::with(&["--store", &shared(Kind::Redis).url(), "--key-prefix", prefix])
    }

    /// With these arguments. Without `--store` among them, the store is memory.
    pub(crate) fn with(args: &[&str]) -> Self {
        let store: &[&str] = if args.contains(&"--store") { &[] } else { &["--store", "memory:"] };
        let all = ["onetap", "--threads", "2"].iter().chain(store).chain(args).copied();
        let config = Config::new(&Settings::read(all).unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listeners = app::Listeners { callers: listener.into(), admin: None };
        let stop = CancellationToken::new();
        let reload = app::Reload::default();
        let running = tokio::spawn(app::run(config, listeners, reload, stop.clone()));
        Self { address, stop, running: Some(running) }
    }

    /// With a configuration file of this content, too.
    pub(crate) fn configured(content: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("onetap.toml");
        std::fs::write(&file, content).unwrap();
        Self::with(&[&["--config", file.to_str().unwrap()], args].concat())
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, method: &str, path: &str) -> Response {
        self.connect().await.send(method, path, &[], "").await
    }

    pub(crate) async fn send_json(&self, method: &str, path: &str, body: &str) -> Response {
        let json = [("content-type", "application/json")];
        self.connect().await.send(method, path, &json, body).await
    }

    /// Asks the service to stop, and does not wait.
    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has stopped.
    pub(crate) async fn ended(&mut self, within: Duration) -> Result<(), app::Failure> {
        let running = self.running.take().unwrap();
        tokio::time::timeout(within, running).await.expect("it should have ended").unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
