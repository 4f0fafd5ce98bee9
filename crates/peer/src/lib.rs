//! A headless client's transport as a state machine: ICE towards an ICE-lite server, DTLS client, SRTP; and the reports
//! of what arrived.
//!
//! Its only input from signaling is the description of a transport ([`TransportOptions`]). The caller owns
//! the socket and the clock, and passes datagrams in and out.

mod dtls;
mod ice;
mod options;
mod srtp;
mod transport;
mod twcc;

pub use dtls::Identity;
pub use options::{DtlsParameters, Fingerprint, IceCandidate, IceParameters, TransportOptions};
pub use transport::{Incoming, Transport};
pub use twcc::TwccRecorder;
