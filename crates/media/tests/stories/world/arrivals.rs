//! Transport-wide feedback as libwebrtc's receivers send it (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What arrived lately, and what of it is not reported.
pub struct Arrivals {
    pub clock: ReceiverClock,
    start: Instant,
    /// Ticks of the receiver's clock by extended transport-wide number.
    received: BTreeMap<u64, i64>,
    /// The lowest number that arrived and was not reported.
    unreported: Option<u64>,
    /// Bytes since the last report.
    bytes: usize,
    last_report: Instant,
    next_report: Option<Instant>,
    reports: u8,
}

/// A receiver's clock is its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceiverClock {
    /// How much too fast it runs, in millionths.
    pub drift: f64,
    /// By how much it was set forward, in seconds; negative if back.
    pub step: f64,
}

impl Arrivals {
    pub fn new(start: Instant) -> Self {
        Self {
            clock: ReceiverClock::default(),
            start,
            received: BTreeMap::new(),
            unreported: None,
            bytes: 0,
            last_report: start,
            next_report: None,
            reports: 0,
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.next_report
    }

    pub fn note(&mut self, now: Instant, number: u16, bytes: usize) {
        let highest = self.received.last_key_value().map_or(1 << 16, |(highest, _)| *highest);
        let distance = i64::from(number.wrapping_sub(highest as u16) as i16);
        let number = highest.checked_add_signed(distance).unwrap();
        let ticks = self.clock.ticks(now - self.start);
        self.bytes += bytes;
        if self.received.contains_key(&number) {
            return;
        }
        self.received.insert(number, ticks);
        self.unreported = Some(self.unreported.map_or(number, |lowest| lowest.min(number)));
        self.next_report.get_or_insert(now + SHORTEST_INTERVAL);
    }

    /// The reports that are due: nothing if nothing has arrived.
    pub fn reports(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if self.next_report.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.next_report = Some(now + self.interval(now));
        (self.bytes, self.last_report) = (0, now);
        let Some(lowest) = self.unreported.take() else { return Vec::new() };
        let arrived: Vec<(u64, i64)> =
            self.received.range(lowest..).map(|(number, ticks)| (*number, *ticks)).collect();
        let first = self.reports;
        let reports: Vec<Vec<u8>> = arrived
            .chunk_by(|a, b| b.0 - a.0 < MOST_NUMBERS && i16::try_from(b.1 - a.1).is_ok())
            .flat_map(|near| near.chunks(MOST_NUMBERS as usize))
            .zip(0..)
            .map(|(near, index)| write(near, first.wrapping_add(index)))
            .collect();
        self.reports = first.wrapping_add(reports.len() as u8);
        self.forget();
        reports
    }

    /// A report of 68 bytes takes a twentieth of the received rate.
    fn interval(&self, now: Instant) -> Duration {
        let seconds = (now - self.last_report).as_secs_f64().max(0.001);
        let rate = self.bytes as f64 / seconds;
        Duration::from_secs_f64(68.0 / (0.05 * rate).max(1.0)).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    }

    /// A late packet is reported again with those that arrived up to half a second before.
    fn forget(&mut self) {
        let newest = self.received.last_key_value().map_or(0, |(_, ticks)| *ticks);
        let kept = |ticks: &i64| (newest - KEPT..=newest + KEPT).contains(ticks);
        self.received.retain(|_, ticks| kept(ticks));
    }
}

impl ReceiverClock {
    /// In 250 µs.
    fn ticks(self, since_start: Duration) -> i64 {
        let seconds = since_start.as_secs_f64() * (1.0 + self.drift / 1e6) + self.step;
        ((HEAD_START + seconds) * 4_000.0) as i64
    }
}

/// Feedback that these packets arrived, all at one time.
pub fn claim(arrived: &[u16]) -> Vec<u8> {
    let base = arrived[0];
    let mut claimed: Vec<(u64, i64)> =
        arrived.iter().map(|number| (u64::from(base) + u64::from(number.wrapping_sub(base)), 0)).collect();
    claimed.sort_unstable();
    write(&claimed, 0)
}

/// One report: numbers and ticks, ascending by number.
fn write(arrived: &[(u64, i64)], count: u8) -> Vec<u8> {
    let (base, first) = arrived[0];
    let reference = first.div_euclid(TICKS_PER_REFERENCE);
    let numbers = (arrived[arrived.len() - 1].0 - base + 1) as usize;
    // Chunks of seven symbols of two bits each.
    let mut chunks = vec![0xc000u16; numbers.div_ceil(7)];
    let mut deltas = Vec::new();
    let mut before = reference * TICKS_PER_REFERENCE;
    for (number, ticks) in arrived {
        let (index, delta) = ((number - base) as usize, ticks - before);
        before = *ticks;
        let symbol = match u8::try_from(delta) {
            Ok(small) => {
                deltas.push(small);
                1
            }
            Err(_) => {
                deltas.extend((delta as i16).to_be_bytes());
                2
            }
        };
        chunks[index / 7] |= symbol << (12 - 2 * (index % 7));
    }
    let mut packet = vec![0x8f, 205, 0, 0];
    packet.extend([OWN_SSRC, 0].into_iter().flat_map(u32::to_be_bytes));
    packet.extend([base as u16, numbers as u16].into_iter().flat_map(u16::to_be_bytes));
    packet.extend(&(reference as u32).to_be_bytes()[1..]);
    packet.push(count);
    packet.extend(chunks.into_iter().flat_map(u16::to_be_bytes));
    packet.extend(deltas);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}

/// The SSRC of a browser's RTCP when it sends no media.
pub const OWN_SSRC: u32 = 1;
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_millis(250);
/// Half a second, in ticks.
const KEPT: i64 = 2_000;
/// The reference time counts 64 ms.
const TICKS_PER_REFERENCE: i64 = 256;
/// In one report.
const MOST_NUMBERS: u64 = 400;
/// Seconds on the clock at the start, so that it can be set back.
const HEAD_START: f64 = 1_000.0;
