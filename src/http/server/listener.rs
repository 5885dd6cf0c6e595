//! The sources of connections: a TCP port or a Unix socket.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::super::limits::Limits;

/// The length of the accept queue, as far as the system allows it. Otherwise a burst of idle
/// connections would make the kernel turn others away, and those retry only after a second.
#[cfg(any(target_os = "android", target_os = "linux"))]
const BACKLOG: i32 = 4096;

/// The most unsent bytes of a response that the kernel buffers for a client.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MOST_UNSENT_BYTES: u32 = 64 * 1024;

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl Listener {
    /// The address of a TCP port. None for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Starts to listen, on the current runtime.
    pub(super) fn start(self) -> io::Result<Listening> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                #[cfg(any(target_os = "android", target_os = "linux"))]
                socket2::SockRef::from(&listener).listen(BACKLOG)?;
                tokio::net::TcpListener::from_std(listener).map(Listening::Tcp)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                #[cfg(any(target_os = "android", target_os = "linux"))]
                socket2::SockRef::from(&listener).listen(BACKLOG)?;
                tokio::net::UnixListener::from_std(listener).map(Listening::Unix)
            }
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    /// The next connection, for a worker to take. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Responses are small. Nagle's algorithm would hold them back until an
                // acknowledgement comes.
                stream.set_nodelay(true)?;
                // We replace an event that a slow client has not read by a newer one, but only
                // while the event is here. Without this limit the kernel would buffer megabytes of
                // old events.
                #[cfg(any(target_os = "android", target_os = "linux"))]
                socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT_BYTES)?;
                stream.into_std().map(Accepted::Tcp)
            }
            Self::Unix(listener) => listener.accept().await?.0.into_std().map(Accepted::Unix),
        }
    }
}

/// An accepted connection on its way to a worker.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Accepted {
    /// The address at the other end. None for a Unix socket.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok().map(|peer| peer.ip()),
            Self::Unix(_) => None,
        }
    }

    /// Registers the connection with the worker's runtime.
    pub(super) fn taken(self, limits: &Limits) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => {
                // A client that vanishes acknowledges nothing, and the kernel would retry for a
                // quarter of an hour. We allow twice our write timeout. So for a client that only
                // does not read, our own timeout comes first, which counts cut streams.
                #[cfg(any(target_os = "android", target_os = "linux"))]
                socket2::SockRef::from(&stream)
                    .set_tcp_user_timeout(Some(2 * limits.write_timeout))?;
                tokio::net::TcpStream::from_std(stream).map(Socket::Tcp)
            }
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Socket::Unix),
        }
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

impl Socket {
    /// Whether the client has closed the connection. Reads nothing.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut byte = [0];
        match self {
            Self::Tcp(stream) => {
                let peeked = ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)));
                Poll::Ready(matches!(peeked, Ok(0) | Err(_)))
            }
            Self::Unix(stream) => loop {
                if ready!(stream.poll_read_ready(cx)).is_err() {
                    return Poll::Ready(true);
                }
                let peek = || Ok(recv(stream, &mut byte, RecvFlags::PEEK)?.0);
                match stream.try_io(Interest::READABLE, peek) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    peeked => return Poll::Ready(matches!(peeked, Ok(0) | Err(_))),
                }
            },
        }
    }
}

/// Forwards a call to the socket of either kind.
macro_rules! of_either {
    ($socket:expr, $call:ident $(, $argument:expr)*) => {
        match $socket.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).$call($($argument),*),
            Socket::Unix(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of_either!(self, poll_read, cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_either!(self, poll_write, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, poll_flush, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, poll_shutdown, cx)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        of_either!(self, poll_write_vectored, cx, bufs)
    }
}
