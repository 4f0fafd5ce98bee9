//! Divides one receiver's bandwidth among the videos sent to it: who gets which layers, and who is paused.
//!
//! [`allocate`] is a pure function of a budget and the consumers' [`Demand`]s. What lies between two runs (the
//! rates at which changes are applied, and which upgrades failed) is in [`memory`].

#[cfg(test)]
mod cases;
mod ladder;
pub mod memory;
mod prices;

pub use ladder::{Ladder, Layer, MAX_RUNGS, Rung};
pub(crate) use prices::Prices;
use std::cmp::Reverse;

/// What one receiver's link carries, in bit/s of UDP payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    pub estimate: u64,
    /// The audio sent, headers included.
    pub audio: u64,
    /// The audio streams expected to speak. Each counts as [`SPEAKER_RATE`], also while it is silent.
    pub speakers: u32,
    /// The rate of retransmissions. At most [`MAX_REPAIR_PERCENT`] of the estimate is set aside for them.
    pub repair: u64,
}

/// A video that its receiver wants, and the layers in which it is sent. A consumer that its client or the
/// producer's client paused makes no demand.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    pub ladder: Ladder,
    pub kind: VideoKind,
    /// 1..=255; a higher priority is served strictly before a lower one.
    pub priority: u8,
    pub standing: Standing,
    /// Upgrades that are not allowed for now, because the last one failed.
    pub limit: Limit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VideoKind {
    #[default]
    Camera,
    /// A screen: text must be sharp, so the resolution matters more than the frame rate.
    Screen,
}

/// What the consumer has been granted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing has been decided. No margin is asked for, since there is nothing to flap to and from.
    #[default]
    New,
    Paused,
    Granted(Layer),
}

/// The highest layer that may be granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit {
    #[default]
    Free,
    /// Up to this layer. The lowest rung is always allowed.
    UpTo(Layer),
    Nothing,
}

/// What a consumer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// Not even the lowest rung fits. A paused screen is a reason to ask its publisher for a lower rate.
    Paused,
    Forward(Rung),
    /// A screen's lowest rung is sent although it exceeds the budget, and nothing else is sent.
    Oversend(Rung),
}

/// The result of [`allocate`]. Keep it for the next run: its vectors are reused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allocation {
    grants: Vec<Grant>,
    /// Indices of the demands: the highest priority first, then in the order given.
    order: Vec<usize>,
    /// The sum of the granted rates.
    pub used: u64,
    /// What is left of the budget; negative if audio alone exceeds the estimate, 0 with [`Grant::Oversend`].
    pub left: i64,
    /// The sum of each demand's highest rung.
    pub wanted: u64,
    /// The most important rung that was not granted, and whose it is.
    refused: Option<(usize, Rung)>,
}

impl Budget {
    /// The rate for video: audio comes first, and is never allocated away.
    pub fn video(&self) -> i64 {
        let audio = self.audio.max(u64::from(self.speakers) * SPEAKER_RATE);
        let repair = self.repair.min(percent(self.estimate, MAX_REPAIR_PERCENT));
        signed(self.estimate) - signed(audio.saturating_add(repair))
    }
}

impl Demand {
    /// What must be free for a rung: its rate, and above the present layer a margin of [`MARGIN_PERCENT`].
    fn need(&self, rung: Rung) -> i64 {
        let rate = u64::from(rung.rate);
        let is_kept = match self.standing {
            Standing::New => true,
            Standing::Paused => false,
            Standing::Granted(layer) => rung.layer <= layer,
        };
        signed(if is_kept { rate } else { rate + percent(rate, MARGIN_PERCENT) })
    }

    fn allows(&self, rung: Rung) -> bool {
        match self.limit {
            Limit::Free => true,
            Limit::UpTo(layer) => rung.layer <= layer || self.ladder.lowest() == Some(rung),
            Limit::Nothing => false,
        }
    }

    fn keeps(&self, rung: Rung) -> bool {
        matches!(self.standing, Standing::Granted(layer) if rung.layer <= layer)
    }
}

impl Grant {
    pub fn rung(self) -> Option<Rung> {
        match self {
            Self::Paused => None,
            Self::Forward(rung) | Self::Oversend(rung) => Some(rung),
        }
    }

    fn rate(self) -> u32 {
        self.rung().map_or(0, |rung| rung.rate)
    }
}

impl Allocation {
    /// One per demand, in the order of the demands.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The indices of the demands, the most important first.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// By how much `used` would rise with the most important upgrade that did not fit: what a probe has to
    /// prove. 0 if what is granted exceeds the budget itself, `None` if everything wanted is granted.
    pub fn next_step(&self) -> Option<u64> {
        let (index, rung) = self.refused?;
        let granted = self.grants.get(index).map_or(0, |grant| grant.rate());
        Some(u64::from(rung.rate.saturating_sub(granted)))
    }

    fn begin(&mut self, video: i64, demands: &[Demand]) {
        let Self { grants, order, .. } = self;
        grants.clear();
        grants.resize(demands.len(), Grant::Paused);
        order.clear();
        order.extend(0..demands.len());
        order.sort_unstable_by_key(|&index| (Reverse(demands.get(index).map(|it| it.priority)), index));
        (self.used, self.left, self.refused) = (0, video, None);
        self.wanted =
            demands.iter().filter_map(|it| it.ladder.highest()).map(|rung| u64::from(rung.rate)).sum();
    }

