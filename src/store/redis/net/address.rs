//! The address of a Redis, with user and password, as `--store` has it:
//! `redis[s][+sentinel|+cluster]://[user:password@]host[:port][,host[:port]…][/…]`.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use percent_encoding::percent_decode_str;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// A text that onetap never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// A host name or an IP address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// How a Redis is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployment {
    /// One server.
    Single(Node),
    /// A primary that sentinels know under a name.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<Node>,
        /// The name of the primary at the sentinels.
        name: String,
    },
    /// Some nodes of a cluster; they name the others.
    Cluster(Vec<Node>),
}

/// The address of a Redis, and the user to log in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The servers.
    pub deployment: Deployment,
    /// Whether connections use TLS.
    pub tls: bool,
    /// The number of the database.
    pub database: u16,
    /// The user name, if not the default one.
    pub username: Option<String>,
    /// The password, if any.
    pub password: Option<Secret>,
}

/// Why a text is not an address. It never repeats the text, which may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAddress(&'static str);

impl Address {
    /// The servers without user and password, for the log.
    pub(crate) fn place(&self) -> String {
        let list =
            |nodes: &[Node]| nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match &self.deployment {
            Deployment::Single(node) => format!("{node}/{}", self.database),
            Deployment::Sentinel { sentinels, name } => {
                format!("{}/{name}/{}", list(sentinels), self.database)
            }
            Deployment::Cluster(seeds) => list(seeds),
        }
    }
}

/// The address with its password hidden.
impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let form = match self.deployment {
            Deployment::Single(_) => "",
            Deployment::Sentinel { .. } => "+sentinel",
            Deployment::Cluster(_) => "+cluster",
        };
        let who = self.username.is_some() || self.password.is_some();
        write!(f, "redis{tls}{form}://{}{}", if who { "***@" } else { "" }, self.place())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidAddress(
            "it does not begin with redis://, rediss:// (TLS), redis+sentinel:// or \
             redis+cluster://",
        ))?;
        let (protocol, form) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match protocol {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidAddress("it begins with neither redis:// nor rediss:// (TLS)")),
        };
        let before_hosts = rest.rfind('@').map_or("", |at| &rest[..at]);
        if before_hosts.contains(['/', '?', '#']) || before_hosts.contains(char::is_whitespace) {
            return Err(InvalidAddress(
                "its user or password has a `/`, `?`, `#` or white space; percent-encode it (%2F, \
                 %3F, %23, %20), or give the password in --redis-password-file",
            ));
        }
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err(InvalidAddress("it has a `?`, a `#` or white space; remove it"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, hosts) = match authority.rsplit_once('@') {
            Some((who, hosts)) => (Some(who), hosts),
            None => (None, authority),
        };
        let (username, password) = who.map_or(Ok((None, None)), credentials)?;
        let (deployment, database) = match form {
            "" => (Deployment::Single(node(hosts, REDIS_PORT)?), database(path)?),
            "sentinel" => {
                let (name, path) = path.split_once('/').unwrap_or((path, ""));
                let sentinels = nodes(hosts, SENTINEL_PORT)?;
                (Deployment::Sentinel { sentinels, name: sentinel_name(name)? }, database(path)?)
            }
            "cluster" if database(path) == Ok(0) => {
                (Deployment::Cluster(nodes(hosts, REDIS_PORT)?), 0)
            }
            "cluster" => {
                return Err(InvalidAddress("a cluster has database 0 only; leave the number out"));
            }
            _ => return Err(InvalidAddress("after the `+` it has neither sentinel nor cluster")),
        };
        Ok(Self { deployment, tls, database, username, password })
    }
}

