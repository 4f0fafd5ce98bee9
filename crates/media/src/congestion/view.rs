//! What a controller knows, for the allocator, for repair and for whoever watches.

use super::loss::LossState;
use super::{Controller, Fate, Faults, Kind, Remembered};
use serde::Serialize;
use std::time::{Duration, Instant};

/// Where the estimate is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    Hold,
    Increase,
    Decrease,
}

/// What the estimate follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The delays on the path, and probes.
    Delay,
    Loss,
    /// The receiver's own estimate (REMB).
    Receiver,
    /// Reception reports: the client sends no transport-wide feedback.
    Reports,
}

/// What happened since the controller began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets that the client reported as lost, with those that came after all.
    pub packets_lost: u64,
    pub probes_begun: u64,
    /// Probes that came through as they were sent.
    pub probes_passed: u64,
    /// Probes that showed what the path carries, because it carries less.
    pub probes_full: u64,
    /// Probes that said nothing, or were interrupted by over-use or silence.
    pub probes_void: u64,
    /// Packets said to have arrived that were not sent, or are forgotten.
    pub feedback_unknown: u64,
    /// Jumps of the receiver's clock by seconds.
    pub clock_jumps: u64,
}

impl Totals {
    /// What happened since `before`. A controller may have taken the place of another one, and begun at 0.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let since = |of: fn(&Self) -> u64| of(self).checked_sub(of(before)).unwrap_or(of(self));
        Self {
            packets_lost: since(|it| it.packets_lost),
            probes_begun: since(|it| it.probes_begun),
            probes_passed: since(|it| it.probes_passed),
            probes_full: since(|it| it.probes_full),
            probes_void: since(|it| it.probes_void),
            feedback_unknown: since(|it| it.feedback_unknown),
            clock_jumps: since(|it| it.clock_jumps),
        }
    }
}

impl Controller {
    /// bit/s that the path is thought to carry.
    pub fn estimate(&self) -> u64 {
        self.current() as u64
    }

    /// Bit/s acknowledged over the last second or so; `None` until there are ten packets.
    pub fn acknowledged(&self) -> Option<u64> {
        self.path.rates.map(|rates| rates.acknowledged as u64)
    }

    /// The shortest way there and back that feedback showed lately, without the receiver's waiting.
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.path.rtt.unsigned_abs())
    }

    /// How long the newest packets waited on the path more than the quickest of the last ten seconds.
    pub fn queue(&self) -> Duration {
        Duration::from_micros(self.signal.standing().max(0).unsigned_abs())
    }

    /// How fast queues grow: milliseconds of delay per second.
    pub fn trend(&self) -> f32 {
        1_000.0 * self.signal.slope()
    }

    /// What is known of the packet under a transport-wide number, for as long as it is remembered: half a second or
    /// more. A packet that arrived need not be repeated.
    pub fn fate(&self, number: u16) -> Fate {
        self.log.extend(number).map_or(Fate::Unsent, |number| self.log.fate(number))
    }

    /// Bytes sent whose fate is unknown.
    pub fn in_flight(&self) -> u64 {
        self.log.in_flight()
    }

    /// Bytes sent of a kind since the beginning, without those that were refused.
    pub fn sent_bytes(&self, kind: Kind) -> u64 {
        self.log.total(kind)
    }

    /// Less is sent than may be: the estimate is not tested.
    pub fn is_app_limited(&self) -> bool {
        self.path.is_limited
    }

    /// Packets overtake each other on the path.
    pub fn is_reordered(&self) -> bool {
        self.signal.is_reordered()
    }

    /// Probes that ended.
    pub fn probes(&self) -> u32 {
        self.probes.counts().results()
    }

    pub fn totals(&self) -> Totals {
        let probes = self.probes.counts();
        Totals {
            packets_lost: self.path.lost,
            probes_begun: probes.begun.into(),
            probes_passed: probes.passed.into(),
            probes_full: probes.full.into(),
            probes_void: probes.void.into(),
            feedback_unknown: self.faults.unknown.into(),
            clock_jumps: self.faults.clock_jumps.into(),
        }
    }

    /// Where the estimate is going; [`Course::Hold`] where reception reports decide alone.
    pub fn course(&self) -> Course {
        match self.bound() {
            Bound::Reports => Course::Hold,
            Bound::Loss if self.loss.state() == LossState::Decreasing => Course::Decrease,
            Bound::Loss | Bound::Receiver | Bound::Delay => self.rate.course(),
        }
    }

    /// What the estimate follows.
    pub fn bound(&self) -> Bound {
        if !self.path.has_transport_wide {
            return Bound::Reports;
        }
        let by_delay = self.rate.rate();
        let by_loss = self.loss.rate(by_delay);
        if self.remote.bound(by_loss) < by_loss {
            Bound::Receiver
        } else if by_loss < by_delay {
            Bound::Loss
        } else {
            Bound::Delay
        }
    }

    /// Packets that had to be forgotten before any report told of them.
    pub fn forgotten(&self) -> u32 {
        self.log.forgotten()
    }

    /// Input that was ignored, by reason.
    pub fn faults(&self) -> Faults {
        self.faults
    }

    /// Bytes of memory in use.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.log.memory()
    }

    /// For a leg that is resumed at the same address.
    pub fn remember(&self, now: Instant) -> Remembered {
        Remembered { estimate: self.estimate(), at: now }
    }
}
