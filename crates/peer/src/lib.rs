//! A headless client's transport as a state machine: ICE towards an ICE-lite server, DTLS client, SRTP.
//!
//! It knows a server only by what signaling says of a transport ([`TransportOptions`]). Datagrams go in and come out;
//! whoever drives it owns the socket and the clock.

mod dtls;
mod ice;
mod options;
mod srtp;
mod transport;

pub use dtls::Identity;
pub use options::{DtlsParameters, Fingerprint, IceCandidate, IceParameters, TransportOptions};
pub use transport::{Incoming, Transport};
