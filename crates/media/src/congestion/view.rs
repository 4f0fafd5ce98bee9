//! What a controller knows, for the allocator, for repair and for whoever watches.

use super::{Controller, Fate, Faults, Kind, Remembered};
use std::time::{Duration, Instant};

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
        self.probes.results()
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
