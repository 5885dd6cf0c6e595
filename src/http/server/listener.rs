//! Where connections come from: a TCP port, or a Unix socket.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::super::limits::Limits;

/// How many may wait to be accepted, as far as the system allows it: a burst of connections that
/// ask nothing must not have others turned away, who would only try again after a second.
#[cfg(any(target_os = "android", target_os = "linux"))]
const BACKLOG: i32 = 4096;

/// The most that the kernel takes of an answer beyond what is under way to the client.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MOST_UNSENT_BYTES: u32 = 64 * 1024;

/// A socket that is bound.
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
    /// The address, if it is a TCP port.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Listens on the current runtime.
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

/// A socket that takes connections in.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    /// The next connection, as a worker takes it. Dropped while it waits, it loses nothing.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is small; held back by Nagle it would wait for an acknowledgement.
                stream.set_nodelay(true)?;
                // Events that a slow reader does not take are replaced by newer ones as long as
                // they are here, and not in the kernel, which would take megabytes of them.
                #[cfg(any(target_os = "android", target_os = "linux"))]
                socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MOST_UNSENT_BYTES)?;
                stream.into_std().map(Accepted::Tcp)
            }
            Self::Unix(listener) => listener.accept().await?.0.into_std().map(Accepted::Unix),
        }
    }
}

/// A connection on its way to a worker.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Accepted {
    /// The connection in its worker's runtime.
    pub(super) fn taken(self, limits: &Limits) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => {
                // A client that vanishes, such as a phone out of reach, acknowledges nothing; the
                // kernel would go on for a quarter of an hour. Twice our own patience, so that we
                // notice a client that merely does not read first, and count it.
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
    /// Looks whether the client has gone, without reading what it has sent.
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

/// Hands a call through to the socket, of whichever kind it is.
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
