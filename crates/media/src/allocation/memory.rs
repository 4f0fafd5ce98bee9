//! What lies between two runs of the allocation: how fast its grants are applied, and which upgrades failed.
//!
//! Downgrades and pauses are applied at once. Upgrades are applied one after the other, since each may bring a
//! key frame: at most one per transport in [`UPGRADE_INTERVAL`], and none to a consumer that was changed within
//! [`CONSUMER_INTERVAL`]. An upgrade that brought over-use within [`PROBATION`] is undone and blocked.

use super::{Allocation, Demand, Grant, Limit, Standing, VideoKind};
use std::time::{Duration, Instant};

/// What is remembered of one consumer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holding {
    standing: Standing,
    /// When the standing last changed, except from new.
    changed: Option<Instant>,
    /// The last upgrade.
    upgrade: Option<Upgrade>,
    block: Option<Block>,
    /// Upgrades that failed in the calm spell of this number.
    failures: u8,
    spell: u32,
}

#[derive(Debug, Clone, Copy)]
struct Upgrade {
    at: Instant,
    from: Standing,
    /// The rate of all videos with the upgrade, in bit/s.
    used: u64,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    until: Instant,
    above: Limit,
    used: u64,
}

/// What is remembered of one transport.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    upgraded: Option<Instant>,
    congested: Option<Instant>,
    /// Counts the calm spells of at least [`CALM`].
    spell: u32,
}

/// Applies one run's grants.
#[derive(Debug)]
pub struct Run<'a> {
    memory: &'a mut Memory,
    now: Instant,
    ready: bool,
    waits_until: Option<Instant>,
}

impl Holding {
    /// What the consumer has been granted; for [`Demand::standing`].
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// For [`Demand::limit`].
    pub fn limit(&self, now: Instant) -> Limit {
        self.block.filter(|block| now < block.until).map_or(Limit::Free, |block| block.above)
    }

    /// A probe or a growing estimate shows that all videos may take `video` bit/s. If that is clearly more than
    /// a failed upgrade needs, the upgrade is allowed again.
    pub fn proven(&mut self, video: i64) {
        let suffices = |block: &Block| {
            let needed = u128::from(block.used) * PROOF_PERCENT / 100;
            u128::try_from(video).is_ok_and(|video| video >= needed)
        };
        if self.block.as_ref().is_some_and(suffices) {
            (self.block, self.failures) = (None, 0);
        }
    }

    fn fail(&mut self, upgrade: Upgrade, spell: u32, now: Instant) {
        if self.spell != spell {
            (self.failures, self.spell) = (0, spell);
        }
        let times = 1 << self.failures.min(MAX_DOUBLINGS);
        let (above, block) = match upgrade.from {
            Standing::Granted(layer) => (Limit::UpTo(layer), FIRST_BLOCK * times),
            Standing::New | Standing::Paused => (Limit::Nothing, PAUSED_BLOCK),
        };
        self.block = Some(Block { until: now + block, above, used: upgrade.used });
        self.failures = self.failures.saturating_add(1);
        self.upgrade = None;
    }
}

impl Memory {
    /// The transport is over-used, or loses packets by congestion. Blames the newest upgrade, if it is recent
    /// enough; `holdings` are those of all consumers of the transport. `true` if one is to blame.
    pub fn congested<'a>(
        &mut self,
        now: Instant,
        holdings: impl IntoIterator<Item = &'a mut Holding>,
    ) -> bool {
        let before = self.congested.replace(now);
        if before.is_none_or(|before| now.saturating_duration_since(before) >= CALM) {
            self.spell = self.spell.wrapping_add(1);
        }
        let is_suspect = |at: Instant| now.saturating_duration_since(at) <= PROBATION;
        let Some(newest) = self.upgraded.filter(|&at| is_suspect(at)) else { return false };
        for holding in holdings {
            if let Some(upgrade) = holding.upgrade.filter(|upgrade| upgrade.at == newest) {
                holding.fail(upgrade, self.spell, now);
                return true;
            }
        }
        false
    }

    /// Begins to apply an allocation. `ready`: no consumer of the transport awaits a key frame, and the
    /// network is calm; else there are no upgrades.
    pub fn run(&mut self, now: Instant, ready: bool) -> Run<'_> {
        Run { memory: self, now, ready, waits_until: None }
    }
}

