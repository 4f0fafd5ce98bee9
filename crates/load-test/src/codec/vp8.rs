//! VP8 (RFC 7741).

use super::{Frame, Packetizer, Payloads};

pub(super) fn packetize(cutter: &mut Packetizer, frame: Frame<'_>, payloads: &mut Payloads) {
    cutter.fill(frame, DESCRIPTOR_LEN, 0);
    let [high, low] = cutter.picture_id.to_be_bytes();
    for (index, chunk) in cutter.scratch.chunks(cutter.packet_size - DESCRIPTOR_LEN).enumerate() {
        // X, and S in the first packet of the one partition; I; M and the 15-bit picture id (§4.2).
        let start = if index == 0 { 0x90 } else { 0x80 };
        payloads.push(&[&[start, 0x80, 0x80 | high, low], chunk]);
    }
}

const DESCRIPTOR_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::VideoCodec;
    use super::super::tests::{STAMP, cut};
    use rtc_rtp::codec::vp8::Vp8Packet;
    use rtc_rtp::packetizer::Depacketizer;

    #[test]
    fn a_receiver_gets_the_frame_back_with_only_zeros_and_the_stamp_behind_it() {
        let encoded: Vec<u8> = (0..3_000).map(|index| (index % 255) as u8).collect();
        let payloads = cut(VideoCodec::Vp8, &encoded, 5);
        let mut frame = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let mut parsed = Vp8Packet::default();
            frame.extend_from_slice(&parsed.depacketize(&payload.clone().into()).unwrap());
            assert_eq!((parsed.s == 1, parsed.picture_id), (index == 0, 8));
        }
        let (received, behind) = frame.split_at(encoded.len());
        assert_eq!(received, encoded);
        let stamp = STAMP.encode();
        assert!(behind.strip_suffix(&stamp[..]).unwrap().iter().all(|byte| *byte == 0));
    }
}