    /// Grants a rung if it is allowed and fits, else remembers what was missing.
    fn offer(&mut self, index: usize, demand: &Demand, rung: Rung) -> bool {
        let Some(grant) = self.grants.get_mut(index) else { return false };
        let before = i64::from(grant.rate());
        let step = i64::from(rung.rate) - before;
        if !demand.allows(rung) || demand.need(rung) - before > self.left {
            self.refused.get_or_insert((index, rung));
            return false;
        }
        *grant = Grant::Forward(rung);
        self.left -= step;
        self.used = self.used.saturating_add_signed(step);
        true
    }

    /// Grants a first rung. `true` if nothing else may be sent beside it.
    fn serve(&mut self, index: usize, demand: &Demand) -> bool {
        let Some(lowest) = demand.ladder.lowest() else { return false };
        match demand.kind {
            VideoKind::Camera => {
                self.offer(index, demand, lowest);
                false
            }
            VideoKind::Screen => {
                let sharp = demand.ladder.sharp().filter(|&rung| rung != lowest);
                let served = sharp.is_some_and(|sharp| self.offer(index, demand, sharp))
                    || self.offer(index, demand, lowest);
                !served && self.oversend(index, demand, lowest)
            }
        }
    }

    /// Sends a screen alone and beyond the budget, rather than nothing, if nothing more important is sent.
    fn oversend(&mut self, index: usize, demand: &Demand, lowest: Rung) -> bool {
        let bearable = self.left.max(0) + self.left.max(0) * OVERSEND_PERCENT / 100;
        if self.used > 0 || !demand.allows(lowest) || demand.need(lowest) > bearable {
            return false;
        }
        if let Some(grant) = self.grants.get_mut(index) {
            *grant = Grant::Oversend(lowest);
        }
        (self.used, self.left) = (u64::from(lowest.rate), 0);
        true
    }

    /// Upgrades the members of one class (`from..to` of the order), whose demands have equal priority: always
    /// those on the lowest layer next; among them first those that keep what they have, then in order of age.
    fn upgrade(&mut self, (from, to): (usize, usize), demands: &[Demand]) {
        let mut reached = None;
        loop {
            let members = self.order.get(from..to).unwrap_or_default();
            let layers = members.iter().filter_map(|&index| self.next_rung(index, demands)).map(|it| it.0);
            let Some(lowest) = layers.filter(|&layer| Some(layer) > reached).min() else { return };
            for keeping in [true, false] {
                for place in from..to {
                    let Some(&index) = self.order.get(place) else { continue };
                    let Some((layer, next)) = self.next_rung(index, demands) else { continue };
                    let Some(demand) = demands.get(index) else { continue };
                    if layer == lowest && demand.keeps(next) == keeping {
                        self.offer(index, demand, next);
                    }
                }
            }
            reached = Some(lowest);
        }
    }

    /// The layer that a demand was granted, and the rung above it.
    fn next_rung(&self, index: usize, demands: &[Demand]) -> Option<(Layer, Rung)> {
        let layer = self.grants.get(index)?.rung()?.layer;
        Some((layer, demands.get(index)?.ladder.above(layer)?))
    }
}

/// Divides `video`, in bit/s (see [`Budget::video`]), among the demands, which are given in order of age,
/// the oldest first.
///
/// In order of priority everyone gets a first rung: a screen its full resolution at the lowest frame rate if
/// that fits, everyone else the lowest rung. Who does not fit is paused. What is left upgrades the highest
/// priority first; among equals the lowest layer first.
pub fn allocate(video: i64, demands: &[Demand], out: &mut Allocation) {
    out.begin(video, demands);
    for place in 0..demands.len() {
        let Some(&index) = out.order.get(place) else { return };
        if demands.get(index).is_some_and(|demand| out.serve(index, demand)) {
            return;
        }
    }
    let priority = |out: &Allocation, place: usize| {
        out.order.get(place).and_then(|&index| demands.get(index)).map(|demand| demand.priority)
    };
    let mut from = 0;
    while from < demands.len() {
        let class = priority(out, from);
        let to = (from..demands.len()).find(|&place| priority(out, place) != class);
        let to = to.unwrap_or(demands.len());
        out.upgrade((from, to), demands);
        from = to;
    }
}

fn percent(rate: u64, percent: u64) -> u64 {
    rate.saturating_mul(percent) / 100
}

fn signed(rate: u64) -> i64 {
    i64::try_from(rate).unwrap_or(i64::MAX)
}

/// Bit/s: Opus as browsers send speech, with its headers.
pub const SPEAKER_RATE: u64 = 40_000;
pub const MAX_REPAIR_PERCENT: u64 = 15;
/// Above the present layer so much more than a rung's rate must be free: rates and estimates vary.
pub const MARGIN_PERCENT: u64 = 15;
/// By so much a screen may exceed the budget before it is paused.
pub const OVERSEND_PERCENT: i64 = 40;
