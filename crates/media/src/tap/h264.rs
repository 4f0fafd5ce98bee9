//! H.264 access units (RFC 6184 §5.6 to §5.8): NAL units, each behind its length in 4 bytes. Parameter sets stay where
//! they are.

use super::picture::{Key, Malformed, Picture, append};
use crate::codec::{BitReader, split_unit};
use bytes::Bytes;

#[derive(Debug, Default)]
pub(super) struct AccessUnit {
    bytes: Vec<u8>,
    /// Where the unit begins that comes in fragments.
    fragmented: Option<usize>,
    parameters: Parameters,
    has_key: bool,
}

/// The parameter sets of a picture.
#[derive(Debug, Default)]
struct Parameters {
    sequence: Vec<Vec<u8>>,
    picture: Vec<Vec<u8>>,
}

/// What a sequence parameter set says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sequence {
    size: (u16, u16),
    /// With the high profiles: the chroma format, and the bits of luma and chroma above 8.
    high: Option<[u8; 3]>,
}

impl AccessUnit {
    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let (&indicator, body) = payload.split_first().ok_or(Malformed)?;
        match indicator & NAL_TYPE {
            FU_A => self.fragment(indicator, body),
            _ if self.fragmented.is_some() => Err(Malformed),
            1..=23 => self.unit(payload),
            STAP_A => {
                let mut rest = body;
                while !rest.is_empty() {
                    let (unit, after) = split_unit(rest).ok_or(Malformed)?;
                    self.unit(unit)?;
                    rest = after;
                }
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    pub(super) fn finish(&mut self) -> Result<Picture, Malformed> {
        let Self { bytes, fragmented, parameters, has_key } = std::mem::take(self);
        if fragmented.is_some() || bytes.is_empty() {
            return Err(Malformed);
        }
        // An IDR picture without parameter sets is no place to begin at.
        let is_key = has_key && !parameters.sequence.is_empty() && !parameters.picture.is_empty();
        let key = if is_key { Some(parameters.key().ok_or(Malformed)?) } else { None };
        Ok(Picture { payload: bytes.into(), key })
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a whole NAL unit.
    fn unit(&mut self, unit: &[u8]) -> Result<(), Malformed> {
        let begin = self.begin(unit.len())?;
        append(&mut self.bytes, unit)?;
        self.end(begin)
    }

    /// Adds a fragment of a NAL unit.
    fn fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), Malformed> {
        let (&header, data) = body.split_first().filter(|(_, data)| !data.is_empty()).ok_or(Malformed)?;
        let starts = header & FRAGMENT_START != 0;
        if starts != self.fragmented.is_none() {
            return Err(Malformed);
        }
        if starts {
            self.fragmented = Some(self.begin(0)?);
            append(&mut self.bytes, &[indicator & !NAL_TYPE | header & NAL_TYPE])?;
        }
        append(&mut self.bytes, data)?;
        match self.fragmented.take_if(|_| header & FRAGMENT_END != 0) {
            Some(begin) => self.end(begin),
            None => Ok(()),
        }
    }

    /// Makes room for a unit's length; returns its place.
    fn begin(&mut self, length: usize) -> Result<usize, Malformed> {
        let begin = self.bytes.len();
        let length = u32::try_from(length).map_err(|_| Malformed)?;
        append(&mut self.bytes, &length.to_be_bytes())?;
        Ok(begin)
    }

    /// Ends the unit whose length stands at `begin`: notes what it is, or removes it.
    fn end(&mut self, begin: usize) -> Result<(), Malformed> {
        let start = begin + LENGTH;
        let unit = self.bytes.get(start..).ok_or(Malformed)?;
        let length = u32::try_from(unit.len()).map_err(|_| Malformed)?;
        match unit.first().ok_or(Malformed)? & NAL_TYPE {
            ACCESS_UNIT_DELIMITER | FILLER => {
                self.bytes.truncate(begin);
                return Ok(());
            }
            IDR_SLICE => self.has_key = true,
            SPS => note(&mut self.parameters.sequence, unit, MAX_SEQUENCE_SETS)?,
            PPS => note(&mut self.parameters.picture, unit, MAX_PICTURE_SETS)?,
            _ => {}
        }
        self.bytes.get_mut(begin..start).ok_or(Malformed)?.copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// Keeps a parameter set, each once.
fn note(sets: &mut Vec<Vec<u8>>, unit: &[u8], most: usize) -> Result<(), Malformed> {
    if sets.iter().any(|set| set == unit) {
        return Ok(());
    }
    if sets.len() == most || unit.len() > MAX_SET {
        return Err(Malformed);
    }
    sets.push(unit.to_vec());
    Ok(())
}

impl Parameters {
    /// The configuration record (ISO/IEC 14496-15 §5.3.3.1.2); `None` if the sets make no sense.
    fn key(&self) -> Option<Key> {
        let first = self.sequence.first()?;
        let Sequence { size, high } = Sequence::read(first)?;
        let &[profile, compatibility, level] = first.get(1..4)? else { return None };
        let mut record = vec![1, profile, compatibility, level, 0xfc | (LENGTH as u8 - 1)];
        record.push(0xe0 | u8::try_from(self.sequence.len()).ok()?);
        put(&mut record, &self.sequence)?;
        record.push(u8::try_from(self.picture.len()).ok()?);
        put(&mut record, &self.picture)?;
        if let Some([chroma, luma_bits, chroma_bits]) = high {
            record.extend([0xfc | chroma, 0xf8 | luma_bits, 0xf8 | chroma_bits, 0]);
        }
        Some(Key { size, private: Bytes::from(record) })
    }
}

/// Appends parameter sets, each behind its length in 2 bytes.
fn put(record: &mut Vec<u8>, sets: &[Vec<u8>]) -> Option<()> {
    for set in sets {
        record.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
        record.extend(set);
    }
    Some(())
}

impl Sequence {
    /// Reads a sequence parameter set (ITU-T H.264 §7.3.2.1.1); `None` if it is malformed, or its picture has no size.
    fn read(unit: &[u8]) -> Option<Self> {
        let plain = unescape(unit.get(1..)?);
        let mut bits = BitReader::new(&plain);
        let profile = bits.bits(8)?;
        bits.bits(16)?;
        golomb(&mut bits)?;
        let high = if HIGH_PROFILES.contains(&profile) { Some(read_high(&mut bits)?) } else { None };
        golomb(&mut bits)?;
        skip_picture_order(&mut bits)?;
        golomb(&mut bits)?;
        bits.flag()?;
        let (width, height) = (golomb(&mut bits)?.checked_add(1)?, golomb(&mut bits)?.checked_add(1)?);
        let fields = if bits.flag()? { 1 } else { 2 };
        if fields == 2 {
            bits.flag()?;
        }
        bits.flag()?;
        let mut crop = [0; 4];
        if bits.flag()? {
            for side in &mut crop {
                *side = golomb(&mut bits)?;
            }
        }
        let (across, down) = match high.map_or(1, |[chroma, ..]| chroma) {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        let shown = |blocks: u32, fields: u32, unit: u32, [a, b]: [u32; 2]| {
            let cropped = a.checked_add(b)?.checked_mul(unit)?;
            let shown = blocks.checked_mul(16)?.checked_mul(fields)?.checked_sub(cropped)?;
            u16::try_from(shown).ok().filter(|size| *size > 0)
        };
        let [left, right, top, bottom] = crop;
        let size = (shown(width, 1, across, [left, right])?, shown(height, fields, down, [top, bottom])?);
        Some(Self { size, high })
    }
}

fn read_high(bits: &mut BitReader<'_>) -> Option<[u8; 3]> {
    let chroma = golomb(bits)?;
    if chroma == 3 {
        bits.flag()?;
    }
    let (luma_bits, chroma_bits) = (golomb(bits)?, golomb(bits)?);
    bits.flag()?;
    if bits.flag()? {
        for list in 0..if chroma == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    let small = |value: u32, most: u32| u8::try_from(value).ok().filter(|_| value <= most);
    Some([small(chroma, 3)?, small(luma_bits, 6)?, small(chroma_bits, 6)?])
}

/// §7.3.2.1.1.1
fn skip_scaling_list(bits: &mut BitReader<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            next = last.wrapping_add(signed_golomb(bits)?) & 0xff;
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_picture_order(bits: &mut BitReader<'_>) -> Option<()> {
    match golomb(bits)? {
        0 => drop(golomb(bits)?),
        1 => {
            bits.flag()?;
            golomb(bits)?;
            golomb(bits)?;
            for _ in 0..golomb(bits).filter(|count| *count <= 255)? {
                golomb(bits)?;
            }
        }
        2 => {}
        _ => return None,
    }
    Some(())
}

/// Exp-Golomb code of at most 32 bits (§9.1).
fn golomb(bits: &mut BitReader<'_>) -> Option<u32> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
        if zeros > 31 {
            return None;
        }
    }
    Some((1u32 << zeros) - 1 + bits.bits(zeros)?)
}

fn signed_golomb(bits: &mut BitReader<'_>) -> Option<i32> {
    let code = golomb(bits)?;
    let magnitude = i32::try_from(code.div_ceil(2)).ok()?;
    Some(if code % 2 == 1 { magnitude } else { -magnitude })
}

/// Without the bytes that keep start codes out (§7.4.1).
fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

const LENGTH: usize = 4;
const NAL_TYPE: u8 = 0x1f;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FRAGMENT_START: u8 = 0x80;
const FRAGMENT_END: u8 = 0x40;
/// Profiles whose sequence parameter sets tell chroma format and bit depths.
const HIGH_PROFILES: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];
const MAX_SEQUENCE_SETS: usize = 8;
const MAX_PICTURE_SETS: usize = 32;
/// Bytes of a parameter set; usually it has 30 or fewer.
const MAX_SET: usize = 4_096;
