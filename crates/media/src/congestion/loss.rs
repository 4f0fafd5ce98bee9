//! The rate that losses allow (libwebrtc's loss-based estimator, version 2): a path that loses by its nature is
//! told apart from one that loses because too much is sent.
//!
//! The model: a packet is lost with the inherent probability, and besides with the share of the sending rate that
//! exceeds the limit. The limit and inherent loss that explain the last observations best are kept.

use super::Micros;

/// The rate by loss, in bit/s.
#[derive(Debug)]
pub(super) struct LossModel {
    partial: Partial,
    /// A ring that ends before `end`.
    window: [Observation; WINDOW],
    end: usize,
    count: usize,
    best: Option<Channel>,
    hold: Hold,
    /// The limit may not exceed `.1` before `.0`.
    step: (Micros, f64),
    state: LossState,
    rate: f64,
}

/// What rules the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum LossState {
    /// Losses limit nothing.
    #[default]
    Delay,
    Decreasing,
    /// Losses limit the rate, and it grows.
    Increasing,
}

/// What else is known of the rate, in bit/s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) by_delay: f64,
    pub(super) max: f64,
    pub(super) acknowledged: Option<f64>,
    pub(super) is_limited: bool,
    pub(super) now: Micros,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    limit: f64,
    inherent: f64,
}

/// An observation that is not complete.
#[derive(Debug, Default)]
struct Partial {
    first_sent: Option<Micros>,
    last_sent: Micros,
    told: f64,
    lost: f64,
    sent: f64,
}

/// Bytes, and bit/s.
#[derive(Debug, Clone, Copy, Default)]
struct Observation {
    told: f64,
    lost: f64,
    sending_rate: f64,
}

/// After a decrease the rate does not rise above `rate` until `until`.
#[derive(Debug)]
struct Hold {
    until: Micros,
    duration: Micros,
    rate: f64,
}

impl Default for Hold {
    fn default() -> Self {
        Self { until: 0, duration: MIN_HOLD, rate: f64::INFINITY }
    }
}

impl Default for LossModel {
    fn default() -> Self {
        Self {
            partial: Partial::default(),
            window: [Observation::default(); WINDOW],
            end: 0,
            count: 0,
            best: None,
            hold: Hold::default(),
            step: (0, f64::INFINITY),
            state: LossState::Delay,
            rate: f64::INFINITY,
        }
    }
}

impl LossModel {
    /// Adds a packet whose fate is final: lost, arrived, or `None` if no report told of it.
    pub(super) fn add(&mut self, sent: Micros, bytes: u16, is_lost: Option<bool>) {
        let bytes = f64::from(bytes);
        self.partial.first_sent.get_or_insert(sent);
        self.partial.last_sent = self.partial.last_sent.max(sent);
        self.partial.sent += bytes;
        if let Some(is_lost) = is_lost {
            self.partial.told += bytes;
            self.partial.lost += if is_lost { bytes } else { 0.0 };
        }
    }

    /// A packet that was added as lost has arrived.
    pub(super) fn correct(&mut self, bytes: u16) {
        self.partial.lost = (self.partial.lost - f64::from(bytes)).max(0.0);
    }

    /// Takes what was added since the last update. Returns whether the observations changed.
    pub(super) fn update(&mut self, known: &Known) -> bool {
        let Some(observation) = self.partial.complete() else { return false };
        self.window[self.end] = observation;
        self.end = (self.end + 1) % WINDOW;
        self.count = (self.count + 1).min(WINDOW);
        let mut best = self.best.unwrap_or(Channel { limit: known.by_delay, inherent: INITIAL_INHERENT });
        // A limit below what arrives would take all loss for excess, and never rise again: in the model, a path of
        // 5 Mbit/s with 1 % of loss stayed at 2.8 Mbit/s.
        best.limit = best.limit.max(known.acknowledged.unwrap_or(0.0));
        self.best = Some(best);
        if self.count < MIN_OBSERVATIONS {
            return true;
        }
        if self.is_limiting() || self.weighted().any(|(_, seen)| seen.lost > 0.0) {
            self.learn(best, known);
        } else {
            // Without loss the highest limit explains most, whatever the others are.
            let limit = best.limit.max(known.by_delay).min(known.max);
            self.best = Some(Channel { limit, inherent: MIN_INHERENT });
            self.settle(limit, known);
        }
        true
    }

    /// A probe of this rate in bit/s came through. The limit follows by one step: a policer lets a burst through, too.
    pub(super) fn proven(&mut self, rate: f64) {
        if self.state != LossState::Increasing {
            return;
        }
        let proven = rate.min(PROVEN * self.rate);
        self.rate = self.rate.max(proven);
        self.step.1 = self.step.1.max(proven);
    }

