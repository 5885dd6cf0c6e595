//! One client's connection: its deadlines and its end.
//!
//! hyper's own head timeout also ends connections that merely wait between requests, and does not
//! cover one on which nothing was ever sent. So a watch looks at each connection now and then and
//! closes it if it has been in one phase for too long; a request costs no timer.

use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::problem::{Code, Problem};
use super::state::Limits;

/// The largest head that is read at all; longer ones get a bare 431 from the parser.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// At a stop, idle connections are closed after this time: a request may be in the socket that was
/// sent before the stop.
const LINGER: Duration = Duration::from_millis(50);

/// Serves one connection until it ends, its time is over, or, after `stop`, its last answer is out.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let watch = Arc::new(Watch::new());
    let io = Watched { io: TokioIo::new(stream), watch: Arc::clone(&watch) };
    let answers = Arc::clone(&watch);
    let service = service_fn(move |request: Request<Incoming>| {
        answers.enter(Phase::Answering);
        let answer = router.clone().call(request.map(Body::new));
        let answers = Arc::clone(&answers);
        async move {
            // Nothing is known to panic. If something does, the caller hears of it all the same.
            let answer = AssertUnwindSafe(answer).catch_unwind().await;
            answers.enter(Phase::Idle);
            answer.unwrap_or_else(|_| Ok(Problem::of(Code::Internal).into_response()))
        }
    });
    let connection = http1::Builder::new()
        // A client that has said all it wants to say still wants its answer.
        .half_close(true)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    tokio::pin!(connection);
    // Often enough that a deadline is kept to within a quarter.
    let look = tokio::time::interval(limits.head_timeout.min(limits.idle_timeout) / 4);
    tokio::pin!(look);
    let linger = tokio::time::sleep(LINGER);
    tokio::pin!(linger);
    let (mut stopping, mut told) = (false, false);
    loop {
        tokio::select! {
            // The connection first: what has come in is read before its end is considered.
            biased;
            // An error here is the client's: it went away, or did not speak HTTP.
            _ = &mut connection => return,
            _ = look.tick() => {
                if watch.is_overdue(&limits) {
                    return;
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                linger.as_mut().reset(tokio::time::Instant::now() + LINGER);
            }
            () = &mut linger, if stopping && !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is asked.
    Idle = 0,
    /// A part of a head is here.
    Head = 1,
    /// A request is being answered. Its own deadlines see to it.
    Answering = 2,
}

/// Since when a connection has been in its phase.
#[derive(Debug)]
struct Watch {
    base: Instant,
    /// Milliseconds since `base`, shifted left by two; the phase in the two bits below.
    state: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self { base: Instant::now(), state: AtomicU64::new(Phase::Idle as u64) }
    }

    fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store((millis << 2) | phase as u64, Ordering::Relaxed);
    }

    /// Bytes came in: if nothing was asked, this is the beginning of a head.
    fn received(&self) {
        if self.state.load(Ordering::Relaxed) & 3 == Phase::Idle as u64 {
            self.enter(Phase::Head);
        }
    }

    fn is_overdue(&self, limits: &Limits) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let spent = self.base.elapsed().saturating_sub(Duration::from_millis(state >> 2));
        if state & 3 == Phase::Idle as u64 {
            spent >= limits.idle_timeout
        } else if state & 3 == Phase::Head as u64 {
            spent >= limits.head_timeout
        } else {
            false
        }
    }
}

/// The client's socket, telling the watch when bytes come in.
struct Watched {
    io: TokioIo<TcpStream>,
    watch: Arc<Watch>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = read {
            self.watch.received();
        }
        read
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
