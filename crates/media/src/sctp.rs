//! SCTP for data channels (RFC 8831), carried in DTLS application data: the client initiates the association,
//! and streams are negotiated by signaling, not by DCEP (RFC 8832).

mod association;
mod guard;
mod resets;
mod stream;

pub(crate) use association::Sctp;
pub(crate) use stream::{Delivery, Reliability};

use bytes::Bytes;

/// The largest message sent or received, in bytes; what `sctpParameters.maxMessageSize` announces.
pub(crate) const MAX_MESSAGE_SIZE: usize = 262_144;

/// Number of streams in each direction, so that ids are `0..STREAMS`; announced in `sctpParameters` as OS and
/// MIS.
pub(crate) const STREAMS: u16 = 1024;

/// A data channel message. Its kind (text or binary) is kept in forwarding; both kinds may be empty (RFC 8831
/// §6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Text(Bytes),
    Binary(Bytes),
}

impl Payload {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SctpEvent {
    /// The association is up: streams can send.
    Connected,
    /// A message on a stream that is open here.
    Message { stream: u16, payload: Payload },
    /// The peer closed a stream that was open here, in both directions.
    StreamClosed { stream: u16 },
    /// A whole message was dropped; to be counted.
    Dropped(DropReason),
    /// The association ended, by the peer or by an error. This is the last event.
    Closed,
}

/// Why a received message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// DCEP (RFC 8832): an OPEN is acknowledged, but opens nothing.
    Dcep,
    /// The stream is not open here.
    UnknownStream,
    /// A payload protocol identifier that RFC 8831 §8 does not give to data channels, or has deprecated.
    UnknownProtocol,
    /// Longer than [`MAX_MESSAGE_SIZE`].
    TooLarge,
}

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SctpError {
    #[error("chunks that are not well-formed")]
    Malformed,
    #[error("a chunk that a data channel peer has no reason to send us")]
    UnexpectedChunk,
    #[error("data further ahead of what has arrived than a window")]
    TooFarAhead,
    #[error("a wrong checksum or verification tag, or data before an association")]
    NotOurs,
    #[error("more attempts at an association than retransmission explains")]
    TooManyInits,
    #[error("more stream resets than data channels explain")]
    TooManyResets,
    #[error("the association has ended")]
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SctpOpenError {
    #[error("the stream id is not below {STREAMS}")]
    InvalidId,
    #[error("the stream is open already")]
    AlreadyOpen,
    #[error("the stream's last channel is not closed at both ends yet")]
    Closing,
    #[error("the association has ended")]
    Closed,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SctpSendError {
    #[error("the association is not up yet")]
    NotConnected,
    #[error("as much is waiting to be acknowledged as the stream may keep")]
    Blocked,
    #[error("the message is longer than {MAX_MESSAGE_SIZE} bytes")]
    TooLarge,
    #[error("the stream is not open, or the association has ended")]
    Closed,
}
