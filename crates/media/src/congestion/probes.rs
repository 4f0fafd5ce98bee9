//! Probes: when to send more than media for a moment, and what came of it.

use super::Micros;
use super::log::{Cluster, Logged};
use super::tally::{Outcome, Steadiness, Tally, share};
use std::time::Duration;

/// What the allocator grants and wants. All rates are bit/s of UDP payload, sound and repair included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// What the granted layers take.
    pub granted: u64,
    /// The estimate at which the next step of the allocation would be granted; `None` if all that is wanted is
    /// granted. Then no probe is sent.
    pub next: Option<u64>,
    /// What everything wanted would take.
    pub wanted: u64,
}

/// An order to send runs of packets that together reach a rate. Everything sent until the last run is gone carries
/// the cluster; what media does not fill is filled with repetitions or dummy packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub cluster: Cluster,
    /// bit/s.
    pub rate: u64,
    /// From 4 to 28. Each of at least two packets, sent at once.
    pub runs: u8,
    /// Bytes of each run.
    pub run_bytes: u32,
    /// From one run's send time to the next one's.
    pub spacing: Duration,
}

/// What decides whether a probe may be sent now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// bit/s.
    pub(super) estimate: f64,
    /// Neither over-use nor silence, nor a standing queue, nor falling by loss.
    pub(super) is_calm: bool,
    /// The highest rate that may be tried, as a multiple of the estimate.
    pub(super) reach: f64,
    /// bit/s, 0 if unknown.
    pub(super) acknowledged: f64,
    pub(super) steadiness: Steadiness,
    pub(super) rtt: Micros,
    pub(super) now: Micros,
}

/// When to probe, one probe at a time.
#[derive(Debug)]
pub(super) struct ProbePlan {
    demand: Demand,
    cluster: Cluster,
    running: Option<Running>,
    /// The rate to try next without waiting, in bit/s.
    at_once: Option<f64>,
    next_at: Micros,
    /// Time between probes of a step that fails, µs.
    pause: Micros,
    /// When a probe passed of which nothing speaks against.
    passed: Option<Micros>,
    /// µs to wait besides, because loss or over-use followed probes that had passed: a policer lets bursts through.
    refuted: Micros,
    /// Probes in a row that said nothing.
    voids: u8,
    calm_since: Option<Micros>,
    fall: Fall,
    counts: ProbeCounts,
}

/// Probes since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ProbeCounts {
    pub(super) begun: u32,
    pub(super) passed: u32,
    pub(super) full: u32,
    /// Those that said nothing, or were interrupted.
    pub(super) void: u32,
}

#[derive(Debug)]
struct Running {
    target: f64,
    tally: Tally,
    deadline: Micros,
}

/// A large fall of the estimate, to be undone once.
#[derive(Debug, Default)]
struct Fall {
    /// The highest estimate since the last fall, in bit/s.
    high: f64,
    /// The rate to return to.
    before: Option<f64>,
}

impl ProbePlan {
    pub(super) fn new(start: f64) -> Self {
        Self {
            demand: Demand::default(),
            cluster: Cluster::FIRST,
            running: None,
            at_once: Some(FIRST * start),
            next_at: 0,
            pause: MIN_PAUSE,
            passed: None,
            refuted: 0,
            voids: 0,
            calm_since: None,
            fall: Fall::default(),
            counts: ProbeCounts::default(),
        }
    }

    /// A new wish is tried at once.
    pub(super) fn want(&mut self, demand: Demand, now: Micros) {
        let is_new = demand.wanted > self.demand.wanted + self.demand.wanted / 4;
        self.demand = demand;
        if is_new {
            self.pause = MIN_PAUSE;
            self.next_at = now;
        }
    }

    /// The path is another one, on which `rate` is to be tried.
    pub(super) fn restart(&mut self, rate: f64, now: Micros) {
        let Self { demand, cluster, counts, .. } = *self;
        *self = Self { demand, cluster, counts, next_at: now, at_once: Some(rate), ..Self::new(rate) };
    }

    pub(super) fn sent(&mut self, cluster: Cluster, number: u64, bytes: u16) {
        if cluster == self.cluster
            && let Some(running) = &mut self.running
        {
            running.tally.sent.add(bytes);
            running.tally.last_number = number;
        }
    }

    /// A packet of a probe arrived.
    pub(super) fn arrived(&mut self, packet: &Logged, arrival: Micros) {
        if packet.cluster == Some(self.cluster)
            && let Some(running) = &mut self.running
        {
            running.tally.arrived(packet.sent, arrival, packet.size);
        }
    }

