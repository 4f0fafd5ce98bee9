//! The times of a client's sender reports, on the server's clock.
//!
//! A recording needs them for hours: two clocks that differ by 50 ppm are 180 ms apart after one. The offset of the
//! clocks is the smallest of (arrival - NTP time) in the last minute: the report that waited least on its way. The
//! offset that is used follows it slowly, and is one for all streams of the client, so that they stay together.

use crate::clock::NtpTime;
use crate::least::Least;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct ClientClock {
    known: Option<Known>,
    /// How often the client's clock was set.
    sets: u32,
}

#[derive(Debug)]
struct Known {
    /// The first report, to which the offsets are relative.
    first: (Instant, NtpTime),
    /// Our time minus the client's, in nanoseconds: the one that is used, and the measured ones.
    offset: i64,
    measured: Least,
    /// When the offset in use was last moved.
    moved: Instant,
    /// An offset that was measured instead, and since when.
    suspect: Option<(i64, Instant)>,
}

/// The time of a report on the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    /// How often the client's clock was set before.
    pub(crate) sets: u32,
}

impl ClientClock {
    /// Reads the client's wall-clock time `ntp` in a report that arrived at `now`. `None` if the report is not
    /// believed: it says that the clock was set back, or it took seconds. The reports after it show which.
    pub(crate) fn hear(&mut self, ntp: NtpTime, now: Instant) -> Option<Heard> {
        let known = self.known.get_or_insert_with(|| Known::new(ntp, now));
        let measured = known.measure(ntp, now);
        let beyond = measured.saturating_sub(known.offset);
        if beyond > MAX_STEP && !known.confirms(measured, now) {
            return None;
        }
        if beyond.saturating_abs() > MAX_STEP {
            self.sets = self.sets.wrapping_add(1);
            known.anchor(measured, now);
        }
        known.suspect = None;
        known.measured.add(measured, now);
        known.follow(now);
        // Within `MAX_STEP` of now; later than now if this is the least delayed report.
        let late = measured.saturating_sub(known.offset);
        let apart = Duration::from_nanos(late.unsigned_abs());
        let at = if late > 0 { now.checked_sub(apart)? } else { now + apart };
        Some(Heard { at, sets: self.sets })
    }
}

impl Known {
    fn new(ntp: NtpTime, now: Instant) -> Self {
        Self { first: (now, ntp), offset: 0, measured: Least::new(0, now), moved: now, suspect: None }
    }

    fn measure(&self, ntp: NtpTime, now: Instant) -> i64 {
        let (begin, first) = self.first;
        let ours = i64::try_from(now.saturating_duration_since(begin).as_nanos()).unwrap_or(i64::MAX);
        let theirs = (i128::from(ntp.since(first)) * 1_000_000_000) >> 32;
        ours.saturating_sub(i64::try_from(theirs).unwrap_or(i64::MAX))
    }

    /// Whether reports have shown this offset for some time.
    fn confirms(&mut self, measured: i64, now: Instant) -> bool {
        let same =
            self.suspect.filter(|(before, _)| before.saturating_sub(measured).saturating_abs() < MAX_STEP);
        let (_, since) = *self.suspect.insert(same.unwrap_or((measured, now)));
        now.saturating_duration_since(since) >= CONFIRMED_AFTER
    }

    fn anchor(&mut self, measured: i64, now: Instant) {
        (self.offset, self.measured, self.moved) = (measured, Least::new(measured, now), now);
    }

    fn follow(&mut self, now: Instant) {
        let since = now.saturating_duration_since(std::mem::replace(&mut self.moved, now));
        let most = i64::try_from(since.as_nanos() / SLOWNESS).unwrap_or(i64::MAX);
        let way = self.measured.get().map_or(0, |least| least.saturating_sub(self.offset));
        self.offset = self.offset.saturating_add(way.clamp(-most, most));
    }
}

