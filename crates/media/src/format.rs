//! What the payload types of a producer are good for.

use crate::rtp::PayloadType;

/// The payload types that a producer announced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formats {
    pub(crate) media: PayloadType,
    pub(crate) rtx: Option<PayloadType>,
    pub(crate) clock_rate: u32,
    /// The codec's feedback includes generic NACK (RFC 4585 §6.2.1).
    pub(crate) nack: bool,
}

/// Whether a packet carries media or a retransmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Media,
    Rtx,
}
