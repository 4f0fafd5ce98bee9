//! Hosts to listen on: addresses, or names such as localhost.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use switchyard_call_control::origin::Authority;

/// An address, or a name that is looked up at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host(String);

#[derive(Debug, thiserror::Error)]
#[error("neither an address such as 127.0.0.1 or :: nor a name such as localhost")]
pub(crate) struct InvalidHost;

#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownHost {
    #[error("{setting}: {name} cannot be looked up: {reason}")]
    LookUp { setting: &'static str, name: String, reason: io::Error },
    #[error("{setting}: {name} has no address")]
    NoAddress { setting: &'static str, name: String },
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
    pub(crate) fn resolve(&self, setting: &'static str) -> Result<IpAddr, UnknownHost> {
        let name = &self.0;
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        let found = (name.as_str(), 0).to_socket_addrs();
        let found = found.map_err(|reason| UnknownHost::LookUp { setting, name: name.clone(), reason })?;
        let addresses: Vec<IpAddr> = found.map(|address: SocketAddr| address.ip()).collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| UnknownHost::NoAddress { setting, name: name.clone() })
    }
}

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
}
