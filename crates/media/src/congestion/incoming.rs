//! What a publisher's uplink carries, judged where its packets arrive: for publishers without transport-wide feedback,
//! which cannot judge it themselves. Delays and rates are judged as in a [`Controller`](super::Controller).

use super::Micros;
use super::rate::{Bounds, Observed, RateControl};
use super::signal::DelaySignal;
use super::throughput::Rates;
use super::trend::Usage;
use super::{DRAIN_FACTOR, START_RATE};
use rtcp::reception_report::ReceptionReport;
use std::time::{Duration, Instant};

/// The estimate for one uplink.
#[derive(Debug)]
pub struct Incoming {
    origin: Instant,
    clock: SendClock,
    signal: DelaySignal,
    rate: RateControl,
    max: f64,
    received: Received,
    updated: Micros,
    reported: Option<Totals>,
    /// The share of packets that the last reports show as lost, where it is heavy.
    loss: Option<f64>,
    /// The path was never overfull.
    is_starting: bool,
    /// When the sender was told last, and what.
    told: Option<(Micros, f64)>,
}

/// What reports on all streams said together.
#[derive(Debug, Clone, Copy)]
struct Totals {
    streams: usize,
    /// The sum of the highest numbers.
    expected: i64,
    lost: i64,
}

/// When its sender says that a packet was sent.
#[derive(Debug, Clone, Copy)]
pub enum SendTime {
    /// In 2^-18 s, modulo 64 s (the header extension abs-send-time).
    Absolute([u8; 3]),
    /// The capture time of a stream's frame, in place of the send time. Of several streams one is followed.
    Captured { ssrc: u32, timestamp: u32, clock_rate: u32 },
}

/// Makes one clock of the times that packets bear.
#[derive(Debug, Default)]
struct SendClock {
    /// The stream that is followed, with its clock rate, and when its last packet came.
    stream: Option<(u32, u32, Micros)>,
    last: Option<u32>,
    /// In units of the clock.
    elapsed: i64,
}

/// Bytes that arrived, in buckets of [`BUCKET`].
#[derive(Debug, Default)]
struct Received {
    buckets: [u64; BUCKETS],
    /// The newest bucket's number since the beginning, and the first one's.
    newest: Micros,
    first: Option<Micros>,
}

impl Incoming {
    /// `max` in bit/s.
    pub fn new(max: u64, now: Instant) -> Self {
        let max = max as f64;
        Self {
            origin: now,
            clock: SendClock::default(),
            signal: DelaySignal::default(),
            rate: RateControl::new(START_RATE as f64, Bounds { min: MIN_RATE.min(max), max }),
            max,
            received: Received::default(),
            updated: 0,
            reported: None,
            loss: None,
            is_starting: true,
            told: None,
        }
    }

    /// Takes a packet of `size` bytes of UDP payload. Returns whether the sender should be told at once that the
    /// estimate fell.
    pub fn arrived(&mut self, sent: SendTime, size: usize, rtt: Option<Duration>, at: Instant) -> bool {
        let now = self.micros(at);
        self.received.add(size, now);
        if let Some(sent) = self.clock.read(sent, now) {
            self.signal.add(sent, now, now);
        }
        if now - self.updated < INTERVAL {
            return false;
        }
        self.update(now, rtt.map_or(DEFAULT_RTT, |rtt| rtt.as_micros() as Micros));
        self.updated = now;
        let estimate = self.current();
        self.told.is_some_and(|(at, told)| now - at >= TELL_INTERVAL && estimate < FALL * told)
    }

    /// Takes the reports on all streams: what was lost before it was repaired.
    pub fn reported(&mut self, reports: &[ReceptionReport]) {
        let sum = |of: fn(&ReceptionReport) -> u32| reports.iter().map(|it| i64::from(of(it))).sum::<i64>();
        let totals = Totals {
            streams: reports.len(),
            expected: sum(|report| report.last_sequence_number),
            lost: sum(|report| report.total_lost),
        };
        let before = self.reported.filter(|before| before.streams == totals.streams);
        let Some(before) = before.filter(|before| before.expected <= totals.expected) else {
            self.reported = Some(totals);
            return;
        };
        let (expected, lost) = (totals.expected - before.expected, totals.lost - before.lost);
        if expected >= MIN_EXPECTED {
            self.loss = Some(lost as f64 / expected as f64).filter(|loss| *loss > HEAVY_LOSS);
            self.reported = Some(totals);
        }
    }