/// Nanoseconds: a larger difference is a clock that was set, not drift.
const MAX_STEP: i64 = 1_000_000_000;
/// A report can be late by seconds, but not reports for this long.
const CONFIRMED_AFTER: Duration = Duration::from_secs(2);
/// The offset moves by at most 1/2,000 of the time: 0.5 ms per second, ten times what good clocks differ by.
const SLOWNESS: u128 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_delayed_report_of_a_minute_decides_slowly() {
        let mut clock = Story::new();
        assert_eq!(clock.hear(0, 80), Some(80), "of the first, nothing is known");
        for second in 1..=200 {
            let late = clock.hear(second * 1_000, if second % 20 == 0 { 10 } else { 90 }).unwrap();
            // The report of second 20 is the first with 10 ms.
            let expected = if second < 20 { 80 } else { (90 - second as i64 / 2).max(10) };
            assert!((late - expected).abs() <= 11, "{late} at {second} s");
        }
    }

    #[test]
    fn drift_of_100_ppm_is_followed_within_10_ms() {
        let mut clock = Story::new();
        for second in 0..3_600u64 {
            let drift = second as i64 / 10;
            let late = clock.hear_at(second * 1_000 + 20, second as i64 * 1_000 - drift).unwrap();
            assert!((0..=30).contains(&(late - second as i64 * 1_000)), "{late} at {second} s");
        }
    }

    #[test]
    fn a_clock_set_ahead_counts_at_once_and_one_set_back_after_two_seconds() {
        for hour in [3_600_000, -3_600_000] {
            let mut clock = Story::new();
            for second in 0..10u64 {
                clock.hear(second * 1_000, 20).unwrap();
            }
            let refused = (10..20u64).filter(|second| {
                let heard = clock.hear_at(second * 1_000 + 20, *second as i64 * 1_000 + hour);
                heard.is_some_and(|at| (at - *second as i64 * 1_000).abs() > 30) || heard.is_none()
            });
            assert_eq!(refused.count(), if hour > 0 { 0 } else { 2 });
            assert_eq!(clock.clock.sets, 1);
        }
    }

    #[test]
    fn a_report_that_took_seconds_sets_no_clock() {
        let mut clock = Story::new();
        clock.hear(0, 20).unwrap();
        assert_eq!(clock.hear(1_000, 1_700), None);
        assert!(clock.hear(3_000, 20).is_some());
        assert_eq!(clock.hear(4_000, 1_700), None);
        assert_eq!(clock.clock.sets, 0);
    }

    #[test]
    fn whatever_is_reported_the_time_stays_within_a_second_of_the_arrival() {
        let mut clock = Story::new();
        let mut ntp = 0x9e37_79b9_7f4a_7c15u64;
        for step in 0..10_000u64 {
            ntp = ntp.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            let now = clock.begin + Duration::from_millis(step * 7);
            if let Some(heard) = clock.clock.hear(NtpTime(ntp), now) {
                let apart = now.max(heard.at) - now.min(heard.at);
                assert!(apart <= Duration::from_secs(1), "{apart:?}");
            }
        }
    }

    struct Story {
        clock: ClientClock,
        begin: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { clock: ClientClock::default(), begin: Instant::now() + Duration::from_secs(10) }
        }

        /// A report of a client with our clock, sent at `sent` ms, that took `delay` ms. The time that is assumed for it, in
        /// ms after it was sent.
        fn hear(&mut self, sent: u64, delay: u64) -> Option<i64> {
            self.hear_at(sent + delay, sent as i64).map(|at| at - sent as i64)
        }

        /// A report that arrived at `arrival` ms and bears the time `ntp` ms. The time that is assumed for it, in ms.
        fn hear_at(&mut self, arrival: u64, ntp: i64) -> Option<i64> {
            let ntp = NtpTime(((ntp + 1_000_000_000) as u64) * ((1 << 32) / 1_000));
            let heard = self.clock.hear(ntp, self.begin + Duration::from_millis(arrival))?;
            Some(heard.at.saturating_duration_since(self.begin).as_millis() as i64)
        }
    }
}
