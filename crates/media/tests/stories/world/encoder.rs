//! Fake encoders: payloads with the payload descriptors of real codecs and a stamp as content.

use super::dependency::{self, Dependence};
use super::rates::{Camera, Sizes};
use super::stamp::Stamp;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Opus,
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Codec {
    pub fn clock_rate(self) -> u32 {
        if self == Self::Opus { 48_000 } else { 90_000 }
    }
}

/// One encoding of a track.
pub struct Encoder {
    codec: Codec,
    spatial_layers: u8,
    temporal_layers: u8,
    dependence: Dependence,
    /// The spatial layers being sent.
    sending: u8,
    track: u16,
    encoding: u8,
    frame: u32,
    picture_id: u16,
    tl0_pic_idx: u8,
    /// Position in the temporal layer pattern.
    position: usize,
    /// The capture time from which on the next picture is a key picture.
    key_from: Option<Duration>,
    /// The sizes of a real camera's frames.
    pub sizes: Option<Sizes>,
    /// The newest frame of each temporal layer, by spatial layer.
    latest: [[u32; 3]; 3],
}

pub struct Payload {
    pub bytes: Vec<u8>,
    pub marker: bool,
    /// Dependency descriptor.
    pub dependency: Option<Vec<u8>>,
}

/// A spatial layer's part of a picture.
struct Frame {
    spatial: u8,
    temporal: u8,
    key: bool,
    references: [u32; 2],
}

impl Encoder {
    pub fn new(codec: Codec, layers: (u8, u8), dependence: Dependence, track: u16, encoding: u8) -> Self {
        Self {
            codec,
            spatial_layers: layers.0,
            temporal_layers: layers.1,
            dependence,
            sending: layers.0,
            track,
            encoding,
            frame: 0,
            picture_id: 1_000 * u16::from(encoding) + 32_700,
            tl0_pic_idx: 200 + encoding,
            position: 0,
            key_from: Some(Duration::ZERO),
            sizes: None,
            latest: [[0; 3]; 3],
        }
    }

    /// Stops sending the layers above, as an encoder does that lacks bandwidth.
    pub fn send_spatial_layers(&mut self, count: u8) {
        self.sending = count;
    }

    /// Encodes pictures of the sizes of a camera.
    pub fn imitate(&mut self, camera: Camera) {
        let seed = u64::from(self.track) << 8 | u64::from(self.encoding);
        self.sizes = Some(Sizes::new(camera.rate(self.encoding), seed));
    }

    pub fn want_key_frame(&mut self) {
        self.want_key_frame_from(Duration::ZERO);
    }

    /// The first picture captured from then on is a key picture.
    pub fn want_key_frame_from(&mut self, captured: Duration) {
        self.key_from = Some(self.key_from.map_or(captured, |earlier| earlier.min(captured)));
    }

    pub fn wants_key_frame(&self) -> bool {
        self.key_from.is_some()
    }

    /// Encodes one picture or one audio packet, captured at this time.
    pub fn encode(&mut self, captured: Duration) -> Vec<Payload> {
        let key_due = self.key_from.take_if(|from| *from <= captured).is_some();
        let key = key_due && self.codec != Codec::Opus;
        if key {
            self.position = 0;
        }
        let pattern: &[u8] = match self.temporal_layers {
            1 => &[0],
            2 => &[0, 1],
            _ => &[0, 2, 1, 2],
        };
        let phase = self.position % pattern.len();
        let temporal = pattern[phase];
        self.position += 1;
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        if temporal == 0 {
            self.tl0_pic_idx = self.tl0_pic_idx.wrapping_add(1);
        }
        let mut payloads = Vec::new();
        for spatial in 0..self.sending {
            let below = if spatial > 0 && self.dependence.holds_in(key) { self.frame } else { 0 };
            self.frame += 1;
            let latest = &mut self.latest[usize::from(spatial)];
            let before = if key || self.codec == Codec::Opus { 0 } else { latest[usize::from(phase == 3)] };
            latest[usize::from(temporal)] = self.frame;
            let frame = Frame { spatial, temporal, key, references: [before, below] };
            let lengths = self.lengths(&frame);
            payloads.extend(self.packetize(captured, &frame, &lengths));
        }
        payloads
    }

    /// The length of what fills each packet of a frame.
    fn lengths(&mut self, frame: &Frame) -> Vec<usize> {
        if let Some(sizes) = &mut self.sizes {
            let packets = sizes.packets(frame.key, frame.temporal, self.temporal_layers);
            return packets.into_iter().map(|length| length.saturating_sub(Stamp::LEN)).collect();
        }
        let packets = match (self.codec, frame.key) {
            (Codec::Opus, _) => return vec![60],
            (_, true) => 4 * (1 + u16::from(self.encoding + frame.spatial)),
            (_, false) => 1 + u16::from(self.encoding + frame.spatial),
        };
        // Sizes differ by at most one byte, as encoders split a picture into packets.
        let mut lengths: Vec<usize> = (0..packets).map(|packet| 1_000 + usize::from(packet % 2)).collect();
        lengths[usize::from(packets) - 1] = 300 + self.frame as usize % 500;
        lengths
    }