    /// The estimate in bit/s, to be told to the sender.
    pub fn tell(&mut self, now: Instant) -> u64 {
        let estimate = self.current();
        self.told = Some((self.micros(now), estimate));
        estimate as u64
    }

    /// While a queue stands on the path, less than the path carries.
    fn current(&self) -> f64 {
        let rate = self.rate.rate();
        if self.signal.is_draining() { (DRAIN_FACTOR * rate).max(MIN_RATE.min(self.max)) } else { rate }
    }

    fn update(&mut self, now: Micros, rtt: Micros) {
        let heard = self.signal.conclude();
        // Loss does not cease below some rate: this much libwebrtc's loss model leaves to a sender of its own.
        let bound = self.loss.take().map(|loss| LOSS_BALANCE / (loss - LOSS_OFFSET));
        let is_overfull = bound.is_some_and(|bound| self.rate.rate() > bound);
        let usage = if is_overfull { Usage::Over } else { heard };
        let rates = self.received.rates(now);
        self.is_starting &= usage != Usage::Over;
        if let Some(rates) = rates.filter(|_| self.is_starting) {
            return self.start(rates, now);
        }
        self.rate.update(&Observed {
            usage,
            rates,
            is_draining: self.signal.is_draining(),
            probe: None,
            standing: self.signal.standing(),
            rtt,
            now,
        });
    }

    /// Until the path is overfull for the first time the rate grows as fast as the sender follows.
    fn start(&mut self, rates: Rates, now: Micros) {
        let growth = START_GROWTH.powf((now - self.updated) as f64 / 1e6);
        let higher = (growth * self.rate.rate()).min(LEAD * rates.acknowledged + LEAD_OFFSET);
        if higher > self.rate.rate() {
            self.rate.restart(higher);
        }
    }

    fn micros(&self, at: Instant) -> Micros {
        at.saturating_duration_since(self.origin).as_micros() as Micros
    }
}

impl SendClock {
    /// The send time in µs since some zero; `None` for a stream that is not followed.
    fn read(&mut self, sent: SendTime, now: Micros) -> Option<Micros> {
        let (rate, value, bits) = match sent {
            SendTime::Absolute([high, middle, low]) => {
                (ABSOLUTE_RATE, u32::from_be_bytes([0, high, middle, low]), 24)
            }
            SendTime::Captured { ssrc, timestamp, clock_rate } => {
                if !self.follows(ssrc, clock_rate, now) {
                    return None;
                }
                (i64::from(clock_rate), timestamp, 32)
            }
        };
        let before = self.last.replace(value).unwrap_or(value);
        let unused = 32 - bits;
        self.elapsed += i64::from((value.wrapping_sub(before) << unused) as i32 >> unused);
        Some(self.elapsed * 1_000_000 / rate.max(1))
    }

    /// Video is followed rather than sound: its clock is the faster one, and it is what fills a path.
    fn follows(&mut self, ssrc: u32, clock_rate: u32, now: Micros) -> bool {
        let gives_way = |&(_, rate, at): &(u32, u32, Micros)| rate < clock_rate || now - at > SILENCE;
        match &mut self.stream {
            Some((followed, _, at)) if *followed == ssrc => {
                *at = now;
                true
            }
            stream if stream.as_ref().is_none_or(gives_way) => {
                *stream = Some((ssrc, clock_rate, now));
                self.last = None;
                true
            }
            _ => false,
        }
    }
}

impl Received {
    fn add(&mut self, size: usize, now: Micros) {
        self.advance(now / BUCKET);
        if let Some(bucket) = self.buckets.get_mut(slot(self.newest)) {
            *bucket += size as u64;
        }
    }

    /// Bit/s; `None` until enough has come to tell.
    fn rates(&self, now: Micros) -> Option<Rates> {
        let complete = now / BUCKET - 1;
        let first = self.first?;
        let rate = |longest: Micros| {
            let count = longest.min(complete - first);
            let bytes = (0..count).map(|back| self.bytes(complete - back)).sum::<u64>();
            (count > 0).then(|| bytes as f64 * 8e6 / (count * BUCKET) as f64)
        };
        (complete - first >= LEAST).then_some(())?;
        Some(Rates { acknowledged: rate(LONG)?, recent: rate(SHORT)?, is_all: false })
    }

