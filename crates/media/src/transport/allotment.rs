//! What one client's videos are granted of its bandwidth, between two runs of the allocation.

use crate::allocation::memory::{Memory, Schedule};
use crate::congestion::{Cluster, Kind, Probe, Totals};
use crate::trace::{Trace, TracePart};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Allotment {
    pub(crate) memory: Memory,
    pub(crate) schedule: Schedule,
    meter: Meter,
    probing: Option<Probing>,
    told: Option<(Instant, [u64; 3])>,
    /// Bit/s that are granted, with sound and repair.
    pub(crate) granted: u64,
    /// The rates of the last division: estimate, used and wanted.
    rates: [u64; 3],
    /// What was added to the counters already.
    counted: Totals,
    trace: Option<Box<Trace>>,
}

/// The bytes sent besides granted video.
#[derive(Debug, Default)]
struct Meter {
    since: Option<Instant>,
    bytes: [u64; 2],
    rates: [u64; 2],
}

/// A probe under way.
#[derive(Debug)]
struct Probing {
    probe: Probe,
    runs_left: u8,
    /// All bytes that have to be sent by the end of the next run; `None` before the first one.
    by_next: Option<u64>,
}

impl Allotment {
    /// The rates of sound and repair, in bit/s, given all bytes sent of a kind.
    pub(crate) fn measure(&mut self, sent: impl Fn(Kind) -> u64, now: Instant) -> [u64; 2] {
        let bytes = [sent(Kind::Audio), sent(Kind::Rtx)];
        let meter = &mut self.meter;
        let since = *meter.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= METER_INTERVAL {
            let micros = elapsed.as_micros().max(1) as u64;
            for ((rate, bytes), before) in meter.rates.iter_mut().zip(bytes).zip(meter.bytes) {
                *rate = bytes.saturating_sub(before) * 8_000_000 / micros;
            }
            (meter.since, meter.bytes) = (Some(now), bytes);
        }
        meter.rates
    }

    pub(crate) fn begin_probe(&mut self, probe: Probe) {
        self.probing = Some(Probing { runs_left: probe.runs, probe, by_next: None });
    }

    /// The next run of the probe: the bytes that are missing, and the time to the one after it. `sent` are all bytes
    /// sent so far: what media filled need not be padding.
    pub(crate) fn next_run(&mut self, sent: u64) -> Option<(u32, Duration)> {
        let probing = self.probing.as_mut()?;
        let Some(left) = probing.runs_left.checked_sub(1) else {
            self.probing = None;
            return None;
        };
        let Probe { run_bytes, spacing, .. } = probing.probe;
        let due = probing.by_next.unwrap_or(sent) + u64::from(run_bytes);
        (probing.by_next, probing.runs_left) = (Some(due), left);
        Some((due.saturating_sub(sent).min(run_bytes.into()) as u32, spacing))
    }

    /// The probe to which all that is sent belongs.
    pub(crate) fn cluster(&self) -> Option<Cluster> {
        self.probing.as_ref().map(|probing| probing.probe.cluster)
    }

    /// The bit/s that the granted layers take and that all wanted layers would take, sound and repair included.
    pub(crate) fn used_and_wanted(&self) -> (u64, u64) {
        let [_, used, wanted] = self.rates;
        (used, wanted)
    }

    /// The events since the last call, which keeps the trace going; the first call begins it.
    pub(crate) fn read_trace(&mut self, now: Instant) -> TracePart {
        self.trace.get_or_insert_with(|| Box::new(Trace::new(now))).read(now)
    }

    /// The trace, if somebody reads it.
    pub(crate) fn trace(&mut self, now: Instant) -> Option<&mut Trace> {
        if self.trace.as_ref()?.is_abandoned(now) {
            self.trace = None;
        }
        self.trace.as_deref_mut()
    }

    /// What happened since the last call.
    pub(crate) fn news(&mut self, totals: Totals) -> Totals {
        totals.since(&std::mem::replace(&mut self.counted, totals))
    }

    /// Whether the client is to be told of these rates: not more often than once a second, and if one has changed by
    /// more than a tenth.
    pub(crate) fn is_news(&mut self, rates: [u64; 3], now: Instant) -> bool {
        self.rates = rates;
        let is_news = self.told.is_none_or(|(told, before)| {
            let moved = rates.iter().zip(before).any(|(&rate, before)| rate.abs_diff(before) * 10 > before);
            moved && now.saturating_duration_since(told) >= TELL_INTERVAL
        });
        if is_news {
            self.told = Some((now, rates));
        }
        is_news
    }
}

const METER_INTERVAL: Duration = Duration::from_secs(1);
const TELL_INTERVAL: Duration = Duration::from_secs(1);
