//! The time of a recording.

use std::time::{Duration, Instant, SystemTime};

/// The time zero of a recording, on the monotonic clock and on the wall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Zero {
    began: Instant,
    wall: SystemTime,
}

impl Zero {
    pub(crate) fn new(began: Instant) -> Self {
        let ago = Instant::now().saturating_duration_since(began);
        let wall = SystemTime::now();
        Self { began, wall: wall.checked_sub(ago).unwrap_or(wall) }
    }

    pub(crate) fn ms(self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.began))
    }

    pub(crate) fn began(self) -> SystemTime {
        self.wall
    }

    pub(crate) fn date(self, at: Instant) -> SystemTime {
        self.wall + at.saturating_duration_since(self.began)
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
