//! Finds how many peers a server can serve: adds peers until the first measured point that is not good.

use crate::tally::Summary;
use serde::Serialize;

/// The measured points, in order.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct Limit {
    pub(crate) points: Vec<Point>,
    /// Why the search ended.
    pub(crate) ended: Option<End>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    pub(crate) peers: usize,
    /// Share of delivered packets, 0 to 1.
    pub(crate) delivered: f64,
    pub(crate) latency_p99_ms: f64,
    pub(crate) received_per_second: f64,
    pub(crate) server_cores: Option<f64>,
    pub(crate) generator_cores: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    TooFewDelivered,
    TooSlow,
    /// Peers failed to join.
    Refused,
    /// --max-peers was reached, and all points were good.
    MaxPeers,
}

impl Limit {
    /// Adds a point; `true` if it was good, so that the search can continue.
    pub(crate) fn note(&mut self, point: Point, failed: usize) -> bool {
        self.ended = if point.delivered < LEAST_DELIVERED {
            Some(End::TooFewDelivered)
        } else if point.latency_p99_ms > MOST_LATENCY_MS {
            Some(End::TooSlow)
        } else if failed > 0 {
            Some(End::Refused)
        } else {
            None
        };
        self.points.push(point);
        self.ended.is_none()
    }

    pub(crate) fn reached_max(&mut self) {
        self.ended = Some(End::MaxPeers);
    }

    pub(crate) fn last_good(&self) -> Option<&Point> {
        let (last, before) = self.points.split_last()?;
        match self.ended {
            Some(End::MaxPeers) | None => Some(last),
            Some(End::TooFewDelivered | End::TooSlow | End::Refused) => before.last(),
        }
    }
}

impl Point {
    /// If no packets were expected, the delivered share is 0.
    pub(crate) fn new(peers: usize, summary: &Summary, seconds: u64) -> Self {
        Self {
            peers,
            delivered: summary.delivery().share().unwrap_or(0.0),
            latency_p99_ms: summary.latency.quantile_ms(0.99),
            received_per_second: summary.arrived as f64 / seconds as f64,
            server_cores: None,
            generator_cores: None,
        }
    }
}

pub(crate) const LEAST_DELIVERED: f64 = 0.999;
pub(crate) const MOST_LATENCY_MS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_ends_at_the_first_loss_and_the_point_before_it_is_the_answer() {
        let mut limit = Limit::default();
        assert!(limit.note(point(50, 1.0, 3.0), 0));
        assert!(limit.note(point(100, 0.9991, 99.0), 0));
        assert!(!limit.note(point(150, 0.9989, 20.0), 0));
        assert_eq!((limit.last_good().unwrap().peers, limit.ended), (100, Some(End::TooFewDelivered)));
    }

    #[test]
    fn slow_is_as_bad_as_lost_and_so_is_a_peer_that_could_not_join() {
        for (latency, failed, end) in [(100.1, 0, End::TooSlow), (1.0, 1, End::Refused)] {
            let mut limit = Limit::default();
            assert!(limit.note(point(50, 1.0, 1.0), 0));
            assert!(!limit.note(point(100, 1.0, latency), failed));
            assert_eq!((limit.last_good().unwrap().peers, limit.ended), (50, Some(end)));
        }
    }

    #[test]
    fn a_first_point_that_is_bad_leaves_no_answer() {
        let mut limit = Limit::default();
        limit.note(point(50, 0.5, 1.0), 0);
        assert!(limit.last_good().is_none());
    }

    #[test]
    fn a_server_that_carried_all_is_told_so() {
        let mut limit = Limit::default();
        limit.note(point(50, 1.0, 1.0), 0);
        limit.reached_max();
        assert_eq!((limit.last_good().unwrap().peers, limit.ended), (50, Some(End::MaxPeers)));
    }

    fn point(peers: usize, delivered: f64, latency_p99_ms: f64) -> Point {
        let summary = Summary::default();
        Point { delivered, latency_p99_ms, ..Point::new(peers, &summary, 1) }
    }
}
