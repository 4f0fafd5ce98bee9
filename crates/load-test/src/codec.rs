//! RTP payload formats: encoded frames are split into packets, and padded to a bit rate with bytes that
//! decoders ignore.
//!
//! The clips are small, so a frame is padded to the size that the bit rate allows. The padding is placed
//! where the codec allows meaningless bytes, and ends with the frame's [`Stamp`]:
//!
//! | codec | the room |
//! |---|---|
//! | VP8 | behind the last partition, which ends by itself (RFC 6386 §9.5) |
//! | VP9 | before a superframe index that names only the frame (VP9 bitstream annex B) |
//! | H.264 | NAL units of type 12, filler data (H.264 §7.3.2.7) |
//! | AV1 | a padding OBU (AV1 §5.7) |
//! | Opus | the padding of a code 3 packet (RFC 6716 §3.2.5) |

mod av1;
mod h264;
pub(crate) mod opus;
mod vp8;
mod vp9;

use crate::stamp::Stamp;
use clap::ValueEnum;
use serde_json::{Value, json};

/// The codecs of publishers' video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VideoCodec {
    Vp8,
    Vp9,
    H264,
    Av1,
}

/// The payloads of one frame, in a reused buffer.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// One frame to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) encoded: &'a [u8],
    pub(crate) is_key: bool,
    /// The number of packets that the bit rate allows; a larger frame takes more.
    pub(crate) packets: usize,
    pub(crate) stamp: Stamp,
}

/// Splits the frames of one stream into packets.
#[derive(Debug)]
pub(crate) struct Packetizer {
    codec: VideoCodec,
    /// Bytes of every payload, except where a frame's NAL units or OBUs end.
    packet_size: usize,
    /// Frame number modulo 2^15.
    picture_id: u16,
    /// The padded frame.
    scratch: Vec<u8>,
}

impl Packetizer {
    pub(crate) fn new(codec: VideoCodec, packet_size: usize, first_picture_id: u16) -> Self {
        let picture_id = first_picture_id & PICTURE_ID_MASK;
        Self { codec, packet_size, picture_id, scratch: Vec::new() }
    }

    pub(crate) fn packetize(&mut self, frame: Frame<'_>, payloads: &mut Payloads) {
        payloads.clear();
        self.picture_id = (self.picture_id + 1) & PICTURE_ID_MASK;
        match self.codec {
            VideoCodec::Vp8 => vp8::packetize(self, frame, payloads),
            VideoCodec::Vp9 => vp9::packetize(self, frame, payloads),
            VideoCodec::H264 => h264::packetize(self.packet_size, frame, payloads),
            VideoCodec::Av1 => av1::packetize(self, frame, payloads),
        }
    }

    /// Fills [`Self::scratch`] with the frame, zeros and the stamp, so that `tail` more bytes fill whole packets with
    /// `overhead` bytes in front of each.
    fn fill(&mut self, frame: Frame<'_>, overhead: usize, tail: usize) {
        let room = self.packet_size - overhead;
        let least = frame.encoded.len() + Stamp::LEN + tail;
        let packets = least.div_ceil(room).max(frame.packets);
        self.scratch.clear();
        self.scratch.extend_from_slice(frame.encoded);
        self.scratch.resize(packets * room - tail - Stamp::LEN, 0);
        self.scratch.extend_from_slice(&frame.stamp.encode());
    }
}

impl Payloads {
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.ends.iter().enumerate().map(move |(index, &end)| &self.bytes[start(index)..end])
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.ends.push(self.bytes.len());
    }
}

impl VideoCodec {
    /// The codec as `rtpParameters` name it, with its retransmission codec.
    pub(crate) fn parameters(self, payload_type: u8, rtx_payload_type: u8) -> [Value; 2] {
        let (mime_type, parameters) = match self {
            Self::Vp8 => ("video/VP8", json!({})),
            Self::Vp9 => ("video/VP9", json!({ "profile-id": 0 })),
            Self::H264 => {
                let level = json!({
                    "packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1,
                });
                ("video/H264", level)
            }
            Self::Av1 => ("video/AV1", json!({})),
        };
        let media = json!({
            "mimeType": mime_type, "payloadType": payload_type, "clockRate": VIDEO_CLOCK_RATE,
            "parameters": parameters,
            "rtcpFeedback": [
                { "type": "transport-cc", "parameter": "" },
                { "type": "ccm", "parameter": "fir" },
                { "type": "nack", "parameter": "" },
                { "type": "nack", "parameter": "pli" },
            ],
        });
        let rtx = json!({
            "mimeType": "video/rtx", "payloadType": rtx_payload_type, "clockRate": VIDEO_CLOCK_RATE,
            "parameters": { "apt": payload_type }, "rtcpFeedback": [],
        });
        [media, rtx]
    }

