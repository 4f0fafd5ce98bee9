use std::time::Duration;

/// How loud a packet's audio is (RFC 6464 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AudioLevel {
    /// The sender's voice activity detection.
    pub(crate) voice: bool,
    /// Loudness as −dBov: 0 is the loudest, 127 is silence.
    pub(crate) level: u8,
}

impl AudioLevel {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let &first = value.first()?;
        Some(Self { voice: first & 0x80 != 0, level: first & 0x7f })
    }

    pub(crate) fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | (self.level & 0x7f)]
    }
}

/// When a packet left its sender: seconds as 6.18 fixed point, wrapping every 64 s
/// (`http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AbsSendTime(u32);

impl AbsSendTime {
    /// The stamp for a time since any fixed epoch, rounded down to 2^-18 s (about 3.8 µs).
    pub(crate) fn from_time(since_epoch: Duration) -> Self {
        let seconds = (since_epoch.as_secs() & 0x3f) << ABS_SEND_TIME_FRACTION_BITS;
        let fraction =
            (u64::from(since_epoch.subsec_nanos()) << ABS_SEND_TIME_FRACTION_BITS) / NANOS_PER_SECOND;
        Self((seconds | fraction) as u32)
    }

    /// Accepts exactly three bytes.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let &[b0, b1, b2] = value else { return None };
        Some(Self(u32::from_be_bytes([0, b0, b1, b2])))
    }

    pub(crate) fn to_bytes(self) -> [u8; 3] {
        let [_, b0, b1, b2] = self.0.to_be_bytes();
        [b0, b1, b2]
    }

    /// Nanoseconds from `earlier` to `self`; negative if `self` is older. Right up to ±32 s apart.
    pub(crate) fn nanos_since(self, earlier: Self) -> i64 {
        // Shifting the 24 bits to the top of the word makes the subtraction wrap where they do.
        let units = (self.0 << 8).wrapping_sub(earlier.0 << 8) as i32 >> 8;
        (i64::from(units) * NANOS_PER_SECOND as i64) >> ABS_SEND_TIME_FRACTION_BITS
    }
}

/// A packet's number among all packets of its transport, for congestion control feedback
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TransportSequence(pub(crate) u16);

impl TransportSequence {
    /// Reads the first two bytes; version 2 of the extension appends a feedback request to them.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        value.first_chunk().map(|&bytes| Self(u16::from_be_bytes(bytes)))
    }

    pub(crate) fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

/// Coordination of video orientation, forwarded as it came (3GPP TS 26.114 §7.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct VideoOrientation(pub(crate) u8);

impl VideoOrientation {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        value.first().map(|&byte| Self(byte))
    }

    pub(crate) fn to_bytes(self) -> [u8; 1] {
        [self.0]
    }
}

/// Two 12-bit delays in units of 10 ms, least and most, forwarded as they came
/// (`http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlayoutDelay(pub(crate) [u8; 3]);

impl PlayoutDelay {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        value.try_into().ok().map(Self)
    }

    pub(crate) fn to_bytes(self) -> [u8; 3] {
        self.0
    }
}

const ABS_SEND_TIME_FRACTION_BITS: u32 = 18;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn audio_level_is_a_voice_flag_and_seven_bits() {
        let level = AudioLevel::parse(&[0x80 | 42]).unwrap();
        assert_eq!(level, AudioLevel { voice: true, level: 42 });
        assert_eq!(level.to_bytes(), [0x80 | 42]);
        assert_eq!(AudioLevel::parse(&[127]), Some(AudioLevel { voice: false, level: 127 }));
        assert_eq!(AudioLevel::parse(&[]), None);
    }

    #[test]
    fn abs_send_time_is_six_bits_of_seconds_and_eighteen_of_fraction() {
        let half_past_65 = AbsSendTime::from_time(Duration::from_millis(65_500));
        assert_eq!(half_past_65.to_bytes(), [0x06, 0, 0], "65.5 s is 1.5 s after a wrap");
        assert_eq!(AbsSendTime::parse(&[0x06, 0, 0]), Some(half_past_65));
        assert_eq!(AbsSendTime::parse(&[1, 2]), None);
        assert_eq!(AbsSendTime::parse(&[1, 2, 3, 4]), None);
    }

    #[test]
    fn abs_send_times_subtract_across_the_wrap() {
        let before = AbsSendTime::from_time(Duration::from_millis(63_500));
        let after = AbsSendTime::from_time(Duration::from_millis(64_250));
        assert_eq!(after.nanos_since(before), 750_000_000);
        assert_eq!(before.nanos_since(after), -750_000_000);
    }

    #[test]
    fn transport_sequence_takes_both_versions_of_the_extension() {
        assert_eq!(TransportSequence::parse(&[0x12, 0x34]), Some(TransportSequence(0x1234)));
        assert_eq!(TransportSequence::parse(&[0x12, 0x34, 0x80, 5]), Some(TransportSequence(0x1234)));
        assert_eq!(TransportSequence::parse(&[0x12]), None);
        assert_eq!(TransportSequence(0x1234).to_bytes(), [0x12, 0x34]);
    }

    #[test]
    fn orientation_and_playout_delay_pass_unchanged() {
        assert_eq!(VideoOrientation::parse(&[0x09]).unwrap().to_bytes(), [0x09]);
        assert_eq!(VideoOrientation::parse(&[]), None);
        assert_eq!(PlayoutDelay::parse(&[1, 2, 3]).unwrap().to_bytes(), [1, 2, 3]);
        assert_eq!(PlayoutDelay::parse(&[1, 2]), None);
    }

    proptest! {
        #[test]
        fn abs_send_time_differences_are_within_one_unit(
            start in 0u64..1 << 40,
            gap in -30_000_000_000i64..30_000_000_000,
        ) {
            let start = start + 60_000_000_000;
            let first = AbsSendTime::from_time(Duration::from_nanos(start));
            let second = AbsSendTime::from_time(Duration::from_nanos(start.saturating_add_signed(gap)));
            prop_assert!((second.nanos_since(first) - gap).abs() <= 3_815 + 1);
        }
    }
}
