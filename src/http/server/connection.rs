//! One client's connection: its deadlines and its end.
//!
//! hyper's own head timeout also ends connections that merely wait between requests, and does not
//! cover one on which nothing was ever sent. So a watch looks at each connection now and then and
//! closes it if it has been in one phase for too long; a request costs no timer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
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

/// The largest head that is read at all; longer ones get a bare 431 from the parser.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// So much is read at a time: one less than would make hyper's buffer grow by more than what is in
/// it. What it reads ahead of a request that is being answered is not counted, and no more either.
const READ_AT_ONCE: usize = 8 * 1024 - 1;

/// At a stop, idle connections are closed after this time: a request may be in the socket that was
/// sent before the stop.
const LINGER: Duration = Duration::from_millis(50);

/// Marks an answer that goes on until one side ends it. Nothing else is asked on its connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Endless;

/// Serves one connection until it ends, its time is over, or, after `stop`, its last answer is out.
pub(super) async fn serve(
    stream: Socket,
    watch: Arc<Watch>,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> End {
    let io = Watched { io: TokioIo::new(stream), watch: Arc::clone(&watch) };
    let (answers, stopped) = (Arc::clone(&watch), stop.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        answers.enter(Phase::Answering);
        // Most taps have no body, and nobody who would ask for this.
        if !request.body().is_end_stream() {
            request.extensions_mut().insert(Arc::clone(&answers));
        }
        let answer = router.clone().call(request.map(Body::new));
        let (answers, stopped) = (Arc::clone(&answers), stopped.clone());
        async move {
            let mut answer = answer.await?;
            // Its caller learns of the stop here, even if the connection has not been told yet.
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
            () = poll_fn(|cx| watch.poll_wanted(cx)) => {
                if let Some(end) = watch.wanted_end() {
                    return end;
                }
            }
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

/// The client's socket, telling the watch when bytes come in.
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

    /// Looks whether the client has gone. hyper, told that a client may close its half, does not
    /// look while it answers; and an endless answer has nobody else to end it.
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