    /// The running probe's result, once reports told of all packets below `told` or it is too old.
    pub(super) fn conclude(&mut self, told: u64, weather: &Weather) -> Option<Outcome> {
        let running = self.running.as_ref()?;
        let tally = &running.tally;
        let is_told = tally.sent.bytes >= share(tally.planned) && told > tally.last_number;
        if !is_told && weather.now < running.deadline {
            return None;
        }
        let target = running.target;
        let outcome = tally
            .outcome(weather.steadiness)
            .unless_disproved(weather.acknowledged)
            .at_most(MAX_PASSED * target);
        self.running = None;
        self.counts.note(outcome);
        let before = self.passed.take();
        match outcome {
            Outcome::Passed(rate) => {
                self.voids = 0;
                if before.is_some_and(|before| weather.now - before >= PROVED) {
                    self.refuted = 0;
                }
                self.passed = Some(weather.now);
                self.pause = MIN_PAUSE;
                self.next_at = weather.now + self.refuted;
                self.at_once = (rate < self.highest() && self.refuted == 0).then_some(2.0 * rate);
            }
            Outcome::Full(_) => self.fail(weather.now),
            // Once more, for longer: jitter disturbs a short probe.
            Outcome::Void if self.voids < MAX_VOIDS => {
                self.voids += 1;
                self.at_once = Some(target);
                self.next_at = weather.now + VOID_PAUSE;
            }
            Outcome::Void => {
                self.voids = 0;
                self.next_at = weather.now + self.pause;
            }
        }
        Some(outcome)
    }

    /// The next probe, if one is due and allowed.
    pub(super) fn poll(&mut self, weather: &Weather) -> Option<Probe> {
        self.fall.note(weather.estimate);
        if !weather.is_calm {
            self.interrupt(weather.now);
            return None;
        }
        let calm_since = *self.calm_since.get_or_insert(weather.now);
        if self.running.is_some() || self.demand.next.is_none() || weather.now < self.next_at {
            return None;
        }
        let (target, runs) = self.target(weather, weather.now - calm_since)?;
        Some(self.start(target, runs, weather))
    }

    /// Whether the result of a probe is awaited.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// When [`Self::poll`] may have something to say.
    pub(super) fn next(&self) -> Option<Micros> {
        match &self.running {
            Some(running) => Some(running.deadline),
            None => self.demand.next.map(|_| self.next_at),
        }
    }

    pub(super) fn counts(&self) -> ProbeCounts {
        self.counts
    }

    /// The rate to try and the number of runs.
    fn target(&mut self, weather: &Weather, calm: Micros) -> Option<(f64, u8)> {
        let highest = self.highest().min(weather.reach * weather.estimate.max(MIN_ESTIMATE));
        if let Some(rate) = self.at_once.take() {
            let runs = if self.voids == 0 { SHORT_RUNS } else { LONG_RUNS };
            return Some((rate.min(highest), runs)).filter(|_| highest > MIN_GAIN * weather.estimate);
        }
        if calm >= FALL_CALM
            && let Some(before) = self.fall.before.take()
        {
            let most = self.highest().min(MAX_RETURN * weather.estimate);
            return Some((before.min(most), LONG_RUNS)).filter(|(rate, _)| *rate > weather.estimate);
        }
        let (granted, next) = (self.demand.granted as f64, self.demand.next? as f64);
        if calm < STEP_CALM || next <= weather.estimate {
            return None;
        }
        let target = (STEP_MARGIN * next).max(granted + MIN_STEP).min(highest);
        Some((target, LONG_RUNS)).filter(|(rate, _)| *rate > MIN_GAIN * weather.estimate)
    }

    /// Nothing more is learned from trying more than everything wanted.
    fn highest(&self) -> f64 {
        STEP_MARGIN * (self.demand.wanted.max(self.demand.next.unwrap_or(0))) as f64
    }

    fn start(&mut self, target: f64, runs: u8, weather: &Weather) -> Probe {
        let run_bytes = target * SPACING as f64 / 8e6;
        // A probe of a slow path is short, lest sound waits behind it.
        let queue = if weather.steadiness.is_reordered { REORDERED_QUEUE } else { MAX_QUEUE };
        let queue = queue + UNSTEADY_QUEUE * weather.steadiness.change as f64;
        let allowed = (queue * weather.estimate.max(MIN_ESTIMATE) / 8e6 / run_bytes) as u8;
        let unsteadiness = if weather.steadiness.is_reordered {
            REORDERED_SPAN
        } else {
            UNSTEADY_SPAN * weather.steadiness.change
        };
        let steadied = (unsteadiness / SPACING).clamp(0, MAX_RUNS) as u8;
        let runs = runs.max(steadied).min(allowed.max(SHORT_RUNS));
        let run_bytes = (run_bytes as u32).max(MIN_RUN);
        self.cluster = self.cluster.next();
        let tally = Tally::of(run_bytes * u32::from(runs));
        let deadline = weather.now + SPACING * Micros::from(runs) + weather.rtt + MAX_WAIT;
        self.running = Some(Running { target, tally, deadline });
        self.counts.begun += 1;
        Probe {
            cluster: self.cluster,
            rate: target as u64,
            runs,
            run_bytes,
            spacing: Duration::from_micros(SPACING.unsigned_abs()),
        }
    }

