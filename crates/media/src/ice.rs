//! ICE-lite (RFC 8445 §2.5): we never send checks, we answer them, and remember which tuples were validated
//! as the client's. [`IceLite`] is one transport's agent; [`local_username_fragment`] shows which agent a
//! check is for.

mod agent;
mod credentials;
mod stun;

pub(crate) use agent::{Changes, IceLite};
pub(crate) use credentials::Credentials;
pub(crate) use stun::local_username_fragment;

use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// The path of a datagram: replies leave from the local address they came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub protocol: Protocol,
    pub remote: SocketAddr,
    pub local: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Udp,
    Tcp,
}

impl Tuple {
    /// The same tuple with IPv4-mapped IPv6 addresses, as a dual-stack socket reports them, written as IPv4.
    pub(crate) fn canonical(self) -> Self {
        let canonical = |address: SocketAddr| match address.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
            IpAddr::V6(_) => address,
        };
        Self { protocol: self.protocol, local: canonical(self.local), remote: canonical(self.remote) }
    }
}

/// State of ICE, named as in the W3C's RTCIceTransportState.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IceState {
    /// No valid check yet.
    New,
    /// A tuple is valid and in use, though the client has not nominated one.
    Connected,
    /// The client nominated the tuple in use.
    Completed,
    /// No valid check for 30 s, so consent to send is gone (RFC 7675 §5.1); the next valid check brings it back.
    Disconnected,
}
