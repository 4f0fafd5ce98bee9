//! The delay signal: whether queues grow, and whether one stands. This type alone knows how delays are judged.

use super::Micros;
use super::delays::Delays;
use super::groups::{Gap, Grouped, Grouping};
use super::trend::{Trend, Tuning, Usage};

/// Takes acknowledged packets in order of arrival.
#[derive(Debug)]
pub(super) struct DelaySignal {
    grouping: Grouping,
    delays: Delays,
    by_group: Trend,
    by_least: Trend,
    order: Order,
    usage: Usage,
    standing: Standing,
}

/// How many packets arrive after packets sent later.
#[derive(Debug, Default)]
struct Order {
    newest_sent: Micros,
    /// Share of the last hundred packets or so, from 0 to 1.
    share: f32,
    is_broken: bool,
}

/// A queue that stands although nothing is added to it.
#[derive(Debug, Default)]
struct Standing {
    is_draining: bool,
    watch: Option<Watch>,
}

/// A high delay is watched: if the rate falls and the delay does not, it is not ours.
#[derive(Debug)]
struct Watch {
    since: Micros,
    peak: Micros,
}

impl Default for DelaySignal {
    fn default() -> Self {
        Self {
            grouping: Grouping::default(),
            delays: Delays::default(),
            by_group: Trend::new(BY_GROUP),
            by_least: Trend::new(BY_LEAST),
            order: Order::default(),
            usage: Usage::Normal,
            standing: Standing::default(),
        }
    }
}

impl DelaySignal {
    /// `now` is when the report came.
    pub(super) fn add(&mut self, sent: Micros, arrival: Micros, now: Micros) {
        let was_broken = self.order.is_broken;
        self.order.add(sent);
        match self.grouping.add(sent, arrival, now) {
            Grouped::Quiet => {}
            Grouped::Pair(gap) => {
                let usage = follow(&mut self.by_group, gap);
                self.hear(usage, was_broken, false);
            }
            Grouped::Reset => self.reset(),
        }
        if let Some(gap) = self.delays.add(sent, arrival) {
            let usage = follow(&mut self.by_least, gap);
            self.hear(usage, was_broken, true);
            self.standing.judge(self.delays.standing(), gap.at);
            if self.standing.is_the_paths(self.delays.standing(), gap.at) {
                self.delays.rebase();
                self.standing = Standing::default();
            }
        }
    }

    /// What the delays of one report say together: over-use if any of them did. The next report starts anew.
    pub(super) fn conclude(&mut self) -> Usage {
        let usage = std::mem::take(&mut self.usage);
        let is_high = self.delays.standing() > HIGH && self.by_least.slope() >= 0.0;
        match usage {
            _ if is_high => Usage::Over,
            Usage::Over if self.delays.standing() < LOW => Usage::Normal,
            Usage::Over | Usage::Normal | Usage::Under => usage,
        }
    }

    /// Whether so much waits on the path that the rate should fall below what the path carries.
    pub(super) fn is_draining(&self) -> bool {
        self.standing.is_draining
    }

    /// The queue that stands on the path, in µs.
    pub(super) fn standing(&self) -> Micros {
        self.delays.standing()
    }

    /// By how much delays change from moment to moment, in µs.
    pub(super) fn unsteadiness(&self) -> Micros {
        self.delays.unsteadiness()
    }

    /// ms of delay per ms: how fast queues grow.
    pub(super) fn slope(&self) -> f32 {
        if self.order.is_broken { self.by_least.slope() } else { self.by_group.slope() }
    }

    /// Whether packets overtake each other, so that least delays are followed.
    pub(super) fn is_reordered(&self) -> bool {
        self.order.is_broken
    }

    /// Forgets delays: the clocks' distance or the path changed.
    pub(super) fn reset(&mut self) {
        self.grouping = Grouping::default();
        self.delays = Delays::default();
        self.by_group.reset();
        self.by_least.reset();
        self.standing = Standing::default();
    }

    fn hear(&mut self, usage: Usage, is_reordered: bool, is_least: bool) {
        if is_reordered == is_least && self.usage != Usage::Over {
            self.usage = usage;
        }
    }
}

fn follow(trend: &mut Trend, gap: Gap) -> Usage {
    trend.add(gap.at, gap.sent, gap.arrived - gap.sent)
}

impl Order {
    fn add(&mut self, sent: Micros) {
        let is_late = self.newest_sent - sent > LATE;
        self.newest_sent = self.newest_sent.max(sent);
        self.share += (f32::from(u8::from(is_late)) - self.share) * ORDER_WEIGHT;
        self.is_broken = self.share > if self.is_broken { ORDERLY } else { DISORDERLY };
    }
}