    fn packetize(&self, captured: Duration, frame: &Frame, lengths: &[usize]) -> Vec<Payload> {
        let packets = lengths.len() as u16;
        let packet = |packet: u16| {
            let stamp = Stamp {
                track: self.track,
                encoding: self.encoding,
                spatial: frame.spatial,
                temporal: frame.temporal,
                key: frame.key,
                packet,
                packets,
                frame: self.frame,
                references: frame.references,
                captured,
            };
            let top = frame.spatial + 1 == self.sending;
            Payload {
                bytes: self.payload(frame, &stamp, lengths[usize::from(packet)]),
                marker: self.codec != Codec::Opus && top && stamp.is_last(),
                dependency: (self.codec == Codec::Av1).then(|| self.dependency(frame, &stamp)),
            }
        };
        (0..packets).map(packet).collect()
    }

    fn payload(&self, frame: &Frame, stamp: &Stamp, length: usize) -> Vec<u8> {
        let (first, last) = (stamp.packet == 0, stamp.is_last());
        let [picture_high, picture_low] = (0x8000 | self.picture_id).to_be_bytes();
        let mut bytes = match self.codec {
            Codec::Opus => vec![0xfc],
            Codec::Vp8 => {
                let layer_sync = frame.references[0] == self.latest[0][0] || frame.key || frame.temporal == 1;
                let layer = frame.temporal << 6 | u8::from(layer_sync) << 5;
                let required = 0x80 | u8::from(first) << 4;
                vec![required, 0xe0, picture_high, picture_low, self.tl0_pic_idx, layer, u8::from(!frame.key)]
            }
            Codec::Vp9 => {
                let predicted = u8::from(!frame.key) << 6;
                let structure = frame.key && first && frame.spatial == 0;
                let depends = self.dependence.holds_in(frame.key);
                let top = frame.spatial + 1 == self.sending;
                let flags = 0xa0
                    | predicted
                    | u8::from(first) << 3
                    | u8::from(last) << 2
                    | u8::from(structure) << 1
                    | u8::from(top || !depends);
                let below = u8::from(frame.spatial > 0 && depends);
                let layer = frame.temporal << 5 | 0x10 | frame.spatial << 1 | below;
                let mut bytes = vec![flags, picture_high, picture_low, layer, self.tl0_pic_idx];
                bytes.extend(structure.then_some((self.sending - 1) << 5));
                bytes
            }
            Codec::H264 => return h264(frame.key, stamp),
            Codec::Av1 => {
                let continues = u8::from(!first) << 7 | u8::from(!last) << 6;
                let obu = if frame.key && first { 0x08 } else { 0x30 };
                vec![continues | 0x10 | u8::from(frame.key && first && frame.spatial == 0) << 3, obu]
            }
        };
        bytes.extend(std::iter::repeat_n(stamp.frame as u8, length));
        bytes.extend(stamp.to_bytes());
        bytes
    }

    fn dependency(&self, frame: &Frame, stamp: &Stamp) -> Vec<u8> {
        let layers = (self.spatial_layers, self.temporal_layers);
        let opens = frame.key && frame.spatial == 0 && stamp.packet == 0;
        dependency::descriptor(self.dependence, layers, (frame.spatial, frame.temporal), stamp, opens)
    }
}

/// A key frame's first packet holds its parameter sets, the others pieces of one slice.
fn h264(key: bool, stamp: &Stamp) -> Vec<u8> {
    let stamped = |head: &[u8]| [head, &[0x55; 700], &stamp.to_bytes()[..]].concat();
    if !key {
        return match (stamp.packet, stamp.packets) {
            (_, 1) => stamped(&[0x41, 0x9a]),
            (packet, _) => stamped(&fragment(1, packet == 0, stamp.is_last())),
        };
    }
    if stamp.packet == 0 {
        let picture_parameters = [&[0x68], &stamp.to_bytes()[..]].concat();
        let size = (picture_parameters.len() as u16).to_be_bytes();
        return [&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f], &size[..], &picture_parameters].concat();
    }
    stamped(&fragment(5, stamp.packet == 1, stamp.is_last()))
}

fn fragment(nal_type: u8, first: bool, last: bool) -> [u8; 3] {
    [0x7c, u8::from(first) << 7 | u8::from(last) << 6 | nal_type, 0x9a]
}