    /// bit/s. At most the rate by delay.
    pub(super) fn rate(&self, by_delay: f64) -> f64 {
        self.rate.min(by_delay)
    }

    pub(super) fn state(&self) -> LossState {
        self.state
    }

    fn is_limiting(&self) -> bool {
        self.state != LossState::Delay
    }

    fn learn(&mut self, before: Channel, known: &Known) {
        let loss = self.average_loss();
        let mut best = self.explain(before, loss, known);
        if loss > best.inherent && best.limit > before.limit {
            best.limit = before.limit;
        }
        if self.is_limiting() {
            self.bound_growth(&mut best, before, known);
        }
        self.best = Some(best);
        let upper = instant_upper_bound(loss).min(known.by_delay).min(known.max);
        let lower = known.acknowledged.unwrap_or(0.0);
        self.settle(best.limit.max(lower).min(upper), known);
    }

    /// The candidate that explains the observations best.
    fn explain(&self, before: Channel, loss: f64, known: &Known) -> Channel {
        let near = NEAR.map(|factor| Some(factor * before.limit));
        let acknowledged =
            known.acknowledged.filter(|_| !known.is_limited || self.state == LossState::Increasing);
        let by_delay = Some(known.by_delay).filter(|by_delay| *by_delay > before.limit);
        let highest = if self.is_limiting() { self.step.1.max(before.limit) } else { known.max };
        let candidates = near.into_iter().chain([acknowledged, by_delay]).flatten();
        let mut best = (f64::NEG_INFINITY, before);
        for limit in candidates {
            let channel = self.refine(Channel { limit: limit.min(highest), inherent: before.inherent });
            let objective = self.objective(channel, loss);
            if objective > best.0 {
                best = (objective, channel);
            }
        }
        best.1
    }

    /// One Newton step towards the inherent loss that is most likely at a limit.
    fn refine(&self, channel: Channel) -> Channel {
        let highest = (HARMLESS + BALANCE / channel.limit).min(1.0);
        let inherent = channel.inherent.clamp(MIN_INHERENT, highest);
        let (mut first, mut second) = (0.0, 0.0);
        for (weight, seen) in self.weighted() {
            let p = loss_probability(Channel { inherent, ..channel }, seen.sending_rate);
            let (lost, arrived) = (seen.lost / 1e3, (seen.told - seen.lost) / 1e3);
            first += weight * (lost / p - arrived / (1.0 - p));
            second -= weight * (lost / (p * p) + arrived / ((1.0 - p) * (1.0 - p)));
        }
        let step = if second < 0.0 { NEWTON_STEP * first / second } else { 0.0 };
        Channel { limit: channel.limit, inherent: (inherent - step).clamp(MIN_INHERENT, highest) }
    }

    /// The log-likelihood of the observations, with a bias for high limits that ends at 20 % of loss. In libwebrtc it
    /// turns against high limits there: with that, the model's estimate at 20 % of random loss sank to 0.13 and 0.21
    /// Mbit/s, without it to 0.40 and 0.56.
    fn objective(&self, channel: Channel, loss: f64) -> f64 {
        let distance = (BIAS_LOSS - loss).max(0.0);
        let turn = distance / (BIAS_SMOOTHING + distance);
        let kilobits = channel.limit / 1e3;
        let bias = turn * (BIAS * kilobits + LOG_BIAS * kilobits.ln_1p());
        let likelihood = |(weight, seen): (f64, &Observation)| {
            let p = loss_probability(channel, seen.sending_rate);
            let (lost, arrived) = (seen.lost / 1e3, (seen.told - seen.lost) / 1e3);
            weight * (lost * p.ln() + arrived * (1.0 - p).ln() + bias * seen.told / 1e3)
        };
        self.weighted().map(likelihood).sum()
    }

