//! The capture and send time of a frame, written behind the frame in bytes that its decoder ignores.
//!
//! An SFU rewrites sequence numbers, timestamps and header extensions, so the send time travels in the payload: in the
//! last packet of every video frame and in every audio packet. Frames stay decodable; see [`crate::codec`]
//! for where each codec allows meaningless bytes.
//!
//! An SFU keeps the differences between timestamps. So one stamp of a stream gives the capture time of all
//! its packets, as exactly as the sender computed it.

/// The clock is this machine's wall clock, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The wall-clock time of media tick 0 of this stream.
    pub(crate) origin_ns: u64,
    /// Media clock ticks from the origin to this frame's capture.
    pub(crate) ticks: u32,
    /// Nanoseconds from the capture until the frame's first packet was passed to the kernel.
    pub(crate) delay_ns: u32,
}

impl Stamp {
    pub(crate) const LEN: usize = 21;

    pub(crate) fn sent_ns(&self, clock_rate: u32) -> u64 {
        capture_ns(self.origin_ns, self.ticks, clock_rate) + u64::from(self.delay_ns)
    }

    /// Seven bits per byte, with the top bit set: without zero bytes, no H.264 start code can appear.
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let bits =
            u128::from(self.origin_ns) << 64 | u128::from(self.ticks) << 32 | u128::from(self.delay_ns);
        let mut encoded = [0; Self::LEN];
        let (value, check) = encoded.split_at_mut(VALUE_LEN);
        for (index, byte) in value.iter_mut().enumerate() {
            *byte = 0x80 | (bits >> (7 * index)) as u8;
        }
        check.copy_from_slice(&checksum(bits));
        encoded
    }

    /// `None` for anything that [`Self::encode`] did not create.
    pub(crate) fn decode(encoded: &[u8]) -> Option<Self> {
        let (value, check) = encoded.split_at_checked(VALUE_LEN)?;
        let mut bits = 0_u128;
        for (index, byte) in value.iter().enumerate() {
            bits |= u128::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        }
        let stamp =
            Self { origin_ns: (bits >> 64) as u64, ticks: (bits >> 32) as u32, delay_ns: bits as u32 };
        (check == checksum(bits)).then_some(stamp)
    }
}

/// The wall-clock time of tick `ticks` of a stream, in nanoseconds since 1970.
pub(crate) fn capture_ns(origin_ns: u64, ticks: u32, clock_rate: u32) -> u64 {
    origin_ns + u64::from(ticks) * 1_000_000_000 / u64::from(clock_rate)
}

/// Two bytes of seven bits: random bytes have the right checksum once in 16 384 times.
fn checksum(bits: u128) -> [u8; 2] {
    let folded = (bits ^ (bits >> 64)) as u64;
    let mixed = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [0x80 | (mixed >> 57) as u8, 0x80 | (mixed >> 50) as u8]
}

const VALUE_LEN: usize = Stamp::LEN - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_and_holds_no_byte_that_a_codec_could_mistake() {
        for stamp in [
            Stamp { origin_ns: 0, ticks: 0, delay_ns: 0 },
            Stamp { origin_ns: u64::MAX, ticks: u32::MAX, delay_ns: u32::MAX },
            Stamp { origin_ns: 1_795_000_000_123_456_789, ticks: 90_001, delay_ns: 2_000_001 },
        ] {
            let encoded = stamp.encode();
            assert!(encoded.iter().all(|byte| byte & 0x80 != 0));
            assert_eq!(Stamp::decode(&encoded), Some(stamp));
        }
    }

    #[test]
    fn what_is_no_stamp_is_not_taken_for_one() {
        let encoded = Stamp { origin_ns: 1 << 60, ticks: 7, delay_ns: 9 }.encode();
        assert_eq!(Stamp::decode(&encoded[1..]), None);
        assert_eq!(Stamp::decode(&[0; Stamp::LEN]), None);
        let mut changed = encoded;
        changed[3] ^= 0x10;
        assert_eq!(Stamp::decode(&changed), None);
    }

    #[test]
    fn sending_comes_after_capture_on_the_streams_own_clock() {
        let stamp = Stamp { origin_ns: 1_000_000_000, ticks: 45_000, delay_ns: 250 };
        assert_eq!(stamp.sent_ns(90_000), 1_500_000_250);
    }
}
