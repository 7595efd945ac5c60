//! The origin of a request, where a proxy stands in front of the service.
//!
//! A proxy tells the client's address in `X-Forwarded-For`, and in `X-Forwarded-Proto` if the client's side is
//! encrypted. Anybody can send these headers, so the service believes them only on a socket from an address
//! that the operator named.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;

use super::listener::Peer;

/// Addresses that begin alike, as `10.0.0.0/8`; a single address stands for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address with the number of its first bits, such as 10.0.0.0/8 or ::1")]
pub struct NotANetwork;

impl Network {
    /// True if an address belongs to the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) => bits.parse().map_err(|_| NotANetwork)?,
        };
        match bits <= all {
            true => Ok(Self { address, bits }),
            false => Err(NotANetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A client as far as its address goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// True if the client's own side is encrypted.
    pub(super) encrypted: bool,
}

/// The caller: the other end of the socket, or the client that a trusted proxy names.
pub(super) fn caller(trusted: &[Network], peer: &Peer, headers: &HeaderMap) -> Caller {
    let is_trusted = |address: IpAddr| trusted.iter().any(|it| it.contains(address));
    let mut caller = Caller {
        address: peer.address,
        encrypted: peer.encrypted,
    };
    if !is_trusted(peer.address) {
        return caller;
    }
    let lines = headers.get_all("X-Forwarded-For").iter();
    let named: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    // Each proxy adds the address that it saw; those in front of the first that we do not trust may
    // be made up.
    for text in named.into_iter().rev() {
        let Ok(address) = text.trim().parse::<IpAddr>() else {
            break;
        };
        caller.address = address.to_canonical();
        if !is_trusted(caller.address) {
            break;
        }
    }
    let proto = headers.get("X-Forwarded-Proto");
    caller.encrypted |= proto.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"https"));
    caller
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::shell::listener::Mark;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_alike() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains(ip("10.1.255.1")) && !network.contains(ip("10.2.0.1")));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(ip("8.8.8.8")) && !all.contains(ip("::1")));
        let one: Network = "::1".parse().unwrap();
        assert!(one.contains(ip("::1")) && !one.contains(ip("::2")));
        for text in [
            "",
            "10.0.0.0/33",
            "::1/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "a/8",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }

    fn called(peer: &str, lines: &[&'static str]) -> Caller {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("X-Forwarded-For", HeaderValue::from_static(line));
        }
        headers.insert("X-Forwarded-Proto", HeaderValue::from_static("https"));
        let peer = Peer {
            mark: Mark::default(),
            address: ip(peer),
            encrypted: false,
        };
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        caller(&trusted, &peer, &headers)
    }

    #[test]
    fn only_a_trusted_proxy_says_whom_a_request_comes_from() {
        let stranger = called("9.9.9.9", &["1.1.1.1"]);
        assert_eq!(
            (stranger.address, stranger.encrypted),
            (ip("9.9.9.9"), false)
        );
        let proxied = called("10.0.0.1", &["1.1.1.1"]);
        assert_eq!((proxied.address, proxied.encrypted), (ip("1.1.1.1"), true));
    }

    #[test]
    fn what_a_client_puts_in_front_is_not_believed() {
        assert_eq!(
            called("10.0.0.1", &["6.6.6.6, 1.1.1.1"]).address,
            ip("1.1.1.1")
        );
        assert_eq!(
            called("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.2"]).address,
            ip("1.1.1.1")
        );
        assert_eq!(
            called("10.0.0.1", &["6.6.6.6, nonsense"]).address,
            ip("10.0.0.1")
        );
        assert_eq!(called("10.0.0.1", &[]).address, ip("10.0.0.1"));
    }
}
