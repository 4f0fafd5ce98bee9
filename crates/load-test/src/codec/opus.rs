//! Opus (RFC 6716, RFC 7587): a packet with one frame, rewritten with padding.

use super::stamp_before;
use crate::stamp::Stamp;
use serde_json::{Value, json};

/// Writes the encoded packet as a code 3 packet of `length` bytes, or longer if needed (§3.2.5).
pub(crate) fn payload(encoded: &[u8], length: usize, stamp: &Stamp, payload: &mut Vec<u8>) {
    payload.clear();
    let Some((toc, frame)) = encoded.split_first() else { return };
    let padding = length.saturating_sub(HEAD_LEN + frame.len()).clamp(Stamp::LEN, MAX_PADDING);
    payload.extend_from_slice(&[toc | CODE_3, PADDED_FRAME, padding as u8]);
    payload.extend_from_slice(frame);
    payload.resize(payload.len() + padding - Stamp::LEN, 0);
    payload.extend_from_slice(&stamp.encode());
}

pub(crate) fn stamp(payload: &[u8]) -> Option<Stamp> {
    stamp_before(payload, 0)
}

/// The codec as `rtpParameters` name it.
pub(crate) fn parameters(payload_type: u8) -> Value {
    json!({
        "mimeType": "audio/opus", "payloadType": payload_type, "clockRate": CLOCK_RATE, "channels": 2,
        "parameters": { "minptime": 10, "useinbandfec": 1 },
        "rtcpFeedback": [{ "type": "transport-cc", "parameter": "" }],
    })
}

pub(crate) const CLOCK_RATE: u32 = 48_000;
/// TOC, frame count and padding length.
const HEAD_LEN: usize = 3;
const CODE_3: u8 = 0x03;
/// Constant bit rate, padding, one frame.
const PADDED_FRAME: u8 = 0x41;
/// The most padding bytes that one length byte can express.
const MAX_PADDING: usize = 254;

#[cfg(test)]
mod tests {
    use super::super::tests::STAMP;
    use super::*;

    #[test]
    fn a_packet_keeps_its_frame_and_gains_padding_up_to_the_length() {
        let mut packet = Vec::new();
        payload(&[0x7c, 1, 2, 3, 4], 120, &STAMP, &mut packet);
        assert_eq!((packet.len(), packet[0], packet[1]), (120, 0x7f, 0x41));
        assert_eq!(packet[3..7], [1, 2, 3, 4]);
        assert_eq!(usize::from(packet[2]), 120 - 7);
        assert_eq!(stamp(&packet), Some(STAMP));
    }

    #[test]
    fn a_packet_that_is_long_already_grows_by_the_stamp_only() {
        let mut packet = Vec::new();
        payload(&[0x7c; 130], 120, &STAMP, &mut packet);
        assert_eq!(packet.len(), 3 + 129 + Stamp::LEN);
        assert_eq!(stamp(&packet), Some(STAMP));
    }
}
