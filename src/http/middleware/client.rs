//! The address of a client, also behind proxies.
//!
//! Each proxy appends to `X-Forwarded-For` the address that it got the request from. What a client
//! wrote into the header itself stands before that. So we read from the right, and believe an entry
//! only if a proxy that the operator trusts has written it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// Text that is not a [`Network`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNetwork(String);

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let one = text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or(one).map_err(|_| {
            InvalidNetwork(format!(
                "`{text}` is not a network: write an address or a CIDR, such as 10.0.0.0/8"
            ))
        })?;
        if network.trunc() != network {
            let network = network.trunc();
            return Err(InvalidNetwork(format!("`{text}` is within a network: write {network}")));
        }
        // Callers' addresses are looked at in this form, too.
        Ok(Self(match network {
            IpNet::V6(mapped) if mapped.prefix_len() >= 96 => {
                let address = mapped.addr().to_ipv4_mapped();
                let inner = address.and_then(|it| Ipv4Net::new(it, mapped.prefix_len() - 96).ok());
                inner.map_or(network, IpNet::V4)
            }
            _ => network,
        }))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The client's address: the rightmost that is no trusted proxy's. `peer` is the address at the
/// other end of the connection; a Unix socket has none, and its peer is a proxy of this machine.
pub(super) fn address(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &[Network],
) -> Option<IpAddr> {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.0.contains(&address));
    let peer = peer.map(|peer| peer.to_canonical());
    if trusted.is_empty() || peer.is_some_and(|peer| !is_proxy(peer)) {
        return peer;
    }
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let mut nearest = peer;
    for entry in entries {
        // What a proxy could not name, nobody can. Further to the left stands what others claim.
        let Some(address) = read(entry) else { break };
        nearest = Some(address);
        if !is_proxy(address) {
            break;
        }
    }
    nearest
}

/// An address as proxies write it, some with the port.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn found(peer: &str, lines: &[&[u8]], trusted: &[&str]) -> Option<String> {
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().expect(text)).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line).expect("a header"));
        }
        address(peer.parse().ok(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_not_trusted() {
        let trusted = &["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"][..];
        for (peer, lines, client) in [
            // Nobody else is believed.
            ("192.0.2.9", &[&b"198.51.100.1"[..]][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &[b"198.51.100.1"], "198.51.100.1"),
            ("2001:db8::7", &[b"198.51.100.1"], "198.51.100.1"),
            // Forged, at each position.
            ("10.0.0.1", &[b"203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"203.0.113.7, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"10.9.9.9, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"203.0.113.7", b"198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"203.0.113.7, unknown, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"203.0.113.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.7, unknown, 10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1", &[b"203.0.113.7,"], "10.0.0.1"),
            ("10.0.0.1", &[b"\xff\xfe, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &[b"\xff\xfe"], "10.0.0.1"),
            // Spelled otherwise.
            ("10.0.0.1", &[b"198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &[b" [2001:db9::1]:443 "], "2001:db9::1"),
            ("10.0.0.1", &[b"[2001:db9::1]"], "2001:db9::1"),
            ("10.0.0.1", &[b"::ffff:198.51.100.1"], "198.51.100.1"),
            // All of them are proxies: a client inside.
            ("10.0.0.1", &[b"10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ] {
            assert_eq!(found(peer, lines, trusted).as_deref(), Some(client), "{peer} {lines:?}");
        }
        assert_eq!(found("10.0.0.1", &[b"198.51.100.1"], &[]).as_deref(), Some("10.0.0.1"));
    }

    #[test]
    fn the_peer_behind_a_unix_socket_is_a_proxy_where_proxies_are_trusted() {
        assert_eq!(found("none", &[b"203.0.113.7, 198.51.100.1"], &[]), None);
        let trusted = &["127.0.0.1"][..];
        assert_eq!(
            found("none", &[b"203.0.113.7, 198.51.100.1"], trusted).as_deref(),
            Some("198.51.100.1")
        );
        assert_eq!(found("none", &[], trusted), None);
    }

    #[test]
    fn a_network_is_an_address_or_a_cidr() {
        for good in ["10.0.0.0/8", "127.0.0.1", "::1", "2001:db8::/32", "0.0.0.0/0"] {
            let network: Network = good.parse().expect(good);
            assert!(network.to_string().starts_with(good), "{network}");
        }
        // IPv4, as a socket for both families spells it.
        for (mapped, plain) in [
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            let network: Network = mapped.parse().expect(mapped);
            assert_eq!(network.to_string(), plain);
            assert_eq!(
                found("10.0.0.1", &[b"198.51.100.1"], &[mapped]).as_deref(),
                Some("198.51.100.1")
            );
        }
        for (bad, word) in [
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("10.0.0.0/33", "is not a network"),
            ("10.0.0", "is not a network"),
            ("nginx", "is not a network"),
            ("", "is not a network"),
            ("*", "is not a network"),
        ] {
            let why = bad.parse::<Network>().expect_err(bad).to_string();
            assert!(why.contains(word), "{bad}: {why}");
        }
    }
}