impl Standing {
    fn judge(&mut self, standing: Micros, now: Micros) {
        self.is_draining = standing > if self.is_draining { DRAINED } else { DRAIN };
        if standing <= DRAINED {
            self.watch = None;
        } else if standing > HIGH {
            let watch = self.watch.get_or_insert(Watch { since: now, peak: standing });
            watch.peak = watch.peak.max(standing);
        }
    }

    /// Whether a high delay has lasted although it was answered.
    fn is_the_paths(&mut self, standing: Micros, now: Micros) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        if now - watch.since < PATIENCE {
            return false;
        }
        let has_fallen = standing < watch.peak - FALL;
        *watch = Watch { since: now, peak: standing };
        !has_fallen
    }
}

const BY_GROUP: Tuning = Tuning { span: 400_000, min_points: 6, smoothing: 0.9 };
const BY_LEAST: Tuning = Tuning { span: 500_000, min_points: 5, smoothing: 0.5 };
/// µs by which a packet is late if it was not sent together with the one that overtook it.
const LATE: Micros = 5_000;
const ORDER_WEIGHT: f32 = 0.01;
const DISORDERLY: f32 = 0.02;
const ORDERLY: f32 = 0.005;
/// µs. A queue that is no higher comes and goes with key frames.
const LOW: Micros = 50_000;
/// µs. A queue this high is over-use, whether it grows or stands.
const HIGH: Micros = 150_000;
/// µs. From here on the rate falls below the path's, until [`DRAINED`].
const DRAIN: Micros = 250_000;
/// µs.
const DRAINED: Micros = 100_000;
/// µs.
const PATIENCE: Micros = 1_500_000;
/// µs.
const FALL: Micros = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    /// Reports on packets 10 ms apart; `delay` tells the delay of a packet in ms.
    fn listen(
        signal: &mut DelaySignal,
        packets: Range<Micros>,
        delay: impl Fn(Micros) -> Micros,
    ) -> Vec<Usage> {
        let arrival = |packet| (10_000 * packet, 10_000 * packet + 1_000 * delay(packet));
        let mut arrivals: Vec<_> = packets.map(arrival).collect();
        arrivals.sort_by_key(|(_, arrival)| *arrival);
        let hear = |report: &[(Micros, Micros)]| {
            report.iter().for_each(|(sent, arrival)| signal.add(*sent, *arrival, *arrival));
            signal.conclude()
        };
        arrivals.chunks(10).map(hear).collect()
    }

    #[test]
    fn packets_that_overtake_each_other_are_seen_and_are_no_over_use() {
        let mut signal = DelaySignal::default();
        let usages =
            listen(&mut signal, 0..2_000, |packet| 40 + if packet % 4 == 0 { packet * 7 % 50 } else { 0 });
        assert!(signal.is_reordered());
        assert!(usages[20..].iter().all(|usage| *usage != Usage::Over));
        listen(&mut signal, 2_000..4_000, |_| 40);
        assert!(!signal.is_reordered());
    }

    #[test]
    fn a_queue_under_reordering_is_over_use() {
        let mut signal = DelaySignal::default();
        let jitter = |packet| if packet % 4 == 0 { packet * 7 % 50 } else { 0 };
        let usages = listen(&mut signal, 0..1_100, |packet| 40 + jitter(packet) + (packet - 1_000).max(0));
        assert!(usages[..99].iter().all(|usage| *usage != Usage::Over));
        assert!(usages.contains(&Usage::Over));
    }

    #[test]
    fn a_high_queue_is_over_use_until_it_falls_and_drains_below_a_quarter_second() {
        let mut signal = DelaySignal::default();
        let queue = |packet| match packet {
            0..500 => 0,
            500..540 => 10 * (packet - 500),
            _ => (400 - 5 * (packet - 540)).max(0),
        };
        let mut drained = Vec::new();
        for packet in 0..700 {
            signal.add(10_000 * packet, 10_000 * packet + 1_000 * queue(packet), 10_000 * packet);
            signal.conclude();
            drained.push(signal.is_draining());
        }
        let from = drained.iter().position(|drains| *drains).unwrap();
        let until = drained.iter().rposition(|drains| *drains).unwrap();
        assert!((525..540).contains(&from) && (600..615).contains(&until), "{from} to {until}");
    }

    #[test]
    fn a_delay_that_stays_high_is_the_paths_after_a_second_and_a_half() {
        let mut signal = DelaySignal::default();
        let delay = |packet| if packet < 500 { 0 } else { 300_000 };
        let over: Vec<_> = (0..1_000)
            .filter(|packet| {
                signal.add(10_000 * packet, 10_000 * packet + delay(*packet), 10_000 * packet);
                packet % 10 == 9 && signal.conclude() == Usage::Over
            })
            .collect();
        assert!(over.iter().all(|packet| (500..700).contains(packet)), "{over:?}");
        assert!(!signal.is_draining() && signal.standing() == 0);
    }
}
