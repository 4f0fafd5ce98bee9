//! VP8 frames (RFC 7741 §4): payloads joined behind their descriptors.

use super::picture::{Key, Malformed, Picture, append};
use crate::codec::{Codec, Descriptor, frame_bytes};
use bytes::Bytes;

#[derive(Debug, Default)]
pub(super) struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    pub(super) fn push(&mut self, media: &Descriptor, payload: &[u8]) -> Result<(), Malformed> {
        if media.starts_frame != self.bytes.is_empty() {
            return Err(Malformed);
        }
        append(&mut self.bytes, frame_bytes(Codec::Vp8, payload).ok_or(Malformed)?)
    }

    pub(super) fn finish(&mut self) -> Result<Picture, Malformed> {
        let bytes = std::mem::take(&mut self.bytes);
        let is_key = bytes.first().ok_or(Malformed)? & INTER_FRAME == 0;
        let key = if is_key { Some(key(&bytes).ok_or(Malformed)?) } else { None };
        Ok(Picture { payload: bytes.into(), key })
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Reads the start code and the size behind a key frame's tag (RFC 6386 §9.1).
fn key(frame: &[u8]) -> Option<Key> {
    let [_, _, _, 0x9d, 0x01, 0x2a, a, b, c, d, ..] = *frame else { return None };
    let size = (u16::from_le_bytes([a, b]) & SIZE, u16::from_le_bytes([c, d]) & SIZE);
    (size.0 > 0 && size.1 > 0).then_some(Key { size, private: Bytes::new() })
}

/// P of the frame tag.
const INTER_FRAME: u8 = 0x01;
/// The upper two bits say how to scale the picture up.
const SIZE: u16 = 0x3fff;
