//! RTP as an SFU sees it (RFC 3550, RFC 8285): borrowing views of packets, writers into the caller's buffers,
//! and small types for header values. Nothing here allocates or keeps state about peers, and all input is
//! untrusted.

mod extension;
mod header;
mod header_writer;
mod identifier;
mod layers_allocation;
mod unwrap;

use std::fmt;

pub(crate) use extension::{AudioLevel, TransportSequence};
pub(crate) use header::{FIXED_LEN, Header};
pub(crate) use header_writer::{ExtensionForm, FixedHeader, HeaderWriter, set_padding};
pub(crate) use identifier::{Mid, Rid};
pub use layers_allocation::{VideoLayerSize, VideoLayersAllocation};
pub(crate) use unwrap::SequenceUnwrapper;

/// An RTP payload type, 0..=127: a session's number for one codec with its parameters (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PayloadType(pub(crate) u8);

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A synchronisation source: one stream of packets with its own sequence and timestamp space (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ssrc(pub(crate) u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which protocol a datagram on a shared port belongs to (RFC 7983 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DatagramClass {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    /// None of the above: ZRTP, TURN channels, QUIC, or noise.
    Unknown,
}

/// Distinguishes the protocols of one port by the first bytes only; the parsers validate the rest.
pub(crate) fn classify(datagram: &[u8]) -> DatagramClass {
    match datagram {
        [0..=3, ..] => DatagramClass::Stun,
        [20..=63, ..] => DatagramClass::Dtls,
        [128..=191, ..] if is_rtcp(datagram) => DatagramClass::Rtcp,
        [128..=191, _, ..] => DatagramClass::Rtp,
        _ => DatagramClass::Unknown,
    }
}

/// Whether a packet of the RTP/RTCP class is RTCP: its second byte is an RTCP packet type (RFC 5761 §4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [_, 192..=223, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_names_the_protocol() {
        let cases = [
            (0, DatagramClass::Stun),
            (3, DatagramClass::Stun),
            (4, DatagramClass::Unknown),
            (19, DatagramClass::Unknown),
            (20, DatagramClass::Dtls),
            (63, DatagramClass::Dtls),
            (64, DatagramClass::Unknown),
            (127, DatagramClass::Unknown),
            (128, DatagramClass::Rtp),
            (191, DatagramClass::Rtp),
            (192, DatagramClass::Unknown),
        ];
        for (first, class) in cases {
            assert_eq!(classify(&[first, 96]), class, "first byte {first}");
        }
        assert_eq!(classify(&[]), DatagramClass::Unknown);
        assert_eq!(classify(&[0x80]), DatagramClass::Unknown);
    }

    #[test]
    fn the_second_byte_separates_rtcp_from_marked_rtp() {
        for packet_type in 192..=223 {
            assert_eq!(classify(&[0x80, packet_type]), DatagramClass::Rtcp);
        }
        assert_eq!(classify(&[0x80, 0x80 | 63]), DatagramClass::Rtp);
        assert_eq!(classify(&[0x80, 0x80 | 96]), DatagramClass::Rtp);
    }
}
