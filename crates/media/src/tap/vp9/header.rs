//! The uncompressed header of a frame (VP9 bitstream specification §6.2).

use crate::codec::BitReader;

/// The sizes of the eight frames that later ones may refer to; `None` if unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizes([Option<(u16, u16)>; 8]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_key: bool,
    pub(super) size: (u16, u16),
    /// Bit offsets: of show_frame, of the place behind error_resilient_mode, and of the end.
    show_frame: usize,
    behind_modes: usize,
    end: usize,
    /// A bit for each frame that this one replaces.
    refresh: u32,
}

impl Sizes {
    /// Reads the header of the next frame. `None` if it is not understood; then nothing is known of later frames that refer
    /// to it.
    pub(super) fn read(&mut self, frame: &[u8]) -> Option<Header> {
        let header = Header::read(frame, self);
        match header {
            Some(header) => {
                let replaced =
                    self.0.iter_mut().enumerate().filter(|(index, _)| header.refresh >> index & 1 == 1);
                replaced.for_each(|(_, size)| *size = Some(header.size));
            }
            None => *self = Self::default(),
        }
        header
    }
}

impl Header {
    fn read(frame: &[u8], sizes: &Sizes) -> Option<Self> {
        let mut bits = BitReader::new(frame);
        if bits.bits(2)? != FRAME_MARKER {
            return None;
        }
        let profile = bits.bits(1)? | bits.bits(1)? << 1;
        if profile == 3 && bits.flag()? {
            return None;
        }
        // A frame that shows another one again has no more header.
        if bits.flag()? {
            return None;
        }
        let is_key = !bits.flag()?;
        let show_frame = bits.position();
        let is_shown = bits.flag()?;
        let is_resilient = bits.flag()?;
        let behind_modes = bits.position();
        let (size, refresh) = if is_key {
            read_sync_code(&mut bits)?;
            skip_color(&mut bits, profile)?;
            (read_sizes(&mut bits)?, 0xff)
        } else {
            let is_intra = !is_shown && bits.flag()?;
            if !is_resilient {
                bits.bits(2)?;
            }
            if is_intra { read_intra(&mut bits, profile)? } else { read_inter(&mut bits, sizes)? }
        };
        if !is_resilient {
            bits.bits(2)?;
        }
        bits.bits(2)?;
        skip_loop_filter(&mut bits)?;
        skip_quantization(&mut bits)?;
        skip_segmentation(&mut bits)?;
        skip_tiles(&mut bits, size.0)?;
        let compressed = usize::try_from(bits.bits(16)?).ok()?;
        let end = bits.position();
        let is_whole = compressed > 0 && end.div_ceil(8) + compressed <= frame.len();
        is_whole.then_some(Self { is_key, size, show_frame, behind_modes, end, refresh })
    }

    /// The frame that `self` was read from, not shown. `None` if it is not shown already.
    pub(super) fn hide(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut hidden = Bits::with_capacity(frame.len() + 1);
        let mut bits = BitReader::new(frame);
        for position in 0..self.end {
            if position == self.behind_modes && !self.is_key {
                // intra_only, which only hidden frames have.
                hidden.push(false);
            }
            let bit = bits.flag()?;
            if position == self.show_frame && !bit {
                return None;
            }
            hidden.push(bit && position != self.show_frame);
        }
        let mut hidden = hidden.bytes;
        hidden.extend_from_slice(frame.get(self.end.div_ceil(8)..)?);
        Some(hidden)
    }
}

/// Writes bits, most significant first; the last byte is filled with zeros.
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 8 before the first.
    used: u32,
}

impl Bits {
    fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), used: 8 }
    }

    fn push(&mut self, bit: bool) {
        if self.used == 8 {
            self.bytes.push(0);
            self.used = 0;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used);
        }
        self.used += 1;
    }
}

/// Of a frame without references that is no key frame: its size, and the frames it replaces.
fn read_intra(bits: &mut BitReader<'_>, profile: u32) -> Option<((u16, u16), u32)> {
    read_sync_code(bits)?;
    if profile > 0 {
        skip_color(bits, profile)?;
    }
    let refresh = bits.bits(8)?;
    Some((read_sizes(bits)?, refresh))
}

