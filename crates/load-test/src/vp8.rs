//! Video that looks like VP8 to anything that does not decode it: valid descriptors (RFC 7741 §4.2) and frame tags
//! around noise.

use crate::cli::VideoOptions;
use bytes::Bytes;

/// Makes frames of whole packets at the wanted bit rate.
pub(crate) struct Vp8Source {
    packet_size: usize,
    bytes_per_frame: u64,
    /// Bytes that the bit rate allows and that no packet has used.
    credit: u64,
    picture_id: u16,
    key_frame_wanted: bool,
}

impl Vp8Source {
    pub(crate) fn new(options: VideoOptions) -> Self {
        Self {
            packet_size: options.packet_size,
            bytes_per_frame: options.bitrate / 8 / u64::from(options.fps),
            credit: 0,
            picture_id: rand::random::<u16>() & PICTURE_ID_MASK,
            key_frame_wanted: true,
        }
    }

    pub(crate) fn request_key_frame(&mut self) {
        self.key_frame_wanted = true;
    }

    /// The payloads of the next frame, each of the packet size; a key frame is [`KEY_FRAME_FACTOR`] times as large
    /// and not charged to the bit rate.
    pub(crate) fn next_frame(&mut self) -> Vec<Bytes> {
        let is_key = std::mem::take(&mut self.key_frame_wanted);
        self.credit += self.bytes_per_frame;
        let packets = (self.credit / self.packet_size as u64).max(1);
        self.credit = self.credit.saturating_sub(packets * self.packet_size as u64);
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MASK;
        let packets = if is_key { packets * KEY_FRAME_FACTOR } else { packets };
        (0..packets).map(|index| self.payload(index == 0, is_key)).collect()
    }

    fn payload(&self, first: bool, is_key: bool) -> Bytes {
        let mut bytes = vec![0x5a; self.packet_size];
        let [high, low] = self.picture_id.to_be_bytes();
        // X and S; I; M and the 15-bit picture id.
        let descriptor = [if first { 0x90 } else { 0x80 }, 0x80, 0x80 | high, low];
        // The frame tag (RFC 6386 §9.1): shown, version 0, and the inverse of "key" in the lowest bit; in key frames
        // followed by the start code and 640 x 360.
        let tag = [if is_key { 0x10 } else { 0x11 }, 0, 0];
        let key = [0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
        let head: Vec<u8> = match (first, is_key) {
            (true, true) => [&descriptor[..], &tag, &key].concat(),
            (true, false) => [&descriptor[..], &tag].concat(),
            (false, _) => descriptor.to_vec(),
        };
        bytes.splice(..head.len(), head);
        bytes.into()
    }
}

/// Of frame sizes; key frames of real encoders are several times as large as the others.
const KEY_FRAME_FACTOR: u64 = 4;
const PICTURE_ID_MASK: u16 = 0x7fff;

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtp::codec::vp8::Vp8Packet;
    use rtc_rtp::packetizer::Depacketizer;

    #[test]
    fn the_first_frame_and_the_one_after_a_request_are_key_frames() {
        let mut source = source(1_500_000);
        assert_eq!([is_key(&source.next_frame()), is_key(&source.next_frame())], [true, false]);
        source.request_key_frame();
        assert_eq!([is_key(&source.next_frame()), is_key(&source.next_frame())], [true, false]);
    }

    #[test]
    fn the_bit_rate_is_met_over_a_second() {
        for bitrate in [300_000, 1_500_000, 6_000_000] {
            let mut source = source(bitrate);
            source.next_frame();
            let sent: usize = (0..300).flat_map(|_| source.next_frame()).map(|payload| payload.len()).sum();
            let wanted = bitrate as usize / 8 * 10;
            assert!(sent.abs_diff(wanted) <= wanted / 50, "{sent} bytes of {wanted}");
        }
    }

    #[test]
    fn picture_ids_count_frames_and_only_a_frames_first_packet_begins_a_partition() {
        let mut source = source(3_000_000);
        let mut last = None;
        for _ in 0..3 {
            let frame = source.next_frame();
            assert!(frame.len() > 1 && frame.iter().all(|payload| payload.len() == 1_200));
            for (index, payload) in frame.iter().enumerate() {
                let mut parsed = Vp8Packet::default();
                parsed.depacketize(payload).unwrap();
                assert_eq!(parsed.s == 1, index == 0);
                let new = last.is_none_or(|last: u16| (last + 1) & PICTURE_ID_MASK == parsed.picture_id);
                assert!(new || last == Some(parsed.picture_id));
                last = Some(parsed.picture_id);
            }
        }
    }

    fn is_key(frame: &[Bytes]) -> bool {
        frame[0][4] & 1 == 0
    }

    fn source(bitrate: u64) -> Vp8Source {
        Vp8Source::new(VideoOptions { bitrate, packet_size: 1_200, fps: 30 })
    }
}
