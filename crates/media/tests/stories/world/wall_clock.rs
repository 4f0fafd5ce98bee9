//! What a client takes for the time of day.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// When the world began.
    pub origin: Instant,
    /// What the clock said then, since 1970.
    pub unix: Duration,
}

impl WallClock {
    /// As 32.32 fixed point since 1900.
    pub fn ntp(&self, now: Instant) -> u64 {
        let since_1900 = self.unix + (now - self.origin) + Duration::from_secs(2_208_988_800);
        (since_1900.as_secs() << 32) | ((u64::from(since_1900.subsec_nanos()) << 32) / 1_000_000_000)
    }
}
