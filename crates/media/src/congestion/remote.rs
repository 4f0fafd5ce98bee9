//! What the receiver itself says of the rate: its own estimate (REMB), and the loss in its reports where there is no
//! transport-wide feedback.

use super::Micros;
use super::rate::Bounds;

/// Limits by the receiver's word, in bit/s.
#[derive(Debug)]
pub(super) struct Remote {
    /// The receiver's estimate; `None` while it gave none, or told that there is no limit.
    limit: Option<f64>,
    first_limit: Option<Micros>,
    by_reports: ByReports,
}

/// The rate by loss alone (draft-ietf-rmcat-gcc-02 §6).
#[derive(Debug)]
struct ByReports {
    rate: f64,
    bounds: Bounds,
    lost: u32,
    expected: u32,
    /// Bytes sent up to the last update.
    sent_before: u64,
    updated: Option<Micros>,
    decreased: Option<Micros>,
}

impl Remote {
    pub(super) fn new(start: f64, bounds: Bounds) -> Self {
        let by_reports = ByReports {
            rate: bounds.clamp(start),
            bounds,
            lost: 0,
            expected: 0,
            sent_before: 0,
            updated: None,
            decreased: None,
        };
        Self { limit: None, first_limit: None, by_reports }
    }

    /// `None` lifts the limit.
    pub(super) fn limit(&mut self, rate: Option<f64>, now: Micros) {
        self.limit = rate;
        let first = *self.first_limit.get_or_insert(now);
        if let Some(rate) = rate.filter(|_| now - first < START_PHASE) {
            self.by_reports.lift(rate);
        }
    }

    pub(super) fn bound(&self, rate: f64) -> f64 {
        self.limit.map_or(rate, |limit| rate.min(limit))
    }

    /// Whether the receiver ever named a limit, or lost much.
    pub(super) fn has_found_limit(&self) -> bool {
        self.limit.is_some() || self.by_reports.decreased.is_some()
    }

    /// bit/s, for a receiver without transport-wide feedback.
    pub(super) fn rate(&self) -> f64 {
        self.bound(self.by_reports.rate)
    }

    /// Takes a report on one stream. `sent` is what was sent on the transport since the beginning, in bytes.
    pub(super) fn report(&mut self, lost: u32, expected: u32, sent: u64, rtt: Micros, now: Micros) {
        let limit = self.limit.unwrap_or(f64::INFINITY);
        self.by_reports.report(lost, expected, sent, rtt, now);
        self.by_reports.rate = self.by_reports.rate.min(limit.max(self.by_reports.bounds.min));
    }

    pub(super) fn lower(&mut self, factor: f64) {
        let reports = &mut self.by_reports;
        reports.rate = reports.bounds.clamp(factor * reports.rate);
    }

    /// The receiver's limit is of another path.
    pub(super) fn restart(&mut self, rate: f64) {
        *self = Self::new(rate, self.by_reports.bounds);
    }
}

impl ByReports {
    fn report(&mut self, lost: u32, expected: u32, sent: u64, rtt: Micros, now: Micros) {
        self.lost = self.lost.saturating_add(lost.min(expected));
        self.expected = self.expected.saturating_add(expected);
        if self.expected < MIN_EXPECTED {
            return;
        }
        let loss = f64::from(self.lost) / f64::from(self.expected);
        let elapsed = self.updated.map_or(0, |updated| now - updated);
        if elapsed < MIN_ELAPSED && self.updated.is_some() {
            return;
        }
        let sending = (sent.saturating_sub(self.sent_before)) as f64 * 8e6 / elapsed.max(1) as f64;
        let is_first = self.updated.replace(now).is_none();
        (self.lost, self.expected, self.sent_before) = (0, 0, sent);
        if loss < LOW_LOSS && !is_first {
            let higher = self.rate * GROWTH.powf(elapsed as f64 / 1e6) + MIN_GROWTH;
            self.rate = self.rate.max(higher.min(1.5 * sending + LIMIT_OFFSET));
        } else if loss > HIGH_LOSS && self.decreased.is_none_or(|before| now - before >= rtt + REACTION) {
            self.decreased = Some(now);
            self.rate *= 1.0 - loss / 2.0;
        }
        self.rate = self.bounds.clamp(self.rate);
    }

    /// The receiver vouches for a rate.
    fn lift(&mut self, rate: f64) {
        self.rate = self.bounds.clamp(self.rate.max(rate));
    }
}

/// µs from the receiver's first estimate, in which it is followed upwards at once.
const START_PHASE: Micros = 2_000_000;
const MIN_EXPECTED: u32 = 20;
/// µs. Reports on several streams that come together are one.
const MIN_ELAPSED: Micros = 200_000;
const LOW_LOSS: f64 = 0.02;
const HIGH_LOSS: f64 = 0.10;
/// Per second.
const GROWTH: f64 = 1.08;
/// bit/s per update.
const MIN_GROWTH: f64 = 1_000.0;
/// bit/s.
const LIMIT_OFFSET: f64 = 10_000.0;
/// µs, besides the round trip.
const REACTION: Micros = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after ten seconds with a report each second, while `share` of the rate is sent.
    fn after_ten_seconds(loss: u32, share: f64) -> f64 {
        let mut remote = Remote::new(1e6, Bounds { min: 5e3, max: 1e7 });
        let mut sent = 0;
        for second in 0..=10 {
            remote.report(loss, 100, sent, 50_000, 1_000_000 * second);
            sent += (share * remote.rate() / 8.0) as u64;
        }
        remote.rate()
    }

    #[test]
    fn little_loss_raises_some_holds_and_much_lowers_by_half_of_it() {
        assert!((2.1e6..2.2e6).contains(&after_ten_seconds(1, 1.0)));
        assert_eq!(after_ten_seconds(5, 1.0), 1e6);
        let lowered = 1e6 * 0.9_f64.powi(11);
        assert!((after_ten_seconds(20, 1.0) / lowered - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_unused_rate_does_not_rise() {
        assert_eq!(after_ten_seconds(0, 0.5), 1e6);
    }

    #[test]
    fn few_packets_say_nothing() {
        let mut remote = Remote::new(1e6, Bounds { min: 5e3, max: 1e7 });
        remote.report(10, 19, 0, 50_000, 0);
        assert_eq!(remote.rate(), 1e6);
        remote.report(0, 1, 0, 50_000, 1);
        assert_eq!(remote.rate(), 0.75e6);
    }

    #[test]
    fn the_receivers_estimate_is_followed_up_at_first_and_bounds_always() {
        let mut remote = Remote::new(3e5, Bounds { min: 5e3, max: 1e7 });
        remote.limit(Some(2e6), 1_000_000);
        assert_eq!(remote.rate(), 2e6);
        remote.limit(Some(5e5), 2_000_000);
        assert_eq!((remote.rate(), remote.bound(1e6)), (5e5, 5e5));
        remote.limit(Some(9e6), 9_000_000);
        assert_eq!(remote.rate(), 2e6);
        remote.limit(None, 10_000_000);
        assert_eq!(remote.bound(1e6), 1e6);
    }
}
