//! What the paths to clients carry, for those who operate the server.

use crate::congestion::{Bound, Course};
use serde::Serialize;

/// What is known of the path to one client. Rates are bit/s of UDP payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStats {
    /// What the path is thought to carry.
    pub estimate: u64,
    /// What the granted layers take, with sound and repair.
    pub used: u64,
    /// What all wanted layers would take.
    pub wanted: u64,
    /// What arrived in the last second or so; `None` until ten packets did, and without transport-wide feedback.
    pub acknowledged: Option<u64>,
    /// Where the estimate is going.
    pub state: Course,
    /// What the estimate follows.
    pub limited_by: Bound,
    /// How long the newest packets waited on the path more than the quickest of the last ten seconds.
    pub queue_ms: u32,
    /// The shortest round trip that the last feedback shows, without the receiver's waiting.
    pub rtt_ms: u32,
    /// Packets that the client reported as lost, with those that came after all.
    pub packets_lost: u64,
    /// How often it was tried whether the path carries more, how often all came through, and how often it showed that the
    /// path carries less. The others said nothing.
    pub probes_begun: u64,
    pub probes_passed: u64,
    pub probes_full: u64,
}

/// The paths to all clients where bandwidth is divided, as they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paths {
    pub estimate: Spread,
    pub used: Spread,
    pub wanted: Spread,
    pub queue: Spread,
    pub rtt: Spread,
}

/// How many values are how large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Values up to each limit and above the one before; the last are those above all limits.
    pub counts: [u64; Paths::LIMITS + 1],
    pub sum: u64,
}

impl Paths {
    const LIMITS: usize = 8;
    /// Of [`Self::estimate`], [`Self::used`] and [`Self::wanted`], in bit/s.
    pub const RATES: [u64; Self::LIMITS] =
        [100_000, 300_000, 600_000, 1_000_000, 1_500_000, 3_000_000, 6_000_000, 12_000_000];
    /// Of [`Self::queue`] and [`Self::rtt`], in ms.
    pub const TIMES: [u64; Self::LIMITS] = [5, 10, 25, 50, 100, 250, 500, 1_000];

    pub(crate) fn add(&mut self, path: &PathStats) {
        self.estimate.add(path.estimate, &Self::RATES);
        self.used.add(path.used, &Self::RATES);
        self.wanted.add(path.wanted, &Self::RATES);
        self.queue.add(path.queue_ms.into(), &Self::TIMES);
        self.rtt.add(path.rtt_ms.into(), &Self::TIMES);
    }
}

impl Spread {
    fn add(&mut self, value: u64, limits: &[u64; Paths::LIMITS]) {
        let place = limits.partition_point(|limit| *limit < value);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum += value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_up_to_the_limit_that_it_does_not_exceed() {
        let mut spread = Spread::default();
        for value in [0, 5, 6, 1_000, 1_001] {
            spread.add(value, &Paths::TIMES);
        }
        assert_eq!(spread, Spread { counts: [2, 1, 0, 0, 0, 0, 0, 1, 1], sum: 2_012 });
    }
}
