//! What congestion control of one transport sees and decides, event by event, while somebody reads along.

use crate::congestion::{Bound, Change, Controller, Course, Hearing, Totals};
use crate::consumer::Granted;
use crate::id::ConsumerId;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The events since the last reading. It ends when nobody reads any more.
#[derive(Debug)]
pub(crate) struct Trace {
    began: Instant,
    read: Instant,
    events: Vec<Traced>,
    dropped: u64,
}

/// What was recorded since the last reading.
#[derive(Debug, Default, PartialEq)]
pub struct TracePart {
    pub events: Vec<Traced>,
    /// Events that were left out, because too many came between two readings.
    pub dropped: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traced {
    /// Since the first reading.
    #[serde(rename = "atMs")]
    pub at_ms: u64,
    #[serde(flatten)]
    pub what: Happening,
}

/// Rates are bit/s of UDP payload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Happening {
    /// A report was read.
    Feedback {
        rtt_ms: u64,
        /// What arrived in the last second or so.
        acknowledged: Option<u64>,
        /// How fast queues grow: milliseconds of delay per second.
        trend: f32,
        queue_ms: u64,
        /// Bytes whose fate is unknown.
        in_flight: u64,
        /// Packets reported as lost since tracing or the transport began.
        packets_lost: u64,
    },
    /// The estimate moved by a tenth up or a twentieth down, or one of the other values changed.
    Estimate {
        estimate: u64,
        /// What may be sent now: half of the estimate while a queue is emptied.
        budget: u64,
        state: Course,
        limited_by: Bound,
        hearing: Hearing,
        /// Layers may be added.
        calm: bool,
    },
    /// It is tried whether the path carries this.
    ProbeBegun {
        rate: u64,
        runs: u8,
        run_bytes: u32,
    },
    ProbeEnded {
        result: ProbeResult,
    },
    /// A video may be sent up to this layer; nothing of it if both are `None`.
    Granted {
        consumer: ConsumerId,
        spatial: Option<u8>,
        temporal: Option<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeResult {
    /// All came through as it was sent.
    Passed,
    /// The path carries less.
    Full,
    /// Nothing was learnt.
    Void,
}

impl Trace {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, read: now, events: Vec::new(), dropped: 0 }
    }

    pub(crate) fn read(&mut self, now: Instant) -> TracePart {
        self.read = now;
        TracePart { events: std::mem::take(&mut self.events), dropped: std::mem::take(&mut self.dropped) }
    }

    /// Nobody has read for a while.
    pub(crate) fn is_abandoned(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) > PATIENCE
    }

    pub(crate) fn heard(&mut self, congestion: &Controller, now: Instant) {
        let what = Happening::Feedback {
            rtt_ms: ms(congestion.rtt()),
            acknowledged: congestion.acknowledged(),
            trend: congestion.trend(),
            queue_ms: ms(congestion.queue()),
            in_flight: congestion.in_flight(),
            packets_lost: congestion.totals().packets_lost,
        };
        self.push(what, now);
    }

    /// Congestion control concluded; `news` happened since it did before.
    pub(crate) fn judged(
        &mut self,
        congestion: &Controller,
        change: Option<&Change>,
        news: &Totals,
        now: Instant,
    ) {
        for (count, result) in [
            (news.probes_passed, ProbeResult::Passed),
            (news.probes_full, ProbeResult::Full),
            (news.probes_void, ProbeResult::Void),
        ] {
            if count > 0 {
                self.push(Happening::ProbeEnded { result }, now);
            }
        }
        let Some(change) = change else { return };
        let &Change { estimate, budget, hearing, is_calm: calm, probe } = change;
        let (state, limited_by) = (congestion.course(), congestion.bound());
        self.push(Happening::Estimate { estimate, budget, state, limited_by, hearing, calm }, now);
        if let Some(probe) = probe {
            let (rate, runs, run_bytes) = (probe.rate, probe.runs, probe.run_bytes);
            self.push(Happening::ProbeBegun { rate, runs, run_bytes }, now);
        }
    }

    pub(crate) fn granted(&mut self, consumer: ConsumerId, granted: Granted, now: Instant) {
        let (spatial, temporal) = match granted {
            Granted::UpTo(layer) => (Some(layer.spatial), Some(layer.temporal)),
            Granted::Nothing => (None, None),
            // The state before the first division.
            Granted::All => return,
        };
        self.push(Happening::Granted { consumer, spatial, temporal }, now);
    }

    fn push(&mut self, what: Happening, now: Instant) {
        if self.events.len() < MAX_EVENTS {
            let at_ms = ms(now.saturating_duration_since(self.began));
            self.events.push(Traced { at_ms, what });
        } else {
            self.dropped += 1;
        }
    }
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Between two readings. A browser reports twenty times a second at most.
const MAX_EVENTS: usize = 1_024;
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_events_between_two_readings_are_counted_not_kept() {
        let start = Instant::now();
        let mut trace = Trace::new(start);
        for _ in 0..MAX_EVENTS + 7 {
            trace.push(Happening::ProbeEnded { result: ProbeResult::Full }, start + Duration::from_millis(3));
        }
        let part = trace.read(start);
        assert_eq!((part.events.len(), part.dropped), (MAX_EVENTS, 7));
        assert_eq!(
            serde_json::to_value(&part.events[0]).unwrap(),
            serde_json::json!({ "atMs": 3, "event": "probe-ended", "result": "full" })
        );
        assert_eq!(trace.read(start), TracePart::default());
        assert!(!trace.is_abandoned(start + PATIENCE) && trace.is_abandoned(start + PATIENCE * 2));
    }
}
