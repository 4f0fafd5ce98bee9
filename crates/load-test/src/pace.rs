//! The times at which frames are captured and sent: captures are regular, sending is delayed by a seeded
//! jitter.

use rand::RngExt;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    /// Frames per second.
    rate: u32,
    clock_rate: u32,
    frame: u64,
    jitter: Duration,
    /// When to send the next frame.
    due: Instant,
}

impl Pace {
    pub(crate) fn new(started: Instant, rate: u32, clock_rate: u32, jitter: Duration) -> Self {
        Self { started, rate, clock_rate, frame: 0, jitter, due: started }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Skips frames that were due before `now`.
    pub(crate) fn skip_to(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.started).as_nanos() as u64;
        self.frame = self.frame.max((elapsed * u64::from(self.rate)).div_ceil(1_000_000_000));
        self.due = self.due.max(self.capture(self.frame));
    }

    /// Returns the media ticks and the capture time of the due frame, and advances to the next frame.
    pub(crate) fn advance(&mut self, random: &mut StdRng) -> (u32, Instant) {
        let ticks = (self.frame * u64::from(self.clock_rate) / u64::from(self.rate)) as u32;
        let captured = self.capture(self.frame);
        self.frame += 1;
        let late = self.jitter.mul_f64(random.random());
        // A frame never overtakes the previous one.
        self.due = (self.capture(self.frame) + late).max(self.due);
        (ticks, captured)
    }

    fn capture(&self, frame: u64) -> Instant {
        self.started + Duration::from_nanos(frame * 1_000_000_000 / u64::from(self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn captures_are_regular_whatever_the_jitter() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 30, 90_000, Duration::from_millis(5));
        let mut random = StdRng::seed_from_u64(1);
        for frame in 0..300_u32 {
            let (ticks, captured) = pace.advance(&mut random);
            assert_eq!(ticks, frame * 3_000);
            assert_eq!(captured.duration_since(start).as_millis(), u128::from(frame) * 1_000 / 30);
        }
    }

    #[test]
    fn what_was_due_before_the_start_is_never_sent() {
        let start = Instant::now();
        let mut pace = Pace::new(start, 50, 48_000, Duration::ZERO);
        pace.skip_to(start + Duration::from_millis(1_990));
        let (ticks, captured) = pace.advance(&mut StdRng::seed_from_u64(1));
        assert_eq!((ticks, captured), (96_000, start + Duration::from_secs(2)));
    }

    #[test]
    fn frames_leave_in_order_and_late_by_no_more_than_the_jitter() {
        let start = Instant::now();
        let jitter = Duration::from_millis(50);
        let mut pace = Pace::new(start, 50, 48_000, jitter);
        let mut random = StdRng::seed_from_u64(7);
        let mut last = start;
        let mut lateness = Duration::ZERO;
        for _ in 0..500 {
            let due = pace.due();
            let (_, captured) = pace.advance(&mut random);
            assert!(due >= last && due <= captured + jitter);
            lateness += due - captured;
            last = due;
        }
        assert!((10..45).contains(&(lateness / 500).as_millis()), "{lateness:?}");
    }
}
