//! VP9 in non-flexible mode with one layer (RFC 9628).

use super::{Frame, Packetizer, Payloads};

pub(super) fn packetize(cutter: &mut Packetizer, frame: Frame<'_>, payloads: &mut Payloads) {
    cutter.fill(frame, DESCRIPTOR_LEN, INDEX_LEN);
    let [a, b, c, d] = (frame.encoded.len() as u32).to_le_bytes();
    cutter.scratch.extend_from_slice(&[INDEX_MARKER, a, b, c, d, INDEX_MARKER]);
    let [high, low] = cutter.picture_id.to_be_bytes();
    let chunks = cutter.scratch.chunks(cutter.packet_size - DESCRIPTOR_LEN);
    let last = chunks.len().saturating_sub(1);
    for (index, chunk) in chunks.enumerate() {
        // I; P unless a key frame; B and E on the frame's first and last packet (§4.2).
        let flags = 0x80
            | if frame.is_key { 0 } else { 0x40 }
            | if index == 0 { 0x08 } else { 0 }
            | if index == last { 0x04 } else { 0 };
        payloads.push(&[&[flags, 0x80 | high, low], chunk]);
    }
}

const DESCRIPTOR_LEN: usize = 3;
/// A superframe of one frame whose size is given in four bytes.
const INDEX_MARKER: u8 = 0b1101_1000;
pub(super) const INDEX_LEN: usize = 6;

#[cfg(test)]
mod tests {
    use super::super::VideoCodec;
    use super::super::tests::cut;
    use super::*;
    use rtc_rtp::codec::vp9::Vp9Packet;
    use rtc_rtp::packetizer::Depacketizer;

    #[test]
    fn the_superframe_index_names_the_frame_and_nothing_behind_it() {
        let encoded: Vec<u8> = (0..2_500).map(|index| (index % 255) as u8).collect();
        let payloads = cut(VideoCodec::Vp9, &encoded, 4);
        let mut frame = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let mut parsed = Vp9Packet::default();
            frame.extend_from_slice(&parsed.depacketize(&payload.clone().into()).unwrap());
            assert_eq!((parsed.b, parsed.e, parsed.p), (index == 0, index == 3, false));
        }
        assert_eq!(frame[..encoded.len()], encoded);
        let index = frame.last_chunk::<INDEX_LEN>().unwrap();
        assert_eq!((index[0], index[5]), (INDEX_MARKER, INDEX_MARKER));
        assert_eq!(u32::from_le_bytes(index[1..5].try_into().unwrap()), 2_500);
    }
}