    /// Over-use or silence: what is under way shows the queue, not the path.
    fn interrupt(&mut self, now: Micros) {
        self.calm_since = None;
        self.at_once = None;
        if self.running.take().is_some() {
            self.counts.note(Outcome::Void);
            self.fail(now);
        }
        if self.passed.take().is_some_and(|passed| now - passed < PROVED) {
            self.refuted = (2 * self.refuted).clamp(MIN_REFUTED, MAX_REFUTED);
            self.next_at = now + self.refuted;
        }
        self.next_at = self.next_at.max(now + MIN_PAUSE);
    }

    fn fail(&mut self, now: Micros) {
        self.next_at = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(MAX_PAUSE);
    }
}

impl ProbeCounts {
    /// Probes that ended.
    pub(super) fn results(&self) -> u32 {
        self.passed + self.full + self.void
    }

    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Passed(_) => self.passed += 1,
            Outcome::Full(_) => self.full += 1,
            Outcome::Void => self.void += 1,
        }
    }
}

impl Fall {
    fn note(&mut self, estimate: f64) {
        if estimate < LARGE_FALL * self.high {
            self.before = Some(RETURN * self.high);
            self.high = estimate;
        }
        self.high = self.high.max(estimate);
    }
}

/// Of the start rate.
const FIRST: f64 = 3.0;
/// Over the next step's rate.
const STEP_MARGIN: f64 = 1.2;
/// bit/s.
const MIN_STEP: f64 = 200_000.0;
/// A probe must try so much more than the estimate.
const MIN_GAIN: f64 = 1.05;
/// bit/s. Below it a probe's size is as if the estimate were that high.
const MIN_ESTIMATE: f64 = 100_000.0;
/// µs between runs: more than the 5 ms that make packets one group, in ticks of feedback.
const SPACING: Micros = 5_250;
/// About 15 ms, as libwebrtc's.
const SHORT_RUNS: u8 = 4;
/// About 40 ms.
const LONG_RUNS: u8 = 8;
/// About 150 ms, where delays change so much that a shorter probe shows only that.
const MAX_RUNS: Micros = 28;
/// Of the unsteadiness.
const UNSTEADY_SPAN: Micros = 6;
const UNSTEADY_QUEUE: f64 = 4.0;
/// µs. Where packets overtake each other, only many of them show a slope.
const REORDERED_SPAN: Micros = 120_000;
const REORDERED_QUEUE: f64 = 120_000.0;
/// Bytes.
const MIN_RUN: u32 = 200;
/// µs of the estimate that a probe may take.
const MAX_QUEUE: f64 = 50_000.0;
/// µs.
const STEP_CALM: Micros = 1_000_000;
/// µs.
const FALL_CALM: Micros = 2_000_000;
/// µs.
const MIN_PAUSE: Micros = 1_000_000;
/// µs. With more, a link that grew would not be filled within five seconds.
const MAX_PAUSE: Micros = 3_000_000;
/// µs without loss or over-use after a probe that passed.
const PROVED: Micros = 3_000_000;
/// µs.
const MIN_REFUTED: Micros = 2_000_000;
/// µs.
const MAX_REFUTED: Micros = 12_000_000;
const MAX_VOIDS: u8 = 3;
/// µs.
const VOID_PAUSE: Micros = 300_000;
/// Of the rate that was to be tried.
const MAX_PASSED: f64 = 1.25;
/// µs, besides the round trip.
const MAX_WAIT: Micros = 500_000;
const LARGE_FALL: f64 = 0.66;
const RETURN: f64 = 0.85;
/// Of the estimate.
const MAX_RETURN: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Weather = Weather {
        estimate: 1e6,
        is_calm: true,
        reach: 2.0,
        acknowledged: 1e6,
        steadiness: Steadiness { change: 0, is_reordered: false },
        rtt: 50_000,
        now: 0,
    };

    #[test]
    fn steps_are_tried_after_a_second_of_calm_and_less_often_as_they_fail() {
        let mut plan = ProbePlan::new(300_000.0);
        plan.at_once = None;
        plan.want(Demand { granted: 900_000, next: Some(1_200_000), wanted: 3_000_000 }, 0);
        let mut times = Vec::new();
        for step in 0..2_000 {
            let now = 10_000 * step;
            let weather = Weather { now, ..CALM };
            if let Some(probe) = plan.poll(&weather) {
                assert_eq!(probe.rate, 1_440_000);
                times.push(now / 1_000);
                plan.fail(now);
                plan.running = None;
            }
        }
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!((times[0], &gaps[..5]), (1_000, &[1_000, 1_500, 2_250, 3_000, 3_000][..]));
        plan.want(Demand { granted: 900_000, next: None, wanted: 900_000 }, 20_000_000);
        assert_eq!(plan.next(), None);
    }
}