    /// By bytes, newest first in weight, without the best and the worst observation.
    fn average_loss(&self) -> f64 {
        let (mut told, mut lost) = (0.0, 0.0);
        let mut least: Option<(f64, f64, f64)> = None;
        let mut most: Option<(f64, f64, f64, f64)> = None;
        for (weight, seen) in self.weighted() {
            let share = seen.lost / seen.told;
            told += weight * seen.told;
            lost += weight * seen.lost;
            if least.is_none_or(|(lowest, ..)| share < lowest) {
                least = Some((share, weight * seen.told, weight * seen.lost));
            }
            if most.is_none_or(|(highest, ..)| share > highest) {
                most = Some((share, weight * seen.told, weight * seen.lost, seen.sending_rate));
            }
        }
        if self.count > MIN_OBSERVATIONS
            && let (Some((_, least_told, least_lost)), Some((_, most_told, most_lost, most_rate))) =
                (least, most)
        {
            told -= least_told;
            lost -= least_lost;
            // Loss at twice the usual rate is no accident.
            if most_rate < 2.0 * self.median_rate() {
                told -= most_told;
                lost -= most_lost;
            }
        }
        if told > 0.0 { (lost / told).clamp(0.0, 1.0) } else { 0.0 }
    }

    fn median_rate(&self) -> f64 {
        let mut rates = [0.0; WINDOW];
        let rates = &mut rates[..self.count];
        for (rate, (_, seen)) in rates.iter_mut().zip(self.weighted()) {
            *rate = seen.sending_rate;
        }
        rates.sort_unstable_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    /// Observations with their weights, newest first.
    fn weighted(&self) -> impl Iterator<Item = (f64, &Observation)> {
        let newest_first = (1..=self.count).map(|back| &self.window[(self.end + WINDOW - back) % WINDOW]);
        std::iter::successors(Some(1.0), |weight| Some(weight * FADING)).zip(newest_first)
    }

    fn bound_growth(&self, best: &mut Channel, before: Channel, known: &Known) {
        if known.now < self.step.0 {
            best.limit = best.limit.min(self.step.1.max(before.limit));
        }
        let is_growing =
            best.limit > before.limit || best.limit == before.limit && self.state == LossState::Increasing;
        if let Some(acknowledged) = known.acknowledged.filter(|_| is_growing) {
            let is_held = acknowledged < HOLD_MARGIN * self.hold.rate && self.hold.rate.is_finite();
            let factor = if is_held { GROWTH_IN_HOLD } else { GROWTH };
            best.limit = best.limit.min(factor * acknowledged).max(before.limit);
            if self.state == LossState::Decreasing && best.limit == before.limit {
                // Enough to count as growth, so that the next rate is tried.
                best.limit += 1.0;
            }
        }
    }

    fn settle(&mut self, bounded: f64, known: &Known) {
        let is_ruled_by_delay = bounded >= known.by_delay.min(known.max);
        if self.state == LossState::Decreasing && known.now < self.hold.until && !is_ruled_by_delay {
            self.hold.rate = self.hold.rate.max(known.acknowledged.unwrap_or(0.0));
            self.rate = bounded.min(self.hold.rate);
            return;
        }
        let is_growing = bounded > self.rate || bounded == self.rate && self.state == LossState::Increasing;
        if is_ruled_by_delay {
            self.hold = Hold::default();
            self.state = LossState::Delay;
        } else if self.is_limiting() && is_growing {
            self.state = LossState::Increasing;
        } else {
            if self.state != LossState::Decreasing {
                let duration = self.hold.duration;
                self.hold = Hold {
                    until: known.now + duration,
                    duration: (2 * duration).min(MAX_HOLD),
                    rate: bounded,
                };
            }
            self.state = LossState::Decreasing;
        }
        // Where losses limit nothing, the rate by delay is followed between observations.
        self.rate = if is_ruled_by_delay { f64::INFINITY } else { bounded };
        if self.is_limiting() && known.now >= self.step.0 {
            let limit = self.best.map_or(bounded, |best| best.limit);
            self.step = (known.now + STEP_TIME, STEP * limit);
        }
    }
}

impl Partial {
    /// The observation, once it covers [`OBSERVATION`] of sending.
    fn complete(&mut self) -> Option<Observation> {
        let span = self.last_sent - self.first_sent?;
        if span < OBSERVATION {
            return None;
        }
        let Self { told, lost, sent, .. } = std::mem::take(self);
        let sending_rate = sent * 8e6 / span as f64;
        (told > 0.0).then_some(Observation { told, lost: lost.min(told), sending_rate })
    }
}

fn loss_probability(channel: Channel, sending_rate: f64) -> f64 {
    let excess = ((sending_rate - channel.limit) / sending_rate).max(0.0);
    (channel.inherent + (1.0 - channel.inherent) * excess).clamp(1e-6, 1.0 - 1e-6)
}

/// What so much loss allows at once, in bit/s: 2 Mbit/s at 10 %, 0.4 Mbit/s at 30 %.
fn instant_upper_bound(loss: f64) -> f64 {
    if loss > HARMLESS { BALANCE / (loss - HARMLESS) } else { f64::INFINITY }
}

const WINDOW: usize = 15;
const MIN_OBSERVATIONS: usize = 3;
/// µs.
const OBSERVATION: Micros = 250_000;
/// Weight of an observation relative to the one after it.
const FADING: f64 = 0.9;
const INITIAL_INHERENT: f64 = 0.01;
const MIN_INHERENT: f64 = 0.001;
/// Loss that bounds nothing.
const HARMLESS: f64 = 0.05;
/// bit/s.
const BALANCE: f64 = 100_000.0;
const NEWTON_STEP: f64 = 0.75;
const NEAR: [f64; 3] = [1.02, 1.0, 0.95];
/// Per kbit/s. With libwebrtc's 0.0002, 5.8 % were lost behind a policer in the model, with this 5.1 %.
const BIAS: f64 = 0.00015;
const LOG_BIAS: f64 = 0.02;
const BIAS_LOSS: f64 = 0.20;
const BIAS_SMOOTHING: f64 = 0.002;
/// Of the acknowledged rate.
const GROWTH: f64 = 1.5;
const GROWTH_IN_HOLD: f64 = 1.2;
/// Growth by a probe that came through. With 1.5, a policer in the model let 7.6 % be lost.
const PROVEN: f64 = 1.2;
const HOLD_MARGIN: f64 = 1.3;
/// Growth within [`STEP_TIME`].
const STEP: f64 = 1.3;
/// µs.
const STEP_TIME: Micros = 300_000;
/// µs.
const MIN_HOLD: Micros = 300_000;
/// µs.
const MAX_HOLD: Micros = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at the rate that the model allows through a path that loses `inherent` and all above `capacity` bit/s.
    fn after_a_minute(inherent: f64, capacity: f64, by_delay: f64) -> (f64, LossState) {
        let mut model = LossModel::default();
        let mut debt = 0.0;
        for step in 0..240 {
            let now = 250_000 * (step + 1);
            let rate = model.rate(by_delay);
            let share = inherent + (1.0 - inherent) * (1.0 - capacity / rate).max(0.0);
            let packets = (rate / 8.0 / 4.0 / 1_000.0).max(1.0) as Micros;
            for packet in 0..=packets {
                debt += share;
                let is_lost = debt >= 1.0;
                debt -= f64::from(u8::from(is_lost));
                model.add(now - 250_000 + packet * 250_000 / packets, 1_000, Some(is_lost));
            }
            let acknowledged = Some((1.0 - share) * rate);
            model.update(&Known { by_delay, max: 1e8, acknowledged, is_limited: false, now });
        }
        (model.rate(by_delay), model.state())
    }

