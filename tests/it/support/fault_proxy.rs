//! The tests' TCP proxy, between a service and its store or between a client and a service. It
//! delays bytes, drops them, cuts connections, and connects to another target.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It forwards them.
    None,
    /// It forwards the client's bytes and drops the replies.
    SwallowReplies,
    /// It keeps the client's bytes, and forwards them when the fault ends.
    HoldRequests,
    /// It forwards nothing and closes nothing: a black hole.
    BlackHole,
}

#[derive(Debug)]
struct State {
    fault: watch::Sender<Fault>,
    /// Grows when the proxy is to cut all connections.
    cuts: watch::Sender<u64>,
    target: Mutex<SocketAddr>,
}

/// A running proxy. On drop it stops and cuts its connections.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    accepting: tokio::task::JoinHandle<()>,
}

impl FaultProxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            fault: watch::Sender::new(Fault::None),
            cuts: watch::Sender::new(0),
            target: Mutex::new(target),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sets the fault, for open connections too.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    /// Cuts all connections. It still accepts new ones.
    pub(crate) fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Sets the target of new connections.
    pub(crate) fn repoint(&self, target: SocketAddr) {
        *self.state.target.lock().unwrap() = target;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let mut cuts = state.cuts.subscribe();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let target = *state.target.lock().unwrap();
            let Ok(server) = TcpStream::connect(target).await else { return };
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (client_reads, client_writes) = client.into_split();
            let (server_reads, server_writes) = server.into_split();
            let requests = pass(client_reads, server_writes, state.fault.subscribe(), true);
            let replies = pass(server_reads, client_writes, state.fault.subscribe(), false);
            tokio::select! {
                () = requests => {}
                () = replies => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn pass(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut fault: watch::Receiver<Fault>,
    requests: bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let held = |fault: &Fault| match fault {
            Fault::None | Fault::SwallowReplies => false,
            Fault::HoldRequests => requests,
            Fault::BlackHole => true,
        };
        let Ok(now) = fault.wait_for(|fault| !held(fault)).await.map(|fault| *fault) else {
            return;
        };
        if now == Fault::SwallowReplies && !requests {
            continue;
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Waits until the condition holds.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < Duration::from_secs(20), "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
