//! Sequence headers (AV1 bitstream specification §5.5).

use crate::codec::BitReader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) size: (u16, u16),
    /// The second and third byte of the configuration record (AV1 in ISOBMFF §2.3.3).
    pub(super) configuration: [u8; 2],
}

impl Sequence {
    /// `None` if the header is malformed.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(payload);
        let profile = bits.bits(3).filter(|profile| *profile <= 2)?;
        bits.flag()?;
        let is_still = bits.flag()?;
        let (level, tier) = if is_still { (bits.bits(5)?, 0) } else { read_operating_points(&mut bits)? };
        let size = read_size(&mut bits)?;
        if !is_still && bits.flag()? {
            bits.bits(4 + 3)?;
        }
        bits.bits(3)?;
        if !is_still {
            skip_tools(&mut bits)?;
        }
        bits.bits(3)?;
        let color = read_color(&mut bits, profile)?;
        let configuration = [(profile << 5 | level) as u8, (tier << 7) as u8 | color];
        Some(Self { size, configuration })
    }
}

/// The level and tier of the first operating point.
fn read_operating_points(bits: &mut BitReader<'_>) -> Option<(u32, u32)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.bits(32)?;
        bits.bits(32)?;
        if bits.flag()? {
            skip_uvlc(bits)?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.bits(5)? + 1);
            bits.bits(32)?;
            bits.bits(5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    let points = bits.bits(5)? + 1;
    let mut first = None;
    for _ in 0..points {
        bits.bits(12)?;
        let level = bits.bits(5)?;
        let tier = if level > 7 { bits.bits(1)? } else { 0 };
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.bits(delay_bits)?;
            bits.bits(delay_bits)?;
            bits.flag()?;
        }
        if has_display_delay && bits.flag()? {
            bits.bits(4)?;
        }
        first = first.or(Some((level, tier)));
    }
    first
}

fn read_size(bits: &mut BitReader<'_>) -> Option<(u16, u16)> {
    let (width_bits, height_bits) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (width, height) = (bits.bits(width_bits)? + 1, bits.bits(height_bits)? + 1);
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

/// The tools between the filters for intra frames and superresolution.
fn skip_tools(bits: &mut BitReader<'_>) -> Option<()> {
    bits.bits(4)?;
    let has_order_hint = bits.flag()?;
    if has_order_hint {
        bits.bits(2)?;
    }
    let chooses_screen_content = bits.flag()?;
    let screen_content = chooses_screen_content || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.flag()?;
    }
    if has_order_hint {
        bits.bits(3)?;
    }
    Some(())
}

/// The third byte of the configuration record, without the tier.
fn read_color(bits: &mut BitReader<'_>, profile: u32) -> Option<u8> {
    let high = bits.flag()?;
    let twelve = profile == 2 && high && bits.flag()?;
    let mono = profile != 1 && bits.flag()?;
    let mut is_srgb = false;
    if bits.flag()? {
        is_srgb = bits.bits(24)? == SRGB;
    }
    let (mut across, mut down, mut position) = (true, true, 0);
    if mono {
        bits.flag()?;
    } else if is_srgb {
        (across, down) = (false, false);
    } else {
        bits.flag()?;
        (across, down) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if twelve => {
                let across = bits.flag()?;
                (across, across && bits.flag()?)
            }
            _ => (true, false),
        };
        if across && down {
            position = bits.bits(2)? as u8;
        }
    }
    let flags = [high, twelve, mono, across, down];
    let packed = flags.into_iter().fold(0, |packed, flag| packed << 1 | u8::from(flag));
    Some(packed << 2 | position)
}

/// §4.10.3
fn skip_uvlc(bits: &mut BitReader<'_>) -> Option<()> {
    let mut zeros = 0;
    while !bits.flag()? {
        zeros += 1;
    }
    if zeros < 32 {
        bits.bits(zeros)?;
    }
    Some(())
}

/// Color primaries of BT.709, transfer of sRGB, no matrix (§6.4.2).
const SRGB: u32 = 0x01_0d_00;
