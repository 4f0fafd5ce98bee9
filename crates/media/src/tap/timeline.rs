//! The time of audio: what was written so far is the clock that players hear.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    start: Instant,
    /// Samples written since the start.
    written: u64,
    rate: u32,
    /// Since when the time is off the capture time, by more than is tolerated.
    off_since: Option<Instant>,
}

/// What a packet needs so that the time stays right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Correction {
    None,
    /// Silence comes before it, until its capture time.
    Fill,
    /// A packet of silence comes before it.
    PutIn,
    /// It is left out.
    LeaveOut,
}

impl Timeline {
    pub(super) fn new(start: Instant, rate: u32) -> Self {
        Self { start, written: 0, rate, off_since: None }
    }

    /// The time of the next sample.
    pub(super) fn position(&self) -> Instant {
        self.start + self.duration(self.written)
    }

    pub(super) fn write(&mut self, ticks: u32) {
        self.written += u64::from(ticks);
    }

    pub(super) fn duration(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Judges a packet that was captured at `captured`, lasts `ticks`, and follows a gap or not. `silent`: nobody would hear
    /// it missing.
    pub(super) fn judge(&mut self, captured: Instant, ticks: u32, gap: bool, silent: bool) -> Correction {
        let ahead = self.position().saturating_duration_since(captured);
        let behind = captured.saturating_duration_since(self.position());
        let half = self.duration(u64::from(ticks)) / 2;
        if behind > FAR || (gap && behind > half.min(TOLERANCE)) {
            self.off_since = None;
            return Correction::Fill;
        }
        if ahead > FAR.max(3 * half) {
            return Correction::LeaveOut;
        }
        let (off, most) =
            if behind > ahead { (behind, TOLERANCE) } else { (ahead, TOLERANCE.max(half + MARGIN)) };
        if off <= most - MARGIN {
            self.off_since = None;
            return Correction::None;
        }
        let since = *self.off_since.get_or_insert(captured);
        let is_lasting = captured.saturating_duration_since(since) >= LASTING;
        if !is_lasting || (off <= most && !silent) {
            return Correction::None;
        }
        self.off_since = None;
        if behind > ahead { Correction::PutIn } else { Correction::LeaveOut }
    }
}

/// The time written stays so near the time of capture.
const TOLERANCE: Duration = Duration::from_millis(20);
/// In silence it is corrected so much earlier.
const MARGIN: Duration = Duration::from_millis(5);
/// It is corrected once it was off for so long.
const LASTING: Duration = Duration::from_secs(1);
/// It is corrected at once if it is further off.
const FAR: Duration = Duration::from_millis(200);
