//! Hosts to listen on: addresses, or names such as localhost.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use switchyard_call_control::address::is_of_one_host;
use switchyard_call_control::origin::Authority;

/// An address, or a name that is looked up at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

#[derive(Debug, thiserror::Error)]
#[error("neither an address such as 127.0.0.1 or :: nor a name such as localhost")]
pub(crate) struct InvalidHost;

#[derive(Debug, thiserror::Error)]
pub(crate) enum UnusableHost {
    #[error("{setting}: {name} cannot be looked up: {reason}")]
    LookUp { setting: &'static str, name: String, reason: io::Error },
    #[error("{setting}: {name} has no address")]
    NoAddress { setting: &'static str, name: String },
    #[error("{setting}: nobody can listen on {address}, a {NOT_REACHABLE} address")]
    NotReachable { setting: &'static str, address: IpAddr },
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let text = text.trim();
        let is_name = || !text.contains(':') && text.parse::<Authority>().is_ok();
        if text.parse::<IpAddr>().is_ok() || is_name() { Ok(Self(text.to_owned())) } else { Err(InvalidHost) }
    }
}

impl Host {
    /// The address to bind. Of a name with several, an IPv4 address comes first, as it does without the setting.
    pub(crate) fn resolve(&self, setting: &'static str) -> Result<IpAddr, UnusableHost> {
        let address = self.look_up(setting)?;
        if address.is_unspecified() || is_reachable(address) {
            Ok(address)
        } else {
            Err(UnusableHost::NotReachable { setting, address })
        }
    }

    fn look_up(&self, setting: &'static str) -> Result<IpAddr, UnusableHost> {
        let name = &self.0;
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        let found = (name.as_str(), 0).to_socket_addrs();
        let found = found.map_err(|reason| UnusableHost::LookUp { setting, name: name.clone(), reason })?;
        let addresses: Vec<IpAddr> = found.map(|address: SocketAddr| address.ip()).collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| UnusableHost::NoAddress { setting, name: name.clone() })
    }
}

/// Whether others can send to this address. A link-local IPv6 address needs a zone (RFC 4007 §6), which neither
/// a setting nor an ICE candidate has.
pub(crate) fn is_reachable(address: IpAddr) -> bool {
    let needs_zone = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    is_of_one_host(address) && !needs_zone
}

/// The kinds of addresses that are not reachable, for messages.
pub(crate) const NOT_REACHABLE: &str = "broadcast, multicast, link-local IPv6 or IPv4-mapped IPv6";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name() {
        for (text, address) in
            [("127.0.0.1", "127.0.0.1"), ("::", "::"), (" ::1 ", "::1"), ("localhost", "127.0.0.1")]
        {
            let host: Host = text.parse().unwrap();
            assert_eq!(host.resolve("HOST").unwrap().to_string(), address, "{text}");
        }
        for bad in ["", "localhost:3000", "http://localhost", "a b", "[::1]", "127.0.0.1/8"] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_listens_on_an_address_that_no_host_has() {
        for bad in
            ["255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "fe80::1"]
        {
            let error = bad.parse::<Host>().unwrap().resolve("HOST").unwrap_err();
            assert!(matches!(error, UnusableHost::NotReachable { .. }), "{bad}: {error}");
            assert!(error.to_string().starts_with("HOST: "), "{error}");
        }
    }
}
