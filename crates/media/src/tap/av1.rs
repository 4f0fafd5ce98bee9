//! AV1 temporal units (AV1 RTP specification §4): OBUs joined over packets, each with its size, which RTP leaves out.

mod sequence;

use super::picture::{Key, Malformed, Picture, append};
use crate::codec::{elements, ends_in_fragment};
use bytes::Bytes;
use sequence::Sequence;

#[derive(Debug, Default)]
pub(super) struct TemporalUnit {
    bytes: Vec<u8>,
    /// The OBU that continues in the next packet.
    open: Option<Vec<u8>>,
    /// The sequence header, as it stands in `bytes`.
    header: Option<Bytes>,
    /// Whether the first frame is a key frame; `None` before any.
    starts_with_key: Option<bool>,
}

impl TemporalUnit {
    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let (continued, continues) = ends_in_fragment(payload);
        let mut open = self.open.take();
        if open.is_some() != continues {
            return Err(Malformed);
        }
        let mut elements = elements(payload).peekable();
        while let Some(element) = elements.next() {
            let element = element.ok_or(Malformed)?;
            let is_open = continued && elements.peek().is_none();
            match open.take() {
                Some(mut obu) => {
                    append(&mut obu, element)?;
                    if is_open {
                        self.open = Some(obu);
                    } else {
                        self.obu(&obu)?;
                    }
                }
                None if is_open => self.open = Some(element.to_vec()),
                None => self.obu(element)?,
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<Picture, Malformed> {
        let Self { bytes, open, header, starts_with_key } = std::mem::take(self);
        if open.is_some() || bytes.is_empty() {
            return Err(Malformed);
        }
        let header = header.filter(|_| starts_with_key == Some(true));
        let key = match header {
            Some(header) => Some(key(&header).ok_or(Malformed)?),
            None => None,
        };
        Ok(Picture { payload: bytes.into(), key })
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a whole OBU (AV1 bitstream specification §5.3.2).
    fn obu(&mut self, obu: &[u8]) -> Result<(), Malformed> {
        let Obu { header, extension, payload } = Obu::read(obu).ok_or(Malformed)?;
        let kind = header >> 3 & 0x0f;
        if matches!(kind, TEMPORAL_DELIMITER | TILE_LIST) {
            return Ok(());
        }
        let begin = self.bytes.len();
        append(&mut self.bytes, &[header | HAS_SIZE])?;
        if let Some(extension) = extension {
            append(&mut self.bytes, &[extension])?;
        }
        append_leb128(&mut self.bytes, payload.len())?;
        append(&mut self.bytes, payload)?;
        match kind {
            SEQUENCE_HEADER => self.header = self.bytes.get(begin..).map(Bytes::copy_from_slice),
            FRAME | FRAME_HEADER if self.starts_with_key.is_none() => {
                self.starts_with_key = Some(payload.first().is_some_and(|first| first & NO_KEY == 0));
            }
            _ => {}
        }
        Ok(())
    }
}

struct Obu<'a> {
    /// The first byte, and the second if there is one.
    header: u8,
    extension: Option<u8>,
    payload: &'a [u8],
}

impl<'a> Obu<'a> {
    fn read(obu: &'a [u8]) -> Option<Self> {
        let (&header, mut rest) = obu.split_first()?;
        if header & FORBIDDEN != 0 {
            return None;
        }
        let mut extension = None;
        if header & HAS_EXTENSION != 0 {
            let (&byte, after) = rest.split_first()?;
            (extension, rest) = (Some(byte), after);
        }
        if header & HAS_SIZE != 0 {
            let (size, after) = crate::codec::leb128(rest)?;
            rest = after;
            if rest.len() != size {
                return None;
            }
        }
        Some(Self { header, extension, payload: rest })
    }
}

fn append_leb128(bytes: &mut Vec<u8>, mut value: usize) -> Result<(), Malformed> {
    while value > 0x7f {
        append(bytes, &[(value & 0x7f) as u8 | 0x80])?;
        value >>= 7;
    }
    append(bytes, &[value as u8])
}

/// The configuration record (AV1 in ISOBMFF §2.3.3), with the sequence header.
fn key(header: &Bytes) -> Option<Key> {
    let obu = Obu::read(header)?;
    let sequence = Sequence::read(obu.payload)?;
    let mut record = vec![0x81];
    record.extend(sequence.configuration);
    record.push(0);
    record.extend_from_slice(header);
    Some(Key { size: sequence.size, private: record.into() })
}

const FORBIDDEN: u8 = 0x80;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
/// OBU types (AV1 bitstream specification §6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
/// show_existing_frame and frame_type of a frame header, which are 0 for a key frame (§5.9.2).
const NO_KEY: u8 = 0xe0;
