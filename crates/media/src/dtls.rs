//! DTLS for SRTP keys and data channels (RFC 5764, RFC 8827 §6.5), behind the [`Dtls`] trait so that the library
//! under it can be exchanged. Peers are authenticated by certificate fingerprint alone.

mod allowance;
mod certificate;
mod config;
mod endpoint;
mod flight;
mod handshake;
mod hello;
mod message;
mod proof;
mod provider;
mod record;

pub use certificate::Certificate;
pub(crate) use certificate::{Fingerprint, HashAlgorithm};
pub(crate) use endpoint::RtcDtls;

use crate::srtp::Profile;
use bytes::Bytes;
use rtc_crypto::SecretVec;
use std::time::Instant;

/// One DTLS association over one ICE transport; tuples may change under it.
///
/// After each call drain [`Self::poll_transmit`] and [`Self::poll_event`], then come back at [`Self::poll_timeout`].
pub(crate) trait Dtls: Send {
    /// Begins the handshake in our `role` with a peer whose certificate has one of the `remote` fingerprints.
    /// Datagrams that came earlier are handled as if they came now.
    fn start(&mut self, now: Instant, role: DtlsRole, remote: Vec<Fingerprint>) -> Result<(), DtlsError>;

    /// Reads a datagram. Anything wrong in it is dropped silently (RFC 6347 §4.1.2.7); events tell what happened.
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);

    fn handle_timeout(&mut self, now: Instant);

    fn poll_timeout(&self) -> Option<Instant>;

    fn poll_transmit(&mut self) -> Option<Bytes>;

    fn poll_event(&mut self) -> Option<DtlsEvent>;

    /// Sends application data as one record.
    fn write(&mut self, now: Instant, data: &[u8]) -> Result<(), DtlsError>;

    /// Ends the association with close_notify, which is the last datagram it sends.
    fn close(&mut self, now: Instant);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DtlsRole {
    Client,
    Server,
}

#[derive(Debug)]
pub(crate) enum DtlsEvent {
    /// The handshake is complete and the peer's certificate is the announced one.
    Connected {
        profile: Profile,
        /// Client write key, server write key, client salt, server salt, concatenated (RFC 5764 §4.2).
        keying_material: SecretVec,
        /// Whether we are the DTLS client, so that the client's keys are the ones to send with.
        is_client: bool,
    },
    ApplicationData(Bytes),
    /// The peer ended a connected association.
    Closed,
    /// So many records or handshake messages were dropped.
    Dropped(u32),
    /// The handshake began anew so many times.
    Restarted(u32),
    /// The handshake failed.
    Failed(DtlsFailure),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DtlsFailure {
    #[error("the peer's certificate has none of the announced fingerprints")]
    FingerprintMismatch,
    #[error("the peer offers no SRTP protection profile of ours")]
    NoSrtpProfile,
    /// Encrypted: one in plaintext is not believed.
    #[error("the peer gave up by an alert")]
    Alert,
    #[error("the handshake took longer than 30 s")]
    TimedOut,
    #[error("the handshake broke down: {0}")]
    Protocol(String),
}

/// Why some data was dropped, or a start refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DtlsError {
    #[error("the handshake is not complete")]
    NotConnected,
    #[error("the handshake has been started already")]
    AlreadyStarted,
    #[error("the association has ended")]
    Ended,
    #[error("refused by the DTLS library: {0}")]
    Library(String),
}
