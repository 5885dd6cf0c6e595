//! `onetap health`: asks a running service whether it can count taps. For containers, which have no
//! curl.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use url::Url;

use crate::app::{Failure, say};
use crate::config::{Config, ConfigError, HealthArgs, Listen, Settings};

/// The most bytes of an answer that are read. The real ones have less than a thousand.
const LONGEST_ANSWER: u64 = 64 * 1024;

pub(super) fn run(args: &HealthArgs, settings: &Settings) -> Result<(), Failure> {
    let target = match &args.url {
        Some(url) => Target::at_url(url)?,
        None => {
            let config = Config::new(settings)?;
            let path = config.base_path.join("/readyz");
            let target = match &config.admin_listen {
                Some(listen) => Target::at_listen("--admin-listen", listen)?,
                None => Target::at_listen("--listen", &config.listen)?,
            };
            Target { path, ..target }
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async { timeout(args.timeout, target.ask()).await });
    let answer = match asked {
        Err(_) => Err(format!("no answer within {}", seconds(args.timeout))),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(bytes)) => judge(&bytes),
    };
    let name = &target.name;
    match answer {
        Ok(()) => say(&format!("{name} can count taps\n")),
        Err(why) => Err(Failure::Unready(format!("{name}: {why}"))),
    }
}

/// A service, and how to reach it.
struct Target {
    /// What messages call it.
    name: String,
    /// The request's `Host` and path.
    host: String,
    path: String,
    place: Place,
}

enum Place {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Target {
    /// The service that runs on this machine, and listens here.
    fn at_listen(flag: &str, listen: &Listen) -> Result<Self, Failure> {
        let (name, place) = match listen {
            Listen::Unix(path) => (listen.to_string(), Place::Unix(path.clone())),
            Listen::Tcp(address) if address.port() == 0 => {
                let why = "port 0 is any port, so `health` cannot know which";
                return Err(ConfigError::new(flag, why, "name the service by --url").into());
            }
            Listen::Tcp(address) => {
                let address = SocketAddr::new(reachable(address.ip()), address.port());
                let place = Place::Tcp(address.ip().to_string(), address.port());
                (format!("http://{address}"), place)
            }
        };
        Ok(Self { name, host: "localhost".into(), path: "/readyz".into(), place })
    }

    fn at_url(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            ConfigError::new("--url", what, "write an address such as http://127.0.0.1:8080").into()
        };
        let url = Url::parse(text).map_err(|_| wrong("it is not a URL"))?;
        if url.scheme() != "http" {
            return Err(wrong("only http:// can be asked: TLS is the proxy's"));
        }
        let Some(host) = url.host_str() else { return Err(wrong("it names no host")) };
        // Only this path tells whether the service can count taps.
        let base = url.path().trim_end_matches('/');
        let base = base.strip_suffix("/readyz").unwrap_or(base);
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self {
            name: format!("http://{host}:{port}"),
            host: format!("{host}:{port}"),
            path: format!("{base}/readyz"),
            place: Place::Tcp(host.trim_matches(['[', ']']).to_owned(), port),
        })
    }

    async fn ask(&self) -> io::Result<Vec<u8>> {
        match &self.place {
            Place::Tcp(host, port) => {
                self.talk(TcpStream::connect((host.as_str(), *port)).await?).await
            }
            Place::Unix(path) => self.talk(UnixStream::connect(path).await?).await,
        }
    }

    async fn talk(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<Vec<u8>> {
        let Self { host, path, .. } = self;
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// An address that listens on all interfaces is asked on loopback.
pub(super) fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Reads the status, and why the service is not ready.
fn judge(answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match status {
        Some("200") => Ok(()),
        Some(status) => {
            let problem: Option<Value> = serde_json::from_str(body).ok();
            let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
            Err(format!("{status}, {}", detail.unwrap_or("and no reason")))
        }
        None => Err("what answers there does not speak HTTP".into()),
    }
}

fn seconds(timeout: Duration) -> String {
    humantime::format_duration(timeout).to_string()
}
