//! H.264 in packetization mode 1 (RFC 6184): single NAL units or FU-A fragments, followed by filler units.

use super::{Frame, Payloads};
use crate::stamp::Stamp;

pub(super) fn packetize(packet_size: usize, frame: Frame<'_>, payloads: &mut Payloads) {
    for unit in units(frame.encoded) {
        push_unit(packet_size, unit, payloads);
    }
    let filling = frame.packets.saturating_sub(payloads.ends.len() + 1);
    for _ in 0..filling {
        push_filler(packet_size, &[], payloads);
    }
    // A frame that needs no padding gets the smallest filler unit that holds the stamp.
    let fits = frame.packets > payloads.ends.len();
    push_filler(if fits { packet_size } else { 0 }, &frame.stamp.encode(), payloads);
}

/// The NAL units of a clip's frame; in the clip each is preceded by its length.
fn units(mut encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = encoded.split_first_chunk::<4>()?;
        let (unit, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        encoded = rest;
        Some(unit)
    })
}

fn push_unit(packet_size: usize, unit: &[u8], payloads: &mut Payloads) {
    if unit.len() <= packet_size {
        payloads.push(&[unit]);
        return;
    }
    let Some((&header, body)) = unit.split_first() else { return };
    let chunks = body.chunks(packet_size - FU_LEN);
    let last = chunks.len() - 1;
    for (index, chunk) in chunks.enumerate() {
        // The FU indicator with the unit's NRI and type 28, then the FU header with S, E and the unit's type
        // (§5.8).
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index == last { 0x40 } else { 0 };
        payloads.push(&[&[header & 0xe0 | FU_A, start | end | header & 0x1f], chunk]);
    }
}

/// A filler data unit of at least `length` bytes, with `tail` before the stop bit.
fn push_filler(length: usize, tail: &[u8], payloads: &mut Payloads) {
    let filling = length.saturating_sub(1 + tail.len() + TRAILING_LEN);
    payloads.bytes.push(FILLER);
    payloads.bytes.resize(payloads.bytes.len() + filling, 0xff);
    payloads.push(&[tail, &[STOP_BIT]]);
}

const FU_A: u8 = 28;
const FU_LEN: usize = 2;
const FILLER: u8 = 12;
const STOP_BIT: u8 = 0x80;
pub(super) const TRAILING_LEN: usize = 1;
const _: () = assert!(Stamp::LEN + 2 < 100, "the stamp fits the smallest packet size");

#[cfg(test)]
mod tests {
    use super::super::VideoCodec;
    use super::super::tests::{PACKET_SIZE, cut};
    use rtc_rtp::codec::h264::H264Packet;
    use rtc_rtp::packetizer::Depacketizer;

    #[test]
    fn units_come_back_whole_and_filler_brings_the_frame_to_its_packets() {
        let slice = [vec![0x65], vec![7; 3_000]].concat();
        let encoded = [&6_u32.to_be_bytes()[..], &[0x67, 1, 2, 3, 4, 5], &3_001_u32.to_be_bytes(), &slice];
        let payloads = cut(VideoCodec::H264, &encoded.concat(), 8);
        assert_eq!(payloads.len(), 8);
        assert!(payloads[4..].iter().all(|payload| payload.len() == PACKET_SIZE && payload[0] == 12));
        let mut parsed = H264Packet::default();
        let frame: Vec<u8> = payloads[..4]
            .iter()
            .flat_map(|payload| parsed.depacketize(&payload.clone().into()).unwrap())
            .collect();
        let start = [0, 0, 0, 1];
        assert_eq!(frame, [&start[..], &[0x67, 1, 2, 3, 4, 5], &start, &slice].concat());
    }
}
