//! One client's connection: its deadlines and its end.
//!
//! hyper's own head timeout also ends connections that merely wait between requests, and does not
//! cover one on which nothing was ever sent. So a watch looks at each connection now and then and
//! closes it if it has been in one phase for too long; a request costs no timer.

use std::convert::Infallible;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::state::Limits;

/// The largest head that is read at all; longer ones get a bare 431 from the parser.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// At a stop, idle connections are closed after this time: a request may be in the socket that was
/// sent before the stop.
const LINGER: Duration = Duration::from_millis(50);

/// Marks an answer that goes on until one side ends it. Nothing else is asked on its connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should, or because too little was asked.
    Done,
    /// It was cut: the reader of an endless answer did not read.
    SlowReader,
}

/// Serves one connection until it ends, its time is over, or, after `stop`, its last answer is out.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> End {
    let watch = Arc::new(Watch::new());
    let io = Watched { io: TokioIo::new(stream), watch: Arc::clone(&watch) };
    let (answers, stopped) = (Arc::clone(&watch), stop.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        answers.enter(Phase::Answering);
        let answer = router.clone().call(request.map(Body::new));
        let (answers, stopped) = (Arc::clone(&answers), stopped.clone());
        async move {
            let mut answer = answer.await?;
            // Its caller learns of the stop here, even if the connection has not been told yet.
            if stopped.is_cancelled() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let endless = answer.extensions().get::<Endless>().is_some();
            answers.enter(if endless { Phase::Endless } else { Phase::Idle });
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // A client that has said all it wants to say still wants its answer.
        .half_close(true)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    tokio::pin!(connection);
    // Often enough that a deadline is kept to within a quarter.
    let look = tokio::time::interval(limits.shortest_on_a_connection() / 4);
    tokio::pin!(look);
    let linger = tokio::time::sleep(LINGER);
    tokio::pin!(linger);
    let (mut stopping, mut told) = (false, false);
    loop {
        tokio::select! {
            // The connection first: what has come in is read before its end is considered.
            biased;
            // An error here is the client's: it went away, or did not speak HTTP.
            _ = &mut connection => return End::Done,
            _ = look.tick() => {
                if let Some(end) = watch.overdue(&limits, stopping) {
                    return end;
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
    /// Nothing is asked, or the client takes its answer: what it takes begins the phase anew.
    Idle = 0,
    /// A part of a head is here.
    Head = 1,
    /// A request is being answered. Its own deadlines see to it.
    Answering = 2,
    /// An answer goes on until one side ends it.
    Endless = 3,
}

/// Since when a connection has been in its phase.
#[derive(Debug)]
struct Watch {
    base: Instant,
    /// Milliseconds since `base`, shifted left by two; the phase in the two bits below.
    state: AtomicU64,
    /// Milliseconds since `base` at which the client stopped to take what it is sent, and one; none
    /// if it takes it.
    stalled: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        let state = AtomicU64::new(Phase::Idle as u64);
        Self { base: Instant::now(), state, stalled: AtomicU64::new(0) }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX >> 2)
    }

    fn enter(&self, phase: Phase) {
        self.state.store((self.millis() << 2) | phase as u64, Ordering::Relaxed);
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.state.load(Ordering::Relaxed) & 3 == phase as u64
    }

    /// Bytes came in: if nothing was asked, this is the beginning of a head.
    fn received(&self) {
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
    }

    /// The client took what it was sent, or took nothing.
    fn written(&self, taken: bool) {
        // An answer that is long in being read is not idleness.
        if taken && self.is_in(Phase::Idle) {
            self.enter(Phase::Idle);
        }
        let stalled = self.stalled.load(Ordering::Relaxed);
        match (taken, stalled) {
            (true, 0) | (false, 1..) => {}
            (true, _) => self.stalled.store(0, Ordering::Relaxed),
            (false, 0) => self.stalled.store(self.millis() + 1, Ordering::Relaxed),
        }
    }

    /// How the connection ends, if it has been in its phase for too long.
    fn overdue(&self, limits: &Limits, stopping: bool) -> Option<End> {
        let since = |millis| self.base.elapsed().saturating_sub(Duration::from_millis(millis));
        let (stalled, endless) = (self.stalled.load(Ordering::Relaxed), self.is_in(Phase::Endless));
        // At a stop nobody waits for who does not read: a stream has no answer to be missed.
        let patience = if stopping && endless { Duration::ZERO } else { limits.write_timeout };
        if stalled > 0 && since(stalled - 1) >= patience {
            return Some(if endless { End::SlowReader } else { End::Done });
        }
        let spent = since(self.state.load(Ordering::Relaxed) >> 2);
        // Who has not taken all of its answer is not idle, however short that deadline.
        let over = self.is_in(Phase::Idle) && stalled == 0 && spent >= limits.idle_timeout
            || self.is_in(Phase::Head) && spent >= limits.head_timeout;
        over.then_some(End::Done)
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

impl Watched {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.written(written.is_ready());
        written
    }

    /// Looks whether the client has gone. hyper, told that a client may close its half, does not
    /// look while it answers; and an endless answer has nobody else to end it.
    fn poll_gone(&self, cx: &mut Context<'_>) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let mut buffer = ReadBuf::uninit(&mut byte);
        matches!(self.io.inner().poll_peek(cx, &mut buffer), Poll::Ready(Ok(0) | Err(_)))
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes whenever the connection's task has woken.
        if self.watch.is_in(Phase::Endless) && self.poll_gone(cx) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
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
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note(written)
    }
}
