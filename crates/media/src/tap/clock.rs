//! The capture times of one source, on the server's clock.
//!
//! Sender reports say them. Before the first report, or if the reports are wrong, a packet counts as captured when it would
//! have arrived with the smallest delay of the last minute. The change from one to the other is slow, so that nothing
//! jumps.

use crate::arrival::Captured;
use crate::least::Least;
use std::time::{Duration, Instant};

/// Times are nanoseconds: `line` is the server's time (since `origin`) minus the media time.
#[derive(Debug)]
pub(super) struct SourceClock {
    origin: Instant,
    rate: u32,
    /// The highest timestamp, and the media time in ticks that it stands for.
    newest: (u32, i64),
    arrivals: Arrivals,
    reported: Option<Reported>,
    /// What is used, and when it was moved last.
    line: Option<(i64, Instant)>,
}

/// The line with the smallest delay.
#[derive(Debug)]
struct Arrivals {
    least: Least,
    /// The smallest of the last seconds, and when they began.
    recent: (i64, Instant),
    last: Instant,
}

/// The line of the sender reports.
#[derive(Debug)]
struct Reported {
    line: i64,
    /// A line that the latest reports agreed on instead, and how many did.
    other: (i64, u32),
    /// The last report, which every message about the producer repeats.
    last: (u32, Instant),
}

impl SourceClock {
    pub(super) fn new(origin: Instant, rate: u32, timestamp: u32, at: Instant) -> Self {
        let since = since(origin, at);
        Self {
            origin,
            rate: rate.max(1),
            newest: (timestamp, 0),
            arrivals: Arrivals::new(since, at),
            reported: None,
            line: None,
        }
    }

    /// Notes a packet that arrived, in any order.
    pub(super) fn arrived(&mut self, timestamp: u32, at: Instant) {
        let media = self.advance(timestamp);
        self.arrivals.add(since(self.origin, at).saturating_sub(self.nanos(media)), at);
    }

    /// Notes a sender report.
    pub(super) fn report(&mut self, captured: &Captured) {
        let last = (captured.timestamp, captured.at);
        let line = since(self.origin, captured.at).saturating_sub(self.nanos(self.media(captured.timestamp)));
        match &mut self.reported {
            Some(reported) if reported.last == last => {}
            Some(reported) => reported.hear(line, last),
            None => self.reported = Some(Reported { line, other: (line, 0), last }),
        }
    }

    /// When a packet that arrived at `at` was captured; `now` says how far the line may move.
    pub(super) fn capture(&mut self, timestamp: u32, at: Instant, now: Instant) -> Instant {
        let target = self.target();
        let line = match self.line {
            Some((line, moved)) if (target - line).abs() <= MAX_SLIDE => {
                let since =
                    i64::try_from(now.saturating_duration_since(moved).as_nanos()).unwrap_or(i64::MAX);
                line + (target - line).clamp(-since / SLIDE, since / SLIDE)
            }
            Some(_) | None => target,
        };
        self.line = Some((line, now));
        let media = self.media(timestamp);
        let captured = self.nanos(media).saturating_add(line);
        let arrived = since(self.origin, at);
        let nanos = captured.clamp(arrived.saturating_sub(MAX_BEHIND), arrived.saturating_add(MAX_AHEAD));
        self.origin + Duration::from_nanos(nanos.max(0).unsigned_abs())
    }

    /// The line of the reports, if it fits the arrivals.
    fn target(&self) -> i64 {
        let least = self.arrivals.least();
        let fits = |line: &i64| (-MAX_BEHIND..=MAX_AHEAD).contains(&line.saturating_sub(least));
        self.reported.as_ref().map(|reported| reported.line).filter(fits).unwrap_or(least)
    }

    /// The media time of a timestamp near the newest.
    fn media(&self, timestamp: u32) -> i64 {
        let (newest, media) = self.newest;
        media.saturating_add(i64::from(timestamp.wrapping_sub(newest) as i32))
    }

    fn advance(&mut self, timestamp: u32) -> i64 {
        let media = self.media(timestamp);
        if media > self.newest.1 {
            self.newest = (timestamp, media);
        }
        media
    }

    fn nanos(&self, ticks: i64) -> i64 {
        i64::try_from(i128::from(ticks) * 1_000_000_000 / i128::from(self.rate)).unwrap_or(i64::MAX / 4)
    }
}

impl Arrivals {
    fn new(value: i64, at: Instant) -> Self {
        Self { least: Least::new(value, at), recent: (value, at), last: at }
    }

    fn add(&mut self, value: i64, at: Instant) {
        let (smallest, began) = self.recent;
        let least = self.least();
        let slept = at.saturating_duration_since(self.last) >= SLEPT;
        self.last = self.last.max(at);
        if slept && value > least.saturating_add(MAX_SLIDE) {
            // The sender's clock stood still while the sender slept.
            *self = Self::new(value, at);
            return;
        }
        self.least.add(value, at);
        self.recent.0 = smallest.min(value);
        if at.saturating_duration_since(began) < RECENT {
            return;
        }
        if self.recent.0 > least.saturating_add(MAX_SLIDE) {
            *self = Self::new(self.recent.0, at);
        }
        self.recent = (value, at);
    }

    fn least(&self) -> i64 {
        self.least.get().unwrap_or(self.recent.0)
    }
}

impl Reported {
    fn hear(&mut self, line: i64, last: (u32, Instant)) {
        self.last = last;
        if (line - self.line).saturating_abs() <= STALE {
            self.line += (line - self.line) / SMOOTHNESS;
            self.other.1 = 0;
            return;
        }
        let agrees = self.other.1 > 0 && line.saturating_sub(self.other.0).saturating_abs() <= STALE;
        self.other = (line, if agrees { self.other.1 + 1 } else { 1 });
        if self.other.1 >= AGREED {
            (self.line, self.other.1) = (line, 0);
        }
    }
}

/// Nanoseconds; negative before the origin.
fn since(origin: Instant, at: Instant) -> i64 {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match at.checked_duration_since(origin) {
        Some(after) => nanos(after),
        None => -nanos(origin.saturating_duration_since(at)),
    }
}

/// The line slides by 1 ms in 20 ms at most.
const SLIDE: i64 = 20;
const MILLISECOND: i64 = 1_000_000;
/// The line jumps if it is further off: the clock stood still, or jumped.
const MAX_SLIDE: i64 = 200 * MILLISECOND;
/// A capture time is believed within these bounds around the arrival.
const MAX_BEHIND: i64 = 5_000 * MILLISECOND;
const MAX_AHEAD: i64 = 500 * MILLISECOND;
/// A report that differs more may be stale: some senders repeat the pair of times of their last packet.
const STALE: i64 = 100 * MILLISECOND;
/// So many such reports in a row are believed.
const AGREED: u32 = 3;
/// A report moves the line by 1/10 of the difference.
const SMOOTHNESS: i64 = 10;
/// When the smallest delay of this time is much larger than that of the last minute, the clock stood still.
const RECENT: Duration = Duration::from_secs(2);
const SLEPT: Duration = Duration::from_secs(3);
