//! Which host names the service accepts.
//!
//! Without authentication the listen address is the only guard, and a browser lets a web page past
//! it. DNS rebinding makes the page's own name mean 127.0.0.1. Then the page has the service's
//! origin, and only `Host` still shows the name under which it was opened.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::Request;
use axum::http::Version;
use axum::http::header::HOST;
use url::Host;

use super::super::problem::{Code, Problem};

/// Orchestrators and scrapers call these paths under any name. The responses reveal no reaction.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// A host name, without a port, that the service accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(Host);

/// Text that is not a [`HostName`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidHostName(String);

impl FromStr for HostName {
    type Err = InvalidHostName;

    fn from_str(text: &str) -> Result<Self, InvalidHostName> {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let bare = bare.split(['/', '?', '#']).next().unwrap_or_default();
        match read(bare) {
            Some(_) if bare == text && port_of(text).is_empty() => {}
            Some(host) => {
                return Err(InvalidHostName(format!(
                    "`{text}` is more than a host name: write `{host}`"
                )));
            }
            None => {
                return Err(InvalidHostName(format!(
                    "`{text}` is not a host name, such as `forum.example`"
                )));
            }
        }
        let host = read(text).map(Self);
        host.ok_or_else(|| InvalidHostName(format!("`{text}` is not a host name")))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The host names that this service accepts.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The listen address. None for a Unix socket, which no web page can reach.
    listen: Option<SocketAddr>,
    named: Vec<HostName>,
    /// The value that most requests have, to compare byte by byte.
    usual: String,
}

impl Hosts {
    /// Accepts the loopback names, the listen address and `named`.
    pub fn new(listen: Option<SocketAddr>, named: Vec<HostName>) -> Self {
        let usual = listen.map(|address| address.to_string()).unwrap_or_default();
        Self { listen, named, usual }
    }

    /// Why the service refuses the request. None if its host is accepted.
    pub(super) fn refusal(&self, route: Option<&str>, request: &Request) -> Option<Problem> {
        let mut said = request.headers().get_all(HOST).iter();
        let (first, second) = (said.next(), said.next());
        if second.is_some() {
            return Some(invalid("the request has more than one Host header; send one"));
        }
        let Some(header) = first else {
            // HTTP/1.0 has no `Host`, and no browser speaks HTTP/1.0.
            let wanted = request.version() >= Version::HTTP_11;
            return wanted.then(|| invalid("HTTP/1.1 requires a Host header (RFC 9112); send one"));
        };
        let listen = self.listen?;
        if route.is_some_and(|route| EXEMPT.contains(&route)) {
            return None;
        }
        // An absolute URI in the request line takes precedence over the header.
        let said = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None if header.as_bytes() == self.usual.as_bytes() => return None,
            None => match std::str::from_utf8(header.as_bytes()) {
                Ok(said) => said,
                Err(_) => return Some(invalid("the Host header is not text")),
            },
        };
        let Some(host) = read(said) else {
            return Some(invalid("the Host header is not a host name with or without a port"));
        };
        if self.allows(&host, listen) {
            return None;
        }
        let detail = format!(
            "this service does not answer to `{host}`: use a loopback name or the address that it \
             listens on, or start it with --allowed-host {host}"
        );
        Some(Problem::new(Code::ForeignHost, detail))
    }

    fn allows(&self, host: &Host, listen: SocketAddr) -> bool {
        let by_address = |ip: IpAddr| {
            let ip = ip.to_canonical();
            ip.is_loopback() || listen.ip().is_unspecified() || ip == listen.ip().to_canonical()
        };
        let good = match host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(ip) => by_address((*ip).into()),
            Host::Ipv6(ip) => by_address((*ip).into()),
        };
        good || self.named.iter().any(|named| named.0 == *host)
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::InvalidHost, detail)
}

/// The host of `HOST` or `HOST:PORT` as URLs spell it: in lower case, without a final dot.
fn read(said: &str) -> Option<Host> {
    let port = port_of(said);
    let name = said.strip_suffix(port)?;
    let digits = port.strip_prefix(':').unwrap_or_default();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match Host::parse(name).ok()? {
        Host::Domain(name) if !name.bytes().all(plain) => None,
        host => Some(host),
    }
}

/// The port with its colon, or the empty text.
fn port_of(said: &str) -> &str {
    match said.rfind(':') {
        Some(colon) if !said[colon..].contains(']') => &said[colon..],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(listen: &str, host: &str) -> Option<String> {
        let named = ["forum.example", "münchen.example"].map(|name| name.parse().expect(name));
        let hosts = Hosts::new(Some(listen.parse().expect(listen)), named.into());
        let request = Request::builder().uri("/v1/x").header(HOST, host);
        let request = request.body(axum::body::Body::empty()).expect(host);
        let refusal = hosts.refusal(Some("/v1/x"), &request)?;
        Some(format!("{refusal:?}"))
    }

    #[test]
    fn a_service_answers_to_its_own_names_however_they_are_spelled() {
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:1",
            "demo.localhost",
            "127.0.0.1",
            "127.0.0.2:99",
            "[::1]",
            "[::1]:8080",
            "[0:0:0:0:0:0:0:1]:8080",
            "[::ffff:127.0.0.1]",
            "forum.example",
            "Forum.Example.:443",
            "xn--mnchen-3ya.example",
            "XN--MNCHEN-3YA.example:80",
        ] {
            assert_eq!(answer("127.0.0.1:8080", good), None, "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            "forum.example.evil",
            "a.forum.example",
            "10.0.0.5",
            "[fe80::1]",
            "0.0.0.0",
        ] {
            let refusal = answer("127.0.0.1:8080", bad).expect(bad);
            assert!(refusal.contains("ForeignHost"), "{bad}: {refusal}");
        }
        for bad in
            ["", ":80", "a b", "localhost:http", "user@localhost", "localhost/", "[::1", "a..b:-1"]
        {
            let refusal = answer("127.0.0.1:8080", bad).expect(bad);
            assert!(refusal.contains("InvalidHost"), "{bad}: {refusal}");
        }
    }

    /// DNS cannot rebind an address: a page opened under an address came from that very server.
    #[test]
    fn an_address_is_good_where_the_service_listens_on_it() {
        for (listen, host, good) in [
            ("0.0.0.0:80", "192.168.1.7", true),
            ("[::]:80", "192.168.1.7:80", true),
            ("[::]:80", "[2001:db8::1]", true),
            ("0.0.0.0:80", "evil.example", false),
            ("10.0.0.5:80", "10.0.0.5", true),
            ("10.0.0.5:80", "10.0.0.6", false),
            ("[2001:db8::1]:80", "[2001:0db8::1]:80", true),
        ] {
            assert_eq!(answer(listen, host).is_none(), good, "{listen} {host}");
        }
    }

    #[test]
    fn a_name_is_given_without_anything_around_it() {
        for (text, word) in [
            ("https://forum.example", "write `forum.example`"),
            ("forum.example:443", "write `forum.example`"),
            ("forum.example/path", "write `forum.example`"),
            ("*", "not a host name"),
            ("", "not a host name"),
            ("a b", "not a host name"),
        ] {
            let why = text.parse::<HostName>().expect_err(text).to_string();
            assert!(why.contains(word), "{text}: {why}");
        }
        assert_eq!(
            "Forum.Example.".parse::<HostName>().expect("a name").to_string(),
            "forum.example"
        );
    }
}