    /// Reads the stamp from the last payload of a frame.
    pub(crate) fn stamp(self, payload: &[u8]) -> Option<Stamp> {
        let behind = match self {
            Self::Vp8 => 0,
            Self::Vp9 => vp9::INDEX_LEN,
            Self::H264 => h264::TRAILING_LEN,
            Self::Av1 => av1::TRAILING_LEN,
        };
        stamp_before(payload, behind)
    }

    /// The codec with this MIME type, as signaling names it.
    pub(crate) fn from_mime_type(mime_type: &str) -> Option<Self> {
        let (_, name) = mime_type.split_once('/')?;
        Self::from_str(name, true).ok()
    }
}

/// The stamp that ends `behind` bytes before the payload does.
fn stamp_before(payload: &[u8], behind: usize) -> Option<Stamp> {
    let end = payload.len().checked_sub(behind)?;
    Stamp::decode(payload.get(end.checked_sub(Stamp::LEN)?..end)?)
}

/// RFC 7741, RFC 9628, RFC 6184 and the AV1 payload format agree.
pub(crate) const VIDEO_CLOCK_RATE: u32 = 90_000;
const PICTURE_ID_MASK: u16 = 0x7fff;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const STAMP: Stamp = Stamp { origin_ns: 1 << 60, ticks: 3_000, delay_ns: 5 };
    pub(crate) const PACKET_SIZE: usize = 1_150;

    #[test]
    fn every_codec_keeps_the_stamp_at_the_end_of_the_last_packet_and_no_packet_is_too_large() {
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9, VideoCodec::H264, VideoCodec::Av1] {
            for (packets, length) in [(1, 90), (5, 800), (2, 9_000), (1, 1_140)] {
                let payloads = cut(codec, &frame_of(codec, length), packets);
                assert!(payloads.iter().all(|payload| payload.len() <= PACKET_SIZE), "{codec:?} {length}");
                assert_eq!(codec.stamp(payloads.last().unwrap()), Some(STAMP), "{codec:?} {length}");
            }
        }
    }

    #[test]
    fn a_small_frame_is_filled_to_as_many_whole_packets_as_the_bit_rate_allows() {
        for codec in [VideoCodec::Vp8, VideoCodec::Vp9] {
            let sizes: Vec<usize> = cut(codec, &frame_of(codec, 700), 5).iter().map(Vec::len).collect();
            assert_eq!(sizes, [PACKET_SIZE; 5]);
        }
    }

    #[test]
    fn codecs_are_known_by_their_mime_types() {
        assert_eq!(VideoCodec::from_mime_type("video/VP9"), Some(VideoCodec::Vp9));
        assert_eq!(VideoCodec::from_mime_type("video/rtx"), None);
    }

    pub(crate) fn cut(codec: VideoCodec, encoded: &[u8], packets: usize) -> Vec<Vec<u8>> {
        let mut payloads = Payloads::default();
        let frame = Frame { encoded, is_key: true, packets, stamp: STAMP };
        Packetizer::new(codec, PACKET_SIZE, 7).packetize(frame, &mut payloads);
        payloads.iter().map(<[u8]>::to_vec).collect()
    }

    /// A frame of random bytes, in the codec's framing as in the clips.
    fn frame_of(codec: VideoCodec, length: usize) -> Vec<u8> {
        let body: Vec<u8> = (0..length).map(|index| (index * 31 % 251) as u8).collect();
        match codec {
            VideoCodec::Vp8 | VideoCodec::Vp9 => body,
            VideoCodec::H264 => [&(length as u32 + 1).to_be_bytes()[..], &[0x65], &body].concat(),
            VideoCodec::Av1 => {
                let size = [(length as u8 & 0x7f) | 0x80, (length >> 7) as u8];
                [&[0x12, 0, 0x32][..], &size, &body].concat()
            }
        }
    }
}
