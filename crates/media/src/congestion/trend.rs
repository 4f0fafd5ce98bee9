//! The slope of the delay against a threshold that adapts (libwebrtc's trendline estimator).

use super::Micros;

/// What the delay says about the sending rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Usage {
    #[default]
    Normal,
    /// Queues grow.
    Over,
    /// Queues shrink.
    Under,
}

/// A least-squares line through the last delays.
#[derive(Debug)]
pub(super) struct Trend {
    tuning: Tuning,
    /// Oldest first, `len` of them.
    points: [Point; MAX_POINTS],
    len: usize,
    /// Deltas since the beginning, up to [`FULL_CONFIDENCE`].
    deltas: u32,
    accumulated: f32,
    smoothed: f32,
    slope: f32,
    threshold: Threshold,
    over: OverTime,
}

/// How a kind of sample is weighed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// µs of arrival time that the line covers.
    pub(super) span: Micros,
    pub(super) min_points: usize,
    /// Weight of the delays before, from 0 to 1.
    pub(super) smoothing: f32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Point {
    at: Micros,
    /// ms.
    delay: f32,
}

#[derive(Debug)]
struct Threshold {
    value: f32,
    adapted: Option<Micros>,
}

/// For how long the trend has been over the threshold.
#[derive(Debug, Default)]
struct OverTime {
    /// ms.
    time: f32,
    samples: u32,
}

impl Trend {
    pub(super) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            points: [Point::default(); MAX_POINTS],
            len: 0,
            deltas: 0,
            accumulated: 0.0,
            smoothed: 0.0,
            slope: 0.0,
            threshold: Threshold { value: INITIAL_THRESHOLD, adapted: None },
            over: OverTime::default(),
        }
    }

    /// Forgets the delays, not the threshold.
    pub(super) fn reset(&mut self) {
        let threshold = Threshold { value: self.threshold.value, adapted: None };
        *self = Self { threshold, ..Self::new(self.tuning) };
    }

    /// Adds a sample at arrival time `at`: sent `sent` after the one before, and delayed by `change` more.
    pub(super) fn add(&mut self, at: Micros, sent: Micros, change: Micros) -> Usage {
        self.deltas = (self.deltas + 1).min(FULL_CONFIDENCE);
        self.accumulated += milliseconds(change);
        let smoothing = self.tuning.smoothing;
        self.smoothed = smoothing * self.smoothed + (1.0 - smoothing) * self.accumulated;
        self.push(at);
        let before = self.slope;
        if let Some(slope) = self.fit() {
            self.slope = slope;
        }
        self.detect(before, milliseconds(sent), at)
    }

    /// ms of delay per ms: how fast queues grow.
    pub(super) fn slope(&self) -> f32 {
        self.slope
    }

    fn push(&mut self, at: Micros) {
        let oldest = at - self.tuning.span;
        let mut dropped = self.points[..self.len].iter().take_while(|point| point.at < oldest).count();
        if self.len - dropped == MAX_POINTS {
            dropped += 1;
        }
        self.points.copy_within(dropped..self.len, 0);
        self.len -= dropped;
        self.points[self.len] = Point { at, delay: self.smoothed };
        self.len += 1;
    }

    fn fit(&self) -> Option<f32> {
        let points = &self.points[..self.len];
        if points.len() < self.tuning.min_points {
            return None;
        }
        let count = points.len() as f32;
        let origin = points[0].at;
        let since = |point: &Point| milliseconds(point.at - origin);
        let mean_at = points.iter().map(since).sum::<f32>() / count;
        let mean_delay = points.iter().map(|point| point.delay).sum::<f32>() / count;
        let (mut both, mut square) = (0.0, 0.0);
        for point in points {
            let at = since(point) - mean_at;
            both += at * (point.delay - mean_delay);
            square += at * at;
        }
        (square > 0.0).then(|| both / square)
    }

    fn detect(&mut self, before: f32, sent: f32, now: Micros) -> Usage {
        if self.deltas < 2 {
            return Usage::Normal;
        }
        let trend = self.deltas as f32 * self.slope * GAIN;
        let threshold = self.threshold.value;
        let usage = if trend > threshold {
            self.over.time += if self.over.samples == 0 { sent / 2.0 } else { sent };
            self.over.samples += 1;
            let is_over = self.over.time > OVER_TIME && self.over.samples > 1 && self.slope >= before;
            if is_over { Usage::Over } else { Usage::Normal }
        } else if trend < -threshold {
            Usage::Under
        } else {
            Usage::Normal
        };
        if usage == Usage::Over || trend <= threshold {
            self.over = OverTime::default();
        }
        self.threshold.adapt(trend.abs(), now);
        usage
    }
}

