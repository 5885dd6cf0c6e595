//! `--listen`: where the service can be reached.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use super::InvalidSetting;

/// The default port.
const PORT: u16 = 8080;

/// The listen address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listen {
    /// Whether other machines may be able to connect.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }

    /// Whether only one of the two can be bound. Port 0 is a free port each time.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self == other && !matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

/// Reads `IP:PORT`, `localhost`, `localhost:PORT` or `unix:PATH`.
impl FromStr for Listen {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(InvalidSetting::new("`unix:` names no socket", "write unix:PATH")),
                _ if path.starts_with("//") => Err(InvalidSetting::new(
                    format!("`{text}` is a URL, not a path"),
                    format!("did you mean `unix:/{}`?", path.trim_start_matches('/')),
                )),
                path => Ok(Self::Unix(path.into())),
            };
        }
        address(text).map(Self::Tcp).ok_or_else(|| {
            // Guess at what was meant: an address without a port, or a port alone.
            let whole = [
                format!("{text}:{PORT}"),
                format!("[{text}]:{PORT}"),
                format!("127.0.0.1:{}", text.trim_start_matches([':', '*'])),
            ];
            let meant = whole.into_iter().find(|whole| address(whole).is_some());
            let say = meant.unwrap_or_else(|| format!("127.0.0.1:{PORT}"));
            let problem = format!("`{text}` is not IP:PORT");
            InvalidSetting::new(problem, format!("write an address such as {say}"))
        })
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    let numeric = match text.strip_prefix("localhost") {
        Some("") => format!("127.0.0.1:{PORT}"),
        Some(port) => format!("127.0.0.1{port}"),
        None => text.to_owned(),
    };
    numeric.parse().ok()
}
