//! What the payload types of a producer are good for.

use crate::rtp::PayloadType;

/// The payload types a producer announced, and what they are good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formats {
    pub(crate) media: PayloadType,
    pub(crate) rtx: Option<PayloadType>,
    pub(crate) clock_rate: u32,
    /// The codec's feedback has generic NACK.
    pub(crate) nack: bool,
}

/// What a packet is to its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Media,
    Rtx,
}
