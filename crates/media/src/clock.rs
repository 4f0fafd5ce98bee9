//! Times on the wire: NTP, and the 24-bit send time that congestion control reads.

use std::time::{Duration, Instant};

/// The wall-clock time of one instant. All wall-clock times are derived from it, so that the crate reads no
/// clock.
#[derive(Debug, Clone, Copy)]
pub struct Epoch {
    pub at: Instant,
    /// Time since 1970-01-01 UTC.
    pub unix: Duration,
}

impl Epoch {
    pub(crate) fn ntp(&self, now: Instant) -> NtpTime {
        let unix = self.unix + now.saturating_duration_since(self.at);
        NtpTime::from_duration(unix + NTP_UNIX_OFFSET)
    }
}

/// Seconds since 1900 as 32.32 fixed point (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NtpTime(pub(crate) u64);

impl NtpTime {
    fn from_duration(since_1900: Duration) -> Self {
        let fraction = (u64::from(since_1900.subsec_nanos()) << 32) / 1_000_000_000;
        Self((since_1900.as_secs() << 32) | fraction)
    }

    /// The middle 32 bits, in units of 1/65536 s, as in LSR, LRR and delays (RFC 3550 §6.4.1, RFC 3611 §4.5).
    pub(crate) fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// In units of 2^-18 s; the low 24 bits are abs-send-time (6.18 seconds).
    pub(crate) fn send_ticks(self) -> u32 {
        (self.0 >> 14) as u32
    }

    /// `self - earlier` in units of 2^-32 s, negative when `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }

    pub(crate) fn offset(self, by: i64) -> Self {
        Self(self.0.wrapping_add_signed(by))
    }
}

/// A 32.32 difference as RTP ticks of `rate` Hz.
pub(crate) fn ticks(difference: i64, rate: u32) -> i64 {
    ((i128::from(difference) * i128::from(rate)) >> 32) as i64
}

/// A duration as RTP ticks of `rate` Hz.
pub(crate) fn duration_ticks(duration: Duration, rate: u32) -> u32 {
    (duration.as_micros() * u128::from(rate) / 1_000_000) as u32
}

/// 1/65536 s, the unit of LSR/DLSR, as a duration.
pub(crate) fn from_short_ntp(value: u32) -> Duration {
    Duration::from_nanos((u64::from(value) * 1_000_000_000) >> 16)
}

/// From 1900 to 1970 (RFC 5905 §6).
const NTP_UNIX_OFFSET: Duration = Duration::from_secs(2_208_988_800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_follows_the_monotonic_one() {
        let epoch = Epoch { at: Instant::now(), unix: Duration::from_secs(1_000) };
        let later = epoch.at + Duration::from_millis(1_500);
        let difference = epoch.ntp(later).since(epoch.ntp(epoch.at));
        assert_eq!(ticks(difference, 90_000), 135_000);
        assert_eq!(epoch.ntp(epoch.at).0 >> 32, 2_208_989_800);
    }

    #[test]
    fn abs_send_time_wraps_every_64_seconds() {
        let epoch = Epoch { at: Instant::now(), unix: Duration::ZERO };
        let first = epoch.ntp(epoch.at + Duration::from_secs(1)).send_ticks();
        let wrapped = epoch.ntp(epoch.at + Duration::from_secs(65)).send_ticks();
        assert_ne!(first, wrapped);
        assert_eq!(first & 0x00ff_ffff, wrapped & 0x00ff_ffff);
    }

    #[test]
    fn short_ntp_counts_in_65536ths() {
        assert_eq!(from_short_ntp(65_536), Duration::from_secs(1));
        assert_eq!(duration_ticks(Duration::from_millis(20), 48_000), 960);
    }
}
