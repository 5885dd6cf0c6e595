//! A bare axum route that does nothing, set up like the service: one single-threaded runtime per
//! core, connections dealt in turn, TCP_NODELAY, mimalloc. `noop [ADDRESS] [THREADS]`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The connections that the acceptor deals to this thread.
struct Dealt {
    streams: mpsc::Receiver<(std::net::TcpStream, SocketAddr)>,
}

impl axum::serve::Listener for Dealt {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.streams.recv().await {
                Some((stream, from)) => {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        return (stream, from);
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8081".into());
    let threads = match args.next().and_then(|n| n.parse().ok()) {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let listener = TcpListener::bind(address)?;
    println!("Listening on http://{}", listener.local_addr()?);
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (deal, streams) = mpsc::channel(1024);
            std::thread::spawn(move || worker(streams));
            deal
        })
        .collect();
    for turn in 0.. {
        let (stream, from) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        if workers[turn % workers.len()].blocking_send((stream, from)).is_err() {
            break;
        }
    }
    Ok(())
}

fn worker(streams: mpsc::Receiver<(std::net::TcpStream, SocketAddr)>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let router = Router::new().route("/", get(async || "ok"));
    runtime.block_on(axum::serve(Dealt { streams }, router).into_future())
}