fn read_inter(bits: &mut BitReader<'_>, sizes: &Sizes) -> Option<((u16, u16), u32)> {
    let refresh = bits.bits(8)?;
    let mut references = [0; 3];
    for reference in &mut references {
        *reference = usize::try_from(bits.bits(3)?).ok()?;
        bits.flag()?;
    }
    let mut same = None;
    for reference in references {
        if bits.flag()? {
            same = Some(sizes.0.get(reference).copied().flatten()?);
            break;
        }
    }
    let size = match same {
        Some(size) => size,
        None => read_size(bits)?,
    };
    skip_shown_size(bits)?;
    bits.flag()?;
    if !bits.flag()? {
        bits.bits(2)?;
    }
    Some((size, refresh))
}

fn read_sync_code(bits: &mut BitReader<'_>) -> Option<()> {
    (bits.bits(24)? == SYNC_CODE).then_some(())
}

fn skip_color(bits: &mut BitReader<'_>, profile: u32) -> Option<()> {
    if profile >= 2 {
        bits.flag()?;
    }
    let is_rgb = bits.bits(3)? == RGB;
    let has_subsampling = profile == 1 || profile == 3;
    match (is_rgb, has_subsampling) {
        (false, false) => bits.bits(1)?,
        (false, true) => bits.bits(1 + 3)?,
        (true, true) => bits.bits(1)?,
        (true, false) => return None,
    };
    Some(())
}

fn read_sizes(bits: &mut BitReader<'_>) -> Option<(u16, u16)> {
    let size = read_size(bits)?;
    skip_shown_size(bits)?;
    Some(size)
}

fn read_size(bits: &mut BitReader<'_>) -> Option<(u16, u16)> {
    let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn skip_shown_size(bits: &mut BitReader<'_>) -> Option<()> {
    if bits.flag()? {
        bits.bits(32)?;
    }
    Some(())
}

fn skip_loop_filter(bits: &mut BitReader<'_>) -> Option<()> {
    bits.bits(6 + 3)?;
    if bits.flag()? && bits.flag()? {
        // Four for the references, two for the modes: six bits and a sign.
        for _ in 0..4 + 2 {
            if bits.flag()? {
                bits.bits(7)?;
            }
        }
    }
    Some(())
}

fn skip_quantization(bits: &mut BitReader<'_>) -> Option<()> {
    bits.bits(8)?;
    for _ in 0..3 {
        if bits.flag()? {
            bits.bits(5)?;
        }
    }
    Some(())
}

fn skip_segmentation(bits: &mut BitReader<'_>) -> Option<()> {
    if !bits.flag()? {
        return Some(());
    }
    if bits.flag()? {
        for _ in 0..7 {
            skip_probability(bits)?;
        }
        if bits.flag()? {
            for _ in 0..3 {
                skip_probability(bits)?;
            }
        }
    }
    if bits.flag()? {
        bits.flag()?;
        for _ in 0..8 {
            // Quantizer and loop filter with a sign, reference frame, skip.
            for width in [8 + 1, 6 + 1, 2, 0] {
                if bits.flag()? {
                    bits.bits(width)?;
                }
            }
        }
    }
    Some(())
}

fn skip_probability(bits: &mut BitReader<'_>) -> Option<()> {
    if bits.flag()? {
        bits.bits(8)?;
    }
    Some(())
}

fn skip_tiles(bits: &mut BitReader<'_>, width: u16) -> Option<()> {
    let superblocks = u32::from(width).div_ceil(64);
    let mut least = 0;
    while 64 << least < superblocks {
        least += 1;
    }
    let mut most = 1;
    while superblocks >> most >= 4 {
        most += 1;
    }
    for _ in least..most - 1 {
        if !bits.flag()? {
            break;
        }
    }
    if bits.flag()? {
        bits.flag()?;
    }
    Some(())
}

const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_83_42;
/// color_space
const RGB: u32 = 7;