impl Threshold {
    /// Follows the trend slowly upwards, so that a competing flow that fills queues does not starve this one.
    fn adapt(&mut self, trend: f32, now: Micros) {
        let elapsed = self.adapted.map_or(0.0, |adapted| milliseconds(now - adapted)).clamp(0.0, MAX_STEP);
        self.adapted = Some(now);
        if trend > self.value + MAX_EXCESS {
            return;
        }
        let gain = if trend > self.value { GAIN_UP } else { GAIN_DOWN };
        self.value += gain * (trend - self.value) * elapsed;
        self.value = self.value.clamp(MIN_THRESHOLD, MAX_THRESHOLD);
    }
}

fn milliseconds(time: Micros) -> f32 {
    time as f32 / 1_000.0
}

const MAX_POINTS: usize = 20;
const FULL_CONFIDENCE: u32 = 60;
const GAIN: f32 = 4.0;
/// ms.
const OVER_TIME: f32 = 10.0;
const INITIAL_THRESHOLD: f32 = 12.5;
const MIN_THRESHOLD: f32 = 6.0;
const MAX_THRESHOLD: f32 = 600.0;
const MAX_EXCESS: f32 = 15.0;
/// Per ms.
const GAIN_UP: f32 = 0.0087;
/// Per ms.
const GAIN_DOWN: f32 = 0.039;
/// ms.
const MAX_STEP: f32 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    const TUNING: Tuning = Tuning { span: 400_000, min_points: 6, smoothing: 0.9 };

    /// Groups 20 ms apart, each delayed by `growth` µs more than the one before.
    fn follow(trend: &mut Trend, growth: Micros, groups: Micros) -> Vec<Usage> {
        (1..=groups).map(|group| trend.add((20_000 + growth) * group, 20_000, growth)).collect()
    }

    #[test]
    fn a_queue_that_grows_by_a_fifth_of_the_time_is_over_use_within_half_a_second() {
        let usages = follow(&mut Trend::new(TUNING), 4_000, 50);
        let first = usages.iter().position(|usage| *usage == Usage::Over).unwrap();
        assert!(first <= 25, "group {first}");
    }

    #[test]
    fn a_queue_that_shrinks_is_under_use_and_steady_delay_is_neither() {
        let mut trend = Trend::new(TUNING);
        assert!(follow(&mut trend, 0, 100).iter().all(|usage| *usage == Usage::Normal));
        trend.reset();
        assert_eq!(follow(&mut trend, -4_000, 40).last(), Some(&Usage::Under));
    }

    #[test]
    fn clock_drift_of_a_thousandth_is_neither() {
        for drift in [20, -20] {
            let usages = follow(&mut Trend::new(TUNING), drift, 3_000);
            assert!(usages.iter().all(|usage| *usage == Usage::Normal));
        }
    }

    #[test]
    fn the_threshold_follows_slowly_up_quickly_down_and_not_at_all_far_away() {
        let after = |trend, seconds: Micros| {
            let mut threshold = Threshold { value: INITIAL_THRESHOLD, adapted: None };
            (0..=20 * seconds).for_each(|step| threshold.adapt(trend, 50_000 * step));
            threshold.value
        };
        assert_eq!(after(0.0, 2), MIN_THRESHOLD);
        assert!((18.0..20.1).contains(&after(20.0, 5)));
        assert_eq!(after(100.0, 5), INITIAL_THRESHOLD);
    }
}
