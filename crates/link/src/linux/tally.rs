//! What is counted of a direction.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;
use switchyard_link::{Cause, Passage};

pub(crate) struct Tally {
    sent: Sum,
    arrived: Sum,
    dropped: Dropped,
    /// How much later packets arrived than the link wanted, in µs.
    late: Histogram<u64>,
    /// How long the queue was, in µs, as seen at regular times.
    queue: Histogram<u64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Sum {
    pub(crate) packets: u64,
    /// Whole IP packets.
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Dropped {
    /// Packets for which the queue had no room.
    pub(crate) queue: u64,
    /// Packets that the link lost otherwise.
    pub(crate) lost: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) sent: Sum,
    pub(crate) arrived: Sum,
    pub(crate) dropped: Dropped,
    /// The scheduling error.
    pub(crate) late_ms: Spread,
    pub(crate) queue_ms: Spread,
}

#[derive(Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Default for Tally {
    fn default() -> Self {
        let histogram = || Histogram::new_with_max(LONGEST_US, DIGITS).expect("bounds that fit");
        Self {
            sent: Sum::default(),
            arrived: Sum::default(),
            dropped: Dropped::default(),
            late: histogram(),
            queue: histogram(),
        }
    }
}

impl Tally {
    pub(crate) fn note_sent(&mut self, bytes: usize, passage: Passage) {
        self.sent.add(bytes);
        match passage {
            Passage::Taken { .. } => {}
            Passage::Lost(Cause::Queue) => self.dropped.queue += 1,
            Passage::Lost(Cause::Silence | Cause::Policer | Cause::Air) => self.dropped.lost += 1,
        }
    }

    pub(crate) fn note_arrived(&mut self, bytes: usize, late: Duration) {
        self.arrived.add(bytes);
        self.late.saturating_record(micros(late));
    }

    pub(crate) fn note_backlog(&mut self, backlog: Duration) {
        self.queue.saturating_record(micros(backlog));
    }

    pub(crate) fn report(&self) -> Report {
        let Self { sent, arrived, dropped, .. } = *self;
        Report { sent, arrived, dropped, late_ms: Spread::of(&self.late), queue_ms: Spread::of(&self.queue) }
    }
}

impl Sum {
    fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

impl Spread {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: histogram.max() as f64 / 1_000.0 }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const LONGEST_US: u64 = 60_000_000;
/// Significant digits of what is counted.
const DIGITS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_by_what_became_of_them_and_times_in_milliseconds() {
        let mut tally = Tally::default();
        tally.note_sent(100, Passage::Taken { waits: Duration::ZERO });
        tally.note_sent(200, Passage::Lost(Cause::Queue));
        tally.note_sent(300, Passage::Lost(Cause::Air));
        for late in 1..=100 {
            tally.note_arrived(10, Duration::from_micros(late * 100));
        }
        tally.note_backlog(Duration::from_millis(40));
        let report = tally.report();
        assert_eq!(report.sent, Sum { packets: 3, bytes: 600 });
        assert_eq!(report.arrived, Sum { packets: 100, bytes: 1_000 });
        assert_eq!(report.dropped, Dropped { queue: 1, lost: 1 });
        assert!((report.late_ms.p50 - 5.0).abs() < 0.1, "{:?}", report.late_ms);
        assert!((report.late_ms.max - 10.0).abs() < 0.1, "{:?}", report.late_ms);
        assert!((report.queue_ms.p95 - 40.0).abs() < 0.1, "{:?}", report.queue_ms);
    }
}