    fn bytes(&self, number: Micros) -> u64 {
        let is_kept = number <= self.newest && number > self.newest - BUCKETS as Micros;
        self.buckets.get(slot(number)).copied().filter(|_| is_kept).unwrap_or(0)
    }

    fn advance(&mut self, number: Micros) {
        if self.first.is_none() {
            (self.first, self.newest) = (Some(number), number);
        }
        for passed in (self.newest + 1..=number).rev().take(BUCKETS) {
            if let Some(bucket) = self.buckets.get_mut(slot(passed)) {
                *bucket = 0;
            }
        }
        self.newest = self.newest.max(number);
    }
}

fn slot(number: Micros) -> usize {
    number.rem_euclid(BUCKETS as Micros) as usize
}

/// µs between two updates: as often as transport-wide feedback comes.
const INTERVAL: Micros = 50_000;
/// µs, of buckets.
const BUCKET: Micros = 50_000;
/// Buckets kept: more than the longest window.
const BUCKETS: usize = 24;
/// Buckets of the received rate that growth is measured by (1 s), of the rate that over-use falls back to (0.3 s, as in
/// [`Rates`]), and without which nothing is known.
const LONG: Micros = 20;
const SHORT: Micros = 6;
const LEAST: Micros = 6;
/// bit/s: sound, and a little video.
const MIN_RATE: f64 = 50_000.0;
/// Per second.
const START_GROWTH: f64 = 1.5;
/// How far the estimate may be above what is received.
const LEAD: f64 = 1.5;
/// bit/s.
const LEAD_OFFSET: f64 = 10_000.0;
const HEAVY_LOSS: f64 = 0.1;
/// bit/s, and a share of packets (libwebrtc's `LossBasedBweV2`).
const LOSS_BALANCE: f64 = 100_000.0;
const LOSS_OFFSET: f64 = 0.05;
/// Packets, for a share of losses that says something.
const MIN_EXPECTED: i64 = 20;
/// A fall below this share is told at once, but not more often than each [`TELL_INTERVAL`] µs.
const FALL: f64 = 0.97;
const TELL_INTERVAL: Micros = 200_000;
/// µs.
const DEFAULT_RTT: Micros = 100_000;
/// µs.
const SILENCE: Micros = 1_000_000;
const ABSOLUTE_RATE: i64 = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_times_go_on_where_their_numbers_begin_anew() {
        let mut clock = SendClock::default();
        let absolute = |value: u32| {
            let [_, high, middle, low] = value.to_be_bytes();
            SendTime::Absolute([high, middle, low])
        };
        assert_eq!(clock.read(absolute(0xff_ffff), 0), Some(0));
        assert_eq!(clock.read(absolute((1 << 18) - 1), 0), Some(1_000_000));
        assert_eq!(clock.read(absolute(0xff_ffff), 0), Some(0), "overtaken");
        let mut clock = SendClock::default();
        let captured = |timestamp| SendTime::Captured { ssrc: 1, timestamp, clock_rate: 90_000 };
        assert_eq!(clock.read(captured(u32::MAX), 0), Some(0));
        assert_eq!(clock.read(captured(89_999), 0), Some(1_000_000));
    }

    #[test]
    fn video_is_followed_until_it_is_silent() {
        let mut clock = SendClock::default();
        let packet = |ssrc, clock_rate| SendTime::Captured { ssrc, timestamp: 7, clock_rate };
        assert!(clock.read(packet(1, 48_000), 0).is_some());
        assert!(clock.read(packet(2, 90_000), 10).is_some());
        assert!(clock.read(packet(1, 48_000), 20).is_none());
        assert!(clock.read(packet(3, 90_000), 30).is_none());
        assert!(clock.read(packet(1, 48_000), 10 + SILENCE + 1).is_some());
    }

    #[test]
    fn the_received_rate_is_that_of_the_last_second() {
        let mut received = Received::default();
        (0..3_000).step_by(10).for_each(|ms| received.add(if ms < 1_500 { 1_000 } else { 125 }, ms * 1_000));
        let rates = received.rates(3_000_000).unwrap();
        assert_eq!((rates.acknowledged, rates.recent), (100_000.0, 100_000.0));
        received.add(125, 60_000_000);
        assert!(received.rates(60_000_000).unwrap().acknowledged < 1.0);
        assert!(Received::default().rates(5).is_none());
    }
}
