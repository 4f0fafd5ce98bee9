//! Opus packets (RFC 6716 §3.1, §3.2): how long they last, and silence to fill holes with.

/// Identification header (RFC 7845 §5.1): version 1, 2 channels, no pre-skip, 48 kHz, no gain, mapping family 0.
pub(super) const HEAD: [u8; 19] = *b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00";

/// 20 ms of silence: a fullband CELT frame that says so.
pub(super) const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];
pub(super) const SILENCE_TICKS: u32 = 960;

/// The duration of a packet in ticks of 48 kHz; `None` if it is malformed.
pub(super) fn ticks(packet: &[u8]) -> Option<u32> {
    let &toc = packet.first()?;
    let frames = match toc & FRAME_COUNT {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & COUNT),
    };
    let ticks = frames * frame_ticks(toc);
    (1..=MAX_TICKS).contains(&ticks).then_some(ticks)
}

/// A packet without data, in the manner of `packet`: decoders conceal it. And its duration.
pub(super) fn concealment(toc: u8) -> ([u8; 1], u32) {
    ([toc & !FRAME_COUNT], frame_ticks(toc))
}

/// The duration of a frame, by the configuration number (RFC 6716 table 2).
fn frame_ticks(toc: u8) -> u32 {
    match toc >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    }
}

const FRAME_COUNT: u8 = 0x03;
/// M of the frame count byte.
const COUNT: u8 = 0x3f;
/// 120 ms.
const MAX_TICKS: u32 = 5_760;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_of_every_mode() {
        assert_eq!(ticks(&SILENCE), Some(SILENCE_TICKS));
        assert_eq!(ticks(&[0x78, 1]), Some(960), "hybrid, 20 ms");
        assert_eq!(ticks(&[0x18]), Some(2_880), "SILK, 60 ms");
        assert_eq!(ticks(&[0xe0]), Some(120), "CELT, 2.5 ms");
        assert_eq!(ticks(&[0x79, 0, 0]), Some(1_920), "two frames");
        assert_eq!(ticks(&[0xfb, 3, 0]), Some(2_880), "three frames");
    }

    #[test]
    fn no_frames_too_many_and_none_counted_are_malformed() {
        assert_eq!(ticks(&[]), None);
        assert_eq!(ticks(&[0xfb]), None);
        assert_eq!(ticks(&[0xfb, 0]), None);
        assert_eq!(ticks(&[0xfb, 7]), None, "140 ms");
        assert_eq!(ticks(&[0x1b, 0x3f]), None);
    }

    #[test]
    fn a_concealed_frame_keeps_its_configuration() {
        assert_eq!(concealment(0x7f), ([0x7c], 960));
        assert_eq!(ticks(&concealment(0x7f).0), Some(960));
    }
}
