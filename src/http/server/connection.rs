//! One client's connection: its timeouts and how it ends.
//!
//! hyper's header timeout also closes connections that only wait between requests. It does not
//! cover a connection that never sent a byte. So a watch looks at each connection periodically, and
//! closes it when its time in one phase is over. A request needs no timer of its own.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::super::limits::Limits;
use super::answers::OnItsWay;
use super::listener::Socket;
use super::watch::{End, Phase, Watch};

/// The largest request head that hyper reads. For a longer one its parser answers a bare 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How much one read takes. One byte more, and hyper would grow its buffer by more than it
/// contains. hyper reads at most this much ahead while a request is answered; the budget does not
/// count it.
const READ_AT_ONCE: usize = 8 * 1024 - 1;

/// At a stop, idle connections are closed after this time. Until then a request may be in the
/// socket that the client sent before the stop.
const LINGER: Duration = Duration::from_millis(50);

/// Marks a response that goes on until one side ends it. No other request follows on its
/// connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Endless;

/// The address at the other end of a request's connection. None for a Unix socket.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Peer(pub(in crate::http) Option<IpAddr>);

/// Serves one connection until it ends, a timeout expires or, after `stop`, the last response is
/// out.
pub(super) async fn serve(
    (stream, peer): (Socket, Option<Peer>),
    watch: Arc<Watch>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> End {
    let io = Watched { io: TokioIo::new(stream), watch: Arc::clone(&watch) };
    let (answers, stopped) = (Arc::clone(&watch), stop.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        answers.enter(Phase::Answering);
        // Most taps have no body, so no extractor would look for the watch.
        if !request.body().is_end_stream() {
            request.extensions_mut().insert(Arc::clone(&answers));
        }
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let answer = router.clone().call(request.map(Body::new));
        let (answers, stopped) = (Arc::clone(&answers), stopped.clone());
        async move {
            let mut answer = answer.await?;
            // Tells the client about the stop, even if hyper does not know about it yet.
            if stopped.is_cancelled() || answers.is_refused() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if let Some(large) = answer.extensions_mut().remove::<Arc<OnItsWay>>() {
                large.over(&answers);
            }
            let endless = answer.extensions().get::<Endless>().is_some();
            answers.answered(if endless { Phase::Endless } else { Phase::Idle });
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        // A client that has closed its sending half still waits for its response.
        .half_close(true)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, service);
    tokio::pin!(connection);
    // A phase that begins between two looks is found at the next one: most of its time is left.
    let pause = limits.shortest_on_a_connection() / 4;
    let look = tokio::time::sleep(pause);
    tokio::pin!(look);
    let linger = tokio::time::sleep(LINGER);
    tokio::pin!(linger);
    let (mut stopping, mut told) = (false, false);
    loop {
        tokio::select! {
            // The connection first: we read what has arrived before we consider closing.
            biased;
            // An error here is the client's fault: it went away, or it did not speak HTTP.
            _ = &mut connection => return End::Done,
            () = poll_fn(|cx| watch.poll_wanted(cx)) => {
                if let Some(end) = watch.wanted_end() {
                    return end;
                }
            }
            () = &mut look => match watch.time_left(&limits, stopping) {
                Ok(left) => look.as_mut().reset(tokio::time::Instant::now() + left.min(pause)),
                Err(end) => return end,
            },
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

/// The client's socket. It tells the watch about each read and write.
struct Watched {
    io: TokioIo<Socket>,
    watch: Arc<Watch>,
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); READ_AT_ONCE];
        let room = buf.remaining().min(READ_AT_ONCE);
        let mut read = ReadBuf::uninit(&mut bytes[..room]);
        ready!(Pin::new(self.io.inner_mut()).poll_read(cx, &mut read))?;
        let read = read.filled();
        if !self.watch.received(read.len()) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        buf.put_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl Watched {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.written(written.is_ready());
        written
    }

    /// Whether the client has gone. With `half_close`, hyper does not check that while it sends a
    /// response, and nothing else would end an endless one.
    fn poll_gone(&self, cx: &mut Context<'_>) -> bool {
        matches!(self.io.inner().poll_gone(cx), Poll::Ready(true))
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
        // hyper flushes each time that the connection's task wakes.
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
