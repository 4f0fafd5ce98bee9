//! The addresses on which media is received, and those announced to clients.

use crate::error::StartError;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use switchyard_media::Bandwidth;

/// The address plan of the media workers.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaConfig {
    /// Addresses to bind; an unspecified one (`0.0.0.0`, `::`) stands for every address of its family that the host has.
    pub bind: Vec<IpAddr>,
    /// UDP port of the first worker; worker `i` listens on `port + i`. 0 takes any free ports.
    pub port: u16,
    /// Worker threads. One per core is best: no other thread handles packets.
    pub workers: usize,
    /// The share of the workers' time, 0 to 1, above which new routers and new participants are refused.
    pub max_load: f64,
    /// Packets that a client may send per second on one transport; see
    /// [`switchyard_media::Config::max_packet_rate`].
    pub max_packet_rate: u32,
    /// Addresses announced to clients instead of the bound ones, for a NAT that keeps port numbers.
    pub announced: Vec<IpAddr>,
    pub sending: Sending,
}

/// Which packets are sent, and how they are combined into fewer send calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// How long media may wait for more media to be sent with it, at most [`Self::MAX_COALESCE`]. A longer
    /// time saves send calls and adds as much delay.
    pub coalesce: Duration,
    /// Packets that differ a little in size may be padded; see [`switchyard_media::Config::padding`].
    pub padding: bool,
    /// See [`switchyard_media::Config::bandwidth`].
    pub bandwidth: Bandwidth,
}

impl Sending {
    /// The longest time to coalesce: more delay would be noticed in a conversation.
    pub const MAX_COALESCE: Duration = Duration::from_millis(1);
}

impl Default for Sending {
    /// Media is sent at once, and padded.
    fn default() -> Self {
        Self { coalesce: Duration::ZERO, padding: true, bandwidth: Bandwidth::Unlimited }
    }
}

/// An address to bind, and whether the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BindAddress {
    pub(crate) ip: IpAddr,
    /// Binding a named address must succeed. An address found on an interface may be gone already, or not
    /// ready yet (IPv6 duplicate address detection).
    pub(crate) required: bool,
}

impl MediaConfig {
    /// One entry per address, because each address gets its own socket: a reply must be sent from the address
    /// that the request was sent to.
    pub(crate) fn bind_addresses(&self) -> Result<Vec<BindAddress>, StartError> {
        let mut addresses: Vec<BindAddress> = Vec::new();
        let mut add = |address: BindAddress| {
            if !addresses.iter().any(|known| known.ip == address.ip) {
                addresses.push(address);
            }
        };
        for &ip in &self.bind {
            if ip.is_unspecified() {
                let same_family = host_addresses()?.into_iter().filter(|host| host.is_ipv4() == ip.is_ipv4());
                same_family.for_each(|ip| add(BindAddress { ip, required: false }));
            } else {
                add(BindAddress { ip, required: true });
            }
        }
        Ok(addresses)
    }

    pub(crate) fn port_of(&self, worker: u16) -> Result<u16, StartError> {
        if self.port == 0 {
            return Ok(0);
        }
        self.port.checked_add(worker).ok_or_else(|| self.port_range())
    }

    /// The error that the port numbers do not suffice for all workers.
    pub(crate) fn port_range(&self) -> StartError {
        StartError::PortRange { port: self.port, workers: self.workers }
    }

    /// The host candidates of a worker bound to `bound`, most preferred first.
    pub(crate) fn candidates(&self, bound: &[SocketAddr]) -> Result<Vec<SocketAddr>, StartError> {
        if self.announced.is_empty() {
            return Ok(bound.to_vec());
        }
        let announce = |&ip: &IpAddr| {
            let socket = bound.iter().find(|socket| socket.is_ipv4() == ip.is_ipv4());
            socket.map(|socket| SocketAddr::new(ip, socket.port())).ok_or(StartError::NotBound(ip))
        };
        self.announced.iter().map(announce).collect()
    }
}

/// Addresses of running interfaces that another host, or a browser on this one, can send to: reachable ones first,
/// loopback last.
fn host_addresses() -> Result<Vec<IpAddr>, StartError> {
    let interfaces = getifaddrs().map_err(|errno| StartError::Interfaces(errno.into()))?;
    let mut addresses: Vec<IpAddr> = interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        })
        .filter(|&ip| is_announceable(ip))
        .collect();
    addresses.sort_by_key(IpAddr::is_loopback);
    Ok(addresses)
}

/// Link-local addresses need a zone, which an ICE candidate cannot carry.
fn is_announceable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn an_unspecified_address_stands_for_every_host_address_of_its_family() {
        let config = config(vec![Ipv4Addr::UNSPECIFIED.into()], 0);
        let addresses = config.bind_addresses().unwrap();
        assert!(addresses.contains(&BindAddress { ip: Ipv4Addr::LOCALHOST.into(), required: false }));
        assert!(addresses.iter().all(|address| address.ip.is_ipv4() && !address.ip.is_unspecified()));
    }

    #[test]
    fn an_address_named_twice_is_bound_once() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let addresses =
            config(vec![loopback, loopback, Ipv4Addr::UNSPECIFIED.into()], 0).bind_addresses().unwrap();
        assert_eq!(addresses.iter().filter(|address| address.ip == loopback).count(), 1);
    }

    #[test]
    fn workers_listen_on_successive_ports() {
        let config = config(vec![], 65_534);
        assert_eq!(config.port_of(1).unwrap(), 65_535);
        assert!(matches!(config.port_of(2), Err(StartError::PortRange { port: 65_534, .. })));
    }

    #[test]
    fn announced_addresses_replace_the_bound_ones_and_keep_the_port() {
        let announced: IpAddr = "203.0.113.5".parse().unwrap();
        let config = MediaConfig { announced: vec![announced], ..config(vec![], 40_000) };
        let bound = [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 40_000)];
        assert_eq!(config.candidates(&bound).unwrap(), [SocketAddr::new(announced, 40_000)]);
    }

    #[test]
    fn an_announced_address_of_an_unbound_family_is_refused() {
        let announced = vec![Ipv6Addr::LOCALHOST.into()];
        let config = MediaConfig { announced, ..config(vec![], 40_000) };
        let bound = [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 40_000)];
        assert!(matches!(config.candidates(&bound), Err(StartError::NotBound(_))));
    }

    #[test]
    fn link_local_addresses_are_not_announced() {
        assert!(!is_announceable("fe80::1".parse().unwrap()));
        assert!(!is_announceable("169.254.1.1".parse().unwrap()));
        assert!(is_announceable("::1".parse().unwrap()));
    }

    fn config(bind: Vec<IpAddr>, port: u16) -> MediaConfig {
        MediaConfig {
            bind,
            port,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: 10_000,
            announced: vec![],
            sending: Sending::default(),
        }
    }
}
