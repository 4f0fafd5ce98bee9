//! Whole pictures from packets in order.

use super::window::Packet;
use super::{av1, h264, vp8, vp9};
use crate::codec::{Codec, Descriptor};
use bytes::Bytes;
use std::time::Instant;

/// A picture, with all its layers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) payload: Bytes,
    /// For a key frame, what a player must know before it.
    pub(super) key: Option<Key>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) size: (u16, u16),
    pub(super) private: Bytes,
}

/// A payload that is no valid part of a picture, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Collects the payloads of one picture.
#[derive(Debug)]
pub(super) enum Depacketizer {
    Vp8(vp8::Frame),
    Vp9(vp9::Layers),
    H264(h264::AccessUnit),
    Av1(av1::TemporalUnit),
}

impl Depacketizer {
    /// `None` for audio.
    pub(super) fn new(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Vp8 => Some(Self::Vp8(vp8::Frame::default())),
            Codec::Vp9 => Some(Self::Vp9(vp9::Layers::default())),
            Codec::H264 => Some(Self::H264(h264::AccessUnit::default())),
            Codec::Av1 => Some(Self::Av1(av1::TemporalUnit::default())),
            Codec::Opus | Codec::Pcmu | Codec::Pcma => None,
        }
    }

    /// Adds a packet's payload to the picture.
    pub(super) fn push(&mut self, media: &Descriptor, payload: &[u8]) -> Result<(), Malformed> {
        match self {
            Self::Vp8(frame) => frame.push(media, payload),
            Self::Vp9(layers) => layers.push(media, payload),
            Self::H264(unit) => unit.push(payload),
            Self::Av1(unit) => unit.push(payload),
        }
    }

    /// Ends the picture; the next one begins.
    pub(super) fn finish(&mut self) -> Result<Picture, Malformed> {
        match self {
            Self::Vp8(frame) => frame.finish(),
            Self::Vp9(layers) => layers.finish(),
            Self::H264(unit) => unit.finish(),
            Self::Av1(unit) => unit.finish(),
        }
    }

    /// Drops the packets of an incomplete picture.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Vp8(frame) => frame.clear(),
            Self::Vp9(layers) => layers.clear(),
            Self::H264(unit) => unit.clear(),
            Self::Av1(unit) => unit.clear(),
        }
    }
}

/// The pictures of a lane.
#[derive(Debug)]
pub(super) struct Pictures {
    depacketizer: Depacketizer,
    /// Higher spatial layers are left out.
    top: u8,
    open: Open,
}

#[derive(Debug, Clone, Copy)]
enum Open {
    /// The next packet begins a picture. `known`: the packet before it ended one.
    Nothing {
        known: bool,
    },
    Picture(Begun),
    /// The rest of the picture with this timestamp is of no use.
    Skipped(u32),
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    timestamp: u32,
    at: Instant,
    orientation: Option<u8>,
    is_key: bool,
    /// A layer was not left out.
    has_content: bool,
}

/// What became of a picture.
#[derive(Debug)]
pub(super) enum Shown {
    Whole {
        picture: Picture,
        at: Instant,
        orientation: Option<u8>,
    },
    /// `is_key`: it was to be a key frame.
    Malformed {
        is_key: bool,
    },
}

impl Pictures {
    pub(super) fn new(depacketizer: Depacketizer, top: u8) -> Self {
        Self { depacketizer, top, open: Open::Nothing { known: false } }
    }

    /// Packets are missing here.
    pub(super) fn interrupt(&mut self) {
        self.depacketizer.clear();
        self.open = Open::Nothing { known: false };
    }

    /// Adds the next packet, captured at `at`; calls `show` for each picture that ends.
    pub(super) fn add(&mut self, packet: &Packet, payload: &[u8], at: Instant, mut show: impl FnMut(Shown)) {
        let Some(media) = packet.media else { return };
        // A sender that sets no markers: the picture ended before this packet.
        if let Open::Picture(begun) = self.open
            && begun.timestamp != packet.timestamp
        {
            self.end(begun).into_iter().for_each(&mut show);
        }
        match self.open {
            Open::Skipped(timestamp) if timestamp == packet.timestamp => {}
            Open::Picture(_) => {}
            Open::Nothing { known: true } if !self.may_begin(&media) => {
                self.open = Open::Skipped(packet.timestamp);
                show(Shown::Malformed { is_key: false });
            }
            Open::Skipped(_) | Open::Nothing { .. } => self.begin(packet, &media, at),
        }
        if let Open::Picture(begun) = &mut self.open {
            begun.is_key |= media.keyframe;
            begun.orientation = packet.carried.video_orientation.or(begun.orientation);
            let is_recorded = media.spatial <= self.top;
            begun.has_content |= is_recorded;
            if is_recorded && self.depacketizer.push(&media, payload).is_err() {
                let is_key = begun.is_key;
                self.depacketizer.clear();
                self.open = Open::Skipped(packet.timestamp);
                show(Shown::Malformed { is_key });
            }
        }
        if packet.marker {
            match self.open {
                Open::Picture(begun) => self.end(begun).into_iter().for_each(show),
                Open::Skipped(_) | Open::Nothing { .. } => self.open = Open::Nothing { known: true },
            }
        }
    }

    /// Whether a picture can begin with a packet behind the end of another. H.264 does not say where pictures begin.
    fn may_begin(&self, media: &Descriptor) -> bool {
        media.starts_frame || matches!(self.depacketizer, Depacketizer::H264(_))
    }

    fn begin(&mut self, packet: &Packet, media: &Descriptor, at: Instant) {
        let known = matches!(self.open, Open::Nothing { known: true });
        self.open = if media.starts_frame || known {
            Open::Picture(Begun {
                timestamp: packet.timestamp,
                at,
                orientation: None,
                is_key: false,
                has_content: false,
            })
        } else {
            Open::Skipped(packet.timestamp)
        };
    }

    /// Ends a picture. `None` if all its layers were left out.
    fn end(&mut self, Begun { at, orientation, is_key, has_content, .. }: Begun) -> Option<Shown> {
        self.open = Open::Nothing { known: true };
        let finished = has_content.then(|| self.depacketizer.finish())?;
        Some(match finished {
            Ok(picture) => Shown::Whole { picture, at, orientation },
            Err(Malformed) => {
                self.depacketizer.clear();
                Shown::Malformed { is_key }
            }
        })
    }
}

/// Appends to a picture, which must stay below [`MAX_PICTURE`].
pub(super) fn append(picture: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Malformed> {
    if picture.len() + bytes.len() > MAX_PICTURE {
        return Err(Malformed);
    }
    picture.extend_from_slice(bytes);
    Ok(())
}

/// Bytes of a picture: a key frame of a large screen takes about a tenth.
pub(super) const MAX_PICTURE: usize = 2 << 20;
