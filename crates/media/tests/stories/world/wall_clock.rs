//! A client's wall clock.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// The start of the world.
    pub origin: Instant,
    /// The clock's time at the start, since 1970.
    pub unix: Duration,
}

impl WallClock {
    /// NTP time: 32.32 fixed point since 1900 (RFC 3550 §4).
    pub fn ntp(&self, now: Instant) -> u64 {
        let since_1900 = self.unix + (now - self.origin) + Duration::from_secs(2_208_988_800);
        (since_1900.as_secs() << 32) | ((u64::from(since_1900.subsec_nanos()) << 32) / 1_000_000_000)
    }
}
