//! The client address of a request.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

/// The client address of a request, as far as trusted proxies report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Proxies whose `X-Forwarded-For` is trusted: one address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxy {
    #[error("neither an address such as 10.0.0.1 nor a network such as 10.0.0.0/8 or fd00::/8")]
    Syntax,
    #[error("it contains 0.0.0.0 or ::, so it stands for everybody, who could then claim any address")]
    Everybody,
    #[error("no proxy has a broadcast or multicast address")]
    NoHost,
    #[error("a network of IPv4 addresses is written in IPv4, such as 10.0.0.0/8")]
    MappedNetwork,
}

impl FromStr for TrustedProxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let text = text.trim();
        let address = || text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
        let net: IpNet = text.parse().or_else(|_| address()).map_err(|_| InvalidProxy::Syntax)?;
        match net.network() {
            first if first.is_unspecified() => Err(InvalidProxy::Everybody),
            first if is_mapped(first) => Err(InvalidProxy::MappedNetwork),
            first if !is_of_one_host(first) => Err(InvalidProxy::NoHost),
            _ => Ok(Self(net)),
        }
    }
}

/// Whether this can be the address of one host: not that of many, of everybody or of nobody. An IPv4 address in
/// the form of an IPv6 address (RFC 4291 §2.5.5.2) is none either: that form is for programs, not for packets.
#[must_use]
pub fn is_of_one_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast && !is_mapped(address)
}

/// Whether this is an IPv4 address in the form of an IPv6 address.
const fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// Follows the chain of proxies from the peer towards the client, as long as the current address is a trusted
/// proxy. `forwarded` are the values of the `X-Forwarded-For` headers, in the order of the request.
pub(crate) fn client_of(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = impl AsRef<[u8]>>,
    proxies: &[TrustedProxy],
) -> ClientAddress {
    let lines: Vec<_> = forwarded.rev().collect();
    let mut entries = lines.iter().flat_map(|line| line.as_ref().rsplit(|byte| *byte == b','));
    let mut address = peer.to_canonical();
    while proxies.iter().any(|TrustedProxy(net)| net.contains(&address)) {
        let Some(before) = entries.next().and_then(parse) else { break };
        address = before;
    }
    ClientAddress(address)
}

/// Reads an address; some proxies append the port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    text.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str]) -> String {
        let proxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"].map(|proxy| proxy.parse().unwrap());
        let ClientAddress(found) = client_of(peer.parse().unwrap(), forwarded.iter(), &proxies);
        found.to_string()
    }

    #[test]
    fn nobody_but_a_trusted_proxy_says_where_a_request_comes_from() {
        assert_eq!(found("203.0.113.7", &[]), "203.0.113.7");
        assert_eq!(found("203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
        assert_eq!(found("192.0.2.2", &["198.51.100.1"]), "192.0.2.2");
        assert_eq!(found("192.0.2.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(found("::ffff:10.1.1.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(found("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn what_a_client_wrote_itself_is_not_believed() {
        assert_eq!(found("10.0.0.1", &["127.0.0.1, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(found("10.0.0.1", &["127.0.0.1", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(found("10.0.0.1", &["10.9.9.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
    }

    #[test]
    fn a_request_of_a_proxys_own_network_comes_from_there() {
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(found("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn the_walk_ends_at_what_is_no_address() {
        for bad in ["", "unknown", "198.51.100.1, _hidden", "198.51.100.1,", "\"198.51.100.1\"", "1.2.3"] {
            assert_eq!(found("10.0.0.1", &[bad]), "10.0.0.1", "{bad}");
        }
        assert_eq!(found("10.0.0.1", &["198.51.100.1, x, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_port_beside_the_address_is_no_part_of_it() {
        assert_eq!(found("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
        assert_eq!(found("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        for good in ["10.0.0.1", " 10.0.0.0/8 ", "::1", "fd00::/8", "10.1.2.3/8", "::ffff:10.0.0.1"] {
            assert!(good.parse::<TrustedProxy>().is_ok(), "{good}");
        }
        for (fault, proxies) in [
            (InvalidProxy::Syntax, &["", "10.0.0.0/33", "proxy.example", "10.0.0.1:80", "*"][..]),
            (
                InvalidProxy::Everybody,
                &["0.0.0.0", "::", "0.0.0.0/0", "::/0", "10.1.2.3/0", "::ffff:0.0.0.0"],
            ),
            (InvalidProxy::NoHost, &["255.255.255.255", "224.0.0.1", "224.0.0.0/4", "ff02::1", "ff00::/8"]),
            (InvalidProxy::MappedNetwork, &["::ffff:10.0.0.0/104", "::ffff:0:0/96"]),
        ] {
            for proxy in proxies {
                assert_eq!(proxy.parse::<TrustedProxy>(), Err(fault), "{proxy}");
            }
        }
    }
}