fn credentials(who: &str) -> Result<(Option<String>, Option<Secret>), InvalidAddress> {
    let decoded = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(String::from).map_err(|_| {
            InvalidAddress("its user or password is not UTF-8; percent-encode the UTF-8 bytes")
        })
    };
    let (user, password) = match who.split_once(':') {
        Some((user, password)) => (user, Some(Secret(decoded(password)?))),
        None => (who, None),
    };
    Ok(((!user.is_empty()).then(|| decoded(user)).transpose()?, password))
}

fn nodes(hosts: &str, default_port: u16) -> Result<Vec<Node>, InvalidAddress> {
    hosts.split(',').map(|host| node(host, default_port)).collect()
}

fn node(text: &str, default_port: u16) -> Result<Node, InvalidAddress> {
    const INVALID: InvalidAddress = InvalidAddress("its host does not have the form host[:port]");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(INVALID)?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(INVALID);
            }
            (
                host,
                if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(INVALID)?) },
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !(host.chars().all(plain) || text.starts_with('[')) {
        return Err(INVALID);
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| INVALID))?;
    if port == 0 { Err(INVALID) } else { Ok(Node { host: host.to_owned(), port }) }
}

fn database(path: &str) -> Result<u16, InvalidAddress> {
    let digits = path.bytes().all(|byte| byte.is_ascii_digit());
    match path {
        "" => Ok(0),
        _ if digits => path.parse().map_err(|_| InvalidAddress("its database is too large")),
        _ => Err(InvalidAddress("its path is not the number of a database")),
    }
}

fn sentinel_name(name: &str) -> Result<String, InvalidAddress> {
    // The characters that Redis allows in the name of a primary.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(InvalidAddress(
            "it lacks the name of the primary; write redis+sentinel://host[:port],…/name[/database]",
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        text.parse().expect(text)
    }

    #[test]
    fn every_form_is_read_and_shown_without_its_secrets() {
        for (text, shown) in [
            ("redis://h", "redis://h:6379/0"),
            ("redis://h:1/", "redis://h:1/0"),
            ("rediss://[::1]:7/15", "rediss://[::1]:7/15"),
            ("redis://[::1]", "redis://[::1]:6379/0"),
            ("redis://:pw@h", "redis://***@h:6379/0"),
            ("redis://user@h", "redis://***@h:6379/0"),
            ("redis+sentinel://u:p@a,b:1/main", "redis+sentinel://***@a:26379,b:1/main/0"),
            ("rediss+sentinel://a/main/3", "rediss+sentinel://a:26379/main/3"),
            ("redis+cluster://a,b:2,c", "redis+cluster://a:6379,b:2,c:6379"),
            ("rediss+cluster://a/0", "rediss+cluster://a:6379"),
        ] {
            assert_eq!(parse(text).to_string(), shown, "{text}");
        }
    }

    #[test]
    fn credentials_are_percent_decoded_and_never_debugged() {
        let address = parse("redis://us%40er:p%40ss%2Fw%3Aord@h");
        assert_eq!(address.username.as_deref(), Some("us@er"));
        assert_eq!(address.password.as_ref().map(Secret::expose), Some("p@ss/w:ord"));
        assert_eq!(parse("redis://:p:w@h").password, Some(Secret("p:w".into())));
        let debugged = format!("{address:?}");
        assert!(!debugged.contains("p@ss"), "{debugged}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "redis://",
            "redis://h:port",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:",
            "redis://h/-1",
            "redis://h/x",
            "redis://h/1/2",
            "redis://h?x=1",
            "redis://h#1",
            "redis://a,b",
            "redis://a b",
            "redis://[::1",
            "redis://[x]",
            "redis://::1",
            "redis:/h",
            "http://h",
            "redis+x://h",
            "h:6379",
            "redis+sentinel://h",
            "redis+sentinel://h/",
            "redis+sentinel://h/a b",
            "redis+sentinel:///a",
            "redis+sentinel://h,/a",
            "redis+cluster://",
            "redis+cluster://a,,b",
            "redis+cluster://a/1",
            "redis://h/99999",
            "redis://%ff:x@h",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
