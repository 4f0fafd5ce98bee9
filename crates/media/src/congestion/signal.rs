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
        if is_high { Usage::Over } else { usage }
    }

    /// Whether so much waits on the path that the rate should fall below what the path carries.
    pub(super) fn is_draining(&self) -> bool {
        self.standing.is_draining
    }

    /// The queue that stands on the path, in µs.
    pub(super) fn standing(&self) -> Micros {
        self.delays.standing()
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
