//! What people would see and hear of a stream.

use super::decoder::Decoder;
use super::view::Arrived;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How a picture moved in a span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pictures {
    /// Decodable pictures per second.
    pub rate: f64,
    /// The share of time in freezes, as getStats counts them: three times the average interval between pictures, and
    /// 150 ms more than it.
    pub frozen: f64,
    /// Seconds with fewer than five decodable pictures, of how many.
    pub bad_seconds: usize,
    pub seconds: usize,
}

impl Pictures {
    pub fn of(decoder: &Decoder, from: Instant, until: Instant) -> Self {
        let span = from..until;
        let times = || decoder.shown.iter().map(|(at, _)| *at);
        let shown: Vec<Instant> = times().filter(|at| span.contains(at)).collect();
        let seconds = (until - from).as_secs() as usize;
        let mut per_second = vec![0; seconds];
        for at in &shown {
            if let Some(count) = per_second.get_mut((*at - from).as_secs() as usize) {
                *count += 1;
            }
        }
        Self {
            rate: shown.len() as f64 / (until - from).as_secs_f64(),
            frozen: frozen(from, &shown, until).as_secs_f64() / (until - from).as_secs_f64(),
            bad_seconds: per_second.iter().filter(|count| **count < 5).count(),
            seconds,
        }
    }
}

fn frozen(from: Instant, shown: &[Instant], until: Instant) -> Duration {
    let times: Vec<Instant> = [from].into_iter().chain(shown.iter().copied()).chain([until]).collect();
    let mut average = Duration::from_secs(1) / 30;
    let mut frozen = Duration::ZERO;
    for pair in times.windows(2) {
        let interval = pair[1] - pair[0];
        if interval > (3 * average).max(average + Duration::from_millis(150)) {
            frozen += interval;
        } else {
            average = (average * 29 + interval) / 30;
        }
    }
    frozen
}

/// How sound was in a span of time, behind a jitter buffer whose delay follows what came late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sound {
    /// The share of packets that came more than 400 ms later than the fastest one would have.
    pub late: f64,
    /// The share of packets that were not there when they had to be played.
    pub concealed: f64,
}

impl Sound {
    /// `packets` of sound, one each `interval`.
    pub fn of(packets: &BTreeMap<u64, Arrived>, interval: Duration, from: Duration, until: Duration) -> Self {
        let mut delays: BTreeMap<u64, f64> = BTreeMap::new();
        let start = packets.values().next().map(|packet| packet.at);
        for packet in packets.values() {
            let (Some(stamp), Some(start)) = (packet.stamp, start) else { continue };
            let slot = (stamp.captured.as_nanos() / interval.as_nanos()) as u64;
            // All delays have the same unknown part.
            let delay = (packet.at - start).as_secs_f64() - stamp.captured.as_secs_f64();
            delays.insert(slot, delay);
        }
        let fastest = delays.values().copied().fold(f64::INFINITY, f64::min);
        let slot = |at: Duration| (at.as_nanos() / interval.as_nanos()) as u64;
        let (mut slots, mut late, mut concealed) = (0, 0, 0);
        let mut playout = LEAST_PLAYOUT;
        for slot in slot(from)..slot(until) {
            slots += 1;
            let Some(delay) = delays.get(&slot).map(|delay| delay - fastest) else {
                concealed += 1;
                continue;
            };
            late += usize::from(delay > 0.4);
            if delay > playout {
                concealed += 1;
                playout = delay.min(MOST_PLAYOUT);
            } else {
                playout = (playout - SHRINKING * interval.as_secs_f64()).max(LEAST_PLAYOUT);
            }
        }
        let share = |count: usize| count as f64 / f64::from(slots);
        Self { late: share(late), concealed: share(concealed) }
    }
}

/// The delay of the jitter buffer, in seconds beyond the fastest packet's.
const LEAST_PLAYOUT: f64 = 0.04;
const MOST_PLAYOUT: f64 = 2.0;
/// Seconds per second by which the delay falls while nothing comes late.
const SHRINKING: f64 = 0.005;