impl Run<'_> {
    /// What changes for a consumer; `None` if nothing does for the time being. To be called once for each
    /// consumer, in the order of [`Allocation::order`]; `used` is [`Allocation::used`].
    ///
    /// A camera that was paused comes back with its lowest resolution, whatever is granted.
    pub fn apply(
        &mut self,
        holding: &mut Holding,
        demand: &Demand,
        grant: Grant,
        used: u64,
    ) -> Option<Grant> {
        let grant = match (holding.standing, demand.kind, grant) {
            (Standing::Paused, VideoKind::Camera, Grant::Forward(rung)) => {
                demand.ladder.gentle(rung.layer).map_or(grant, Grant::Forward)
            }
            (_, _, grant) => grant,
        };
        let target = grant.rung().map_or(Standing::Paused, |rung| Standing::Granted(rung.layer));
        if target == holding.standing {
            return None;
        }
        let rises = match (holding.standing, target) {
            (Standing::Granted(from), Standing::Granted(to)) => to > from,
            (Standing::Paused, _) => true,
            (Standing::New, _) | (_, Standing::Paused | Standing::New) => false,
        };
        if rises && !self.may_rise(holding) {
            return None;
        }
        if rises {
            self.memory.upgraded = Some(self.now);
            holding.upgrade = Some(Upgrade { at: self.now, from: holding.standing, used });
        }
        if holding.standing != Standing::New {
            holding.changed = Some(self.now);
        }
        holding.standing = target;
        Some(grant)
    }

    /// When an upgrade that waits for its turn can be applied by another run; `None` if none waits for time.
    pub fn waits_until(&self) -> Option<Instant> {
        self.waits_until
    }

    fn may_rise(&mut self, holding: &Holding) -> bool {
        let turn = self.memory.upgraded.map(|at| at + UPGRADE_INTERVAL);
        let rest = holding.changed.map(|at| at + CONSUMER_INTERVAL);
        let Some(wait) = turn.max(rest).filter(|&at| at > self.now) else { return self.ready };
        self.waits_until = Some(self.waits_until.map_or(wait, |until| until.min(wait)));
        false
    }
}

/// When the allocation of one transport is to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schedule {
    last: Option<(Instant, u64)>,
    flagged: bool,
    waits_until: Option<Instant>,
}

impl Schedule {
    /// Something changed: over-use, the result of a probe, demands, or rates by more than 15 %.
    pub fn flag(&mut self) {
        self.flagged = true;
    }

    /// Whether to run at `now`, with this estimate in bit/s. At most once per [`RUN_INTERVAL`].
    pub fn is_due(&self, now: Instant, estimate: u64) -> bool {
        let Some((at, before)) = self.last else { return true };
        if now.saturating_duration_since(at) < RUN_INTERVAL {
            return false;
        }
        let (estimate, before) = (u128::from(estimate), u128::from(before));
        let moved = estimate * 100 < before * FALL_PERCENT || estimate * 100 > before * RISE_PERCENT;
        self.flagged || moved || self.deadline(at) <= now
    }

    /// It ran. `waits_until` is [`Run::waits_until`].
    pub fn ran(&mut self, now: Instant, estimate: u64, waits_until: Option<Instant>) {
        *self = Self { last: Some((now, estimate)), flagged: false, waits_until };
    }

    /// When to ask [`Self::is_due`] again, even if nothing happens; `None` before the first run.
    pub fn next(&self) -> Option<Instant> {
        let (at, _) = self.last?;
        Some(if self.flagged { at + RUN_INTERVAL } else { self.deadline(at).max(at + RUN_INTERVAL) })
    }

    fn deadline(&self, last: Instant) -> Instant {
        self.waits_until.map_or(last + IDLE_INTERVAL, |at| at.min(last + IDLE_INTERVAL))
    }
}

/// Applies an allocation to the demands of one transport. `changed` is called with the index of each demand
/// whose consumer changes, and its grant. Returns when waiting upgrades can be applied by another run.
pub fn apply(
    run: &mut Run<'_>,
    allocation: &Allocation,
    demands: &[Demand],
    holdings: &mut [Holding],
    mut changed: impl FnMut(usize, Grant),
) -> Option<Instant> {
    for &index in allocation.order() {
        let (Some(holding), Some(demand)) = (holdings.get_mut(index), demands.get(index)) else { continue };
        let Some(&grant) = allocation.grants().get(index) else { continue };
        if let Some(grant) = run.apply(holding, demand, grant, allocation.used) {
            changed(index, grant);
        }
    }
    run.waits_until()
}

pub const UPGRADE_INTERVAL: Duration = Duration::from_millis(200);
pub const CONSUMER_INTERVAL: Duration = Duration::from_secs(2);
/// Over-use this soon after an upgrade is blamed on it.
pub const PROBATION: Duration = Duration::from_secs(5);
/// After this time without over-use failed upgrades are forgotten.
pub const CALM: Duration = Duration::from_secs(30);
const FIRST_BLOCK: Duration = Duration::from_secs(5);
/// No picture at all is worse than a second try that fails.
const PAUSED_BLOCK: Duration = Duration::from_secs(2);
/// 5, 10 and 20 seconds.
const MAX_DOUBLINGS: u8 = 2;
/// A block ends early if so much of the need is proven.
const PROOF_PERCENT: u128 = 130;
pub const RUN_INTERVAL: Duration = Duration::from_millis(100);
const IDLE_INTERVAL: Duration = Duration::from_secs(1);
const FALL_PERCENT: u128 = 95;
const RISE_PERCENT: u128 = 110;
