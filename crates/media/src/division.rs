//! The division of one client's bandwidth among the consumers on its transport.

use crate::allocation::memory::{self, Holding, Run};
use crate::allocation::{Allocation, Demand, Ladder, Layer, Rung, VideoKind, allocate};
use crate::consumer::{Consumer, Granted};
use crate::keys::ConsumerKey;
use std::time::Instant;

/// One run of the allocation; its vectors are reused.
#[derive(Debug, Default)]
pub(crate) struct Division {
    pub(crate) consumers: Vec<ConsumerKey>,
    demands: Vec<Demand>,
    pub(crate) holdings: Vec<Holding>,
    pub(crate) rungs: Vec<Rung>,
    pub(crate) allocation: Allocation,
    pub(crate) changes: Vec<(usize, Granted)>,
    /// There is a stream for the padding of probes.
    pub(crate) carries_probes: bool,
    /// Videos whose rates are not known.
    pub(crate) unknown: u64,
}

impl Division {
    pub(crate) fn clear(&mut self) {
        self.consumers.clear();
        self.demands.clear();
        self.holdings.clear();
        self.changes.clear();
        self.carries_probes = false;
        self.unknown = 0;
    }

    /// Adds the demand of a consumer whose producer's rungs were read. Without rungs nothing is known, and nothing
    /// is limited. `has_floor`: it shows the dominant speaker.
    pub(crate) fn demand(&mut self, key: ConsumerKey, consumer: &Consumer, has_floor: bool, now: Instant) {
        let share = &consumer.share;
        let ladder = match share.kind {
            VideoKind::Camera => Ladder::camera(&self.rungs, consumer.wished()),
            VideoKind::Screen => Ladder::screen(&self.rungs, consumer.wished()),
        };
        if ladder.lowest().is_none() {
            self.unknown += 1;
            return;
        }
        let (standing, limit) = (share.holding.standing(), share.holding.limit(now));
        self.consumers.push(key);
        self.holdings.push(share.holding);
        let priority = share.priority(has_floor);
        self.demands.push(Demand { ladder, kind: share.kind, priority, standing, limit });
    }

    /// The rate of all lowest rungs.
    pub(crate) fn lowest(&self) -> i64 {
        self.demands.iter().filter_map(|demand| demand.ladder.lowest()).map(|rung| i64::from(rung.rate)).sum()
    }

    /// The rate of all lowest resolutions at their highest frame rates.
    pub(crate) fn gentle(&self) -> i64 {
        let rung = |demand: &Demand| demand.ladder.gentle(HIGHEST);
        self.demands.iter().filter_map(rung).map(|rung| i64::from(rung.rate)).sum()
    }

    /// Divides these bit/s among the demands.
    pub(crate) fn divide(&mut self, video: i64) {
        allocate(video, &self.demands, &mut self.allocation);
    }

    /// What changes, by consumer.
    pub(crate) fn granted(&self) -> impl Iterator<Item = (ConsumerKey, Granted)> {
        self.changes.iter().filter_map(|(index, granted)| Some((*self.consumers.get(*index)?, *granted)))
    }

    /// Finds what changes for consumers. Returns when upgrades that wait for their turn can be applied.
    pub(crate) fn apply(&mut self, run: &mut Run<'_>) -> Option<Instant> {
        let Self { allocation, demands, holdings, changes, .. } = self;
        memory::apply(run, allocation, demands, holdings, |index, grant| {
            let granted = grant.rung().map_or(Granted::Nothing, |rung| Granted::UpTo(rung.layer));
            changes.push((index, granted));
        })
    }
}

const HIGHEST: Layer = Layer { spatial: u8::MAX, temporal: u8::MAX };