    #[test]
    fn little_random_loss_limits_nothing() {
        for inherent in [0.0, 0.01, 0.04] {
            assert_eq!(after_a_minute(inherent, 1e8, 3e6), (3e6, LossState::Delay), "{inherent}");
        }
    }

    #[test]
    fn ten_percent_caps_at_two_megabits() {
        let (rate, _) = after_a_minute(0.1, 1e8, 6e6);
        assert!((1.2e6..2.2e6).contains(&rate), "{rate}");
        assert_eq!(instant_upper_bound(0.1), 2e6);
        assert!((instant_upper_bound(0.3) - 4e5).abs() < 1.0);
        assert_eq!(instant_upper_bound(0.05), f64::INFINITY);
    }

    #[test]
    fn a_policers_rate_is_found() {
        let (rate, state) = after_a_minute(0.0, 2e6, 4e6);
        assert!((1.8e6..2.3e6).contains(&rate), "{rate}");
        assert_ne!(state, LossState::Delay);
    }

    #[test]
    fn what_no_report_tells_of_is_not_lost() {
        let mut model = LossModel::default();
        for packet in 0..1_000 {
            model.add(10_000 * packet, 1_000, if packet % 3 == 0 { None } else { Some(false) });
            let known = Known {
                by_delay: 1e6,
                max: 1e8,
                acknowledged: Some(8e5),
                is_limited: false,
                now: 10_000 * packet,
            };
            model.update(&known);
        }
        assert_eq!((model.rate(1e6), model.average_loss()), (1e6, 0.0));
    }

    #[test]
    fn a_correction_takes_a_loss_back() {
        let mut model = LossModel::default();
        (0..30).for_each(|packet| model.add(10_000 * packet, 1_000, Some(packet == 3)));
        model.correct(1_000);
        assert_eq!(model.partial.complete().map(|seen| (seen.told, seen.lost)), Some((30_000.0, 0.0)));
    }
}
