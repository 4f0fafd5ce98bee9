//! VP9 pictures (RFC 9628 §4): the frames of all spatial layers in one block.
//!
//! A decoder shows every frame that says so. So that it shows one picture per time, all frames but the highest are hidden:
//! their uncompressed header is written anew, and an index of the frames ends the block (VP9 bitstream specification,
//! annex B). What is compressed stays as it is.

mod header;

use super::picture::{Key, MAX_PICTURE, Malformed, Picture, append};
use crate::codec::{Codec, Descriptor, frame_bytes};
use bytes::Bytes;
use header::{Header, Sizes};

#[derive(Debug, Default)]
pub(super) struct Layers {
    bytes: Vec<u8>,
    /// The spatial layer of each frame, and where it begins.
    frames: Vec<(u8, usize)>,
    /// The sizes of the frames that later ones may refer to.
    sizes: Sizes,
}

impl Layers {
    pub(super) fn push(&mut self, media: &Descriptor, payload: &[u8]) -> Result<(), Malformed> {
        let last = self.frames.last().map(|(spatial, _)| *spatial);
        if media.starts_frame {
            if last.is_some_and(|last| last >= media.spatial) {
                return Err(Malformed);
            }
            self.frames.push((media.spatial, self.bytes.len()));
        } else if last != Some(media.spatial) {
            return Err(Malformed);
        }
        append(&mut self.bytes, frame_bytes(Codec::Vp9, payload).ok_or(Malformed)?)
    }

    pub(super) fn finish(&mut self) -> Result<Picture, Malformed> {
        let bytes = std::mem::take(&mut self.bytes);
        let frames = std::mem::take(&mut self.frames);
        let ends = frames.iter().skip(1).map(|(_, begin)| *begin).chain([bytes.len()]);
        let frames: Vec<&[u8]> =
            frames.iter().zip(ends).filter_map(|((_, begin), end)| bytes.get(*begin..end)).collect();
        let headers: Vec<Option<Header>> = frames.iter().map(|frame| self.sizes.read(frame)).collect();
        let is_key = headers.first().ok_or(Malformed)?.is_some_and(|header| header.is_key);
        let size = headers.last().copied().flatten().map(|header| header.size);
        let key = match (is_key, size) {
            (true, Some(size)) => Some(Key { size, private: Bytes::new() }),
            (true, None) => return Err(Malformed),
            (false, _) => None,
        };
        let payload = if frames.len() == 1 { bytes.into() } else { superframe(&frames, &headers)? };
        Ok(Picture { payload, key })
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }
}

/// One block of all layers, of which only the last is shown.
fn superframe(frames: &[&[u8]], headers: &[Option<Header>]) -> Result<Bytes, Malformed> {
    let mut block = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 2).sum());
    let mut lengths = Vec::with_capacity(frames.len());
    for (index, (frame, header)) in frames.iter().zip(headers).enumerate() {
        let header = header.ok_or(Malformed)?;
        let begin = block.len();
        if index + 1 < frames.len() {
            append(&mut block, &header.hide(frame).ok_or(Malformed)?)?;
        } else {
            append(&mut block, frame)?;
        }
        lengths.push(block.len() - begin);
    }
    // Lengths in 3 bytes, which is enough for any picture.
    const { assert!(MAX_PICTURE < 1 << 24) };
    let frames = u8::try_from(lengths.len()).ok().filter(|frames| *frames <= 8).ok_or(Malformed)?;
    let marker = SUPERFRAME | 2 << 3 | (frames - 1);
    append(&mut block, &[marker])?;
    for length in lengths {
        append(&mut block, &(length as u32).to_le_bytes()[..3])?;
    }
    append(&mut block, &[marker])?;
    Ok(block.into())
}

/// Begins and ends the index.
const SUPERFRAME: u8 = 0xc0;
