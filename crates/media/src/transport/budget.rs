//! Limits a client's packet rate, so that one client's flood does not take the worker's time from all others.

use std::time::{Duration, Instant};

/// A leaky bucket: one second's worth of packets may arrive at once, as after a network stall.
#[derive(Debug)]
pub(crate) struct Budget {
    interval: Duration,
    /// When the packets received so far would have arrived at the permitted rate.
    spent_until: Option<Instant>,
}

impl Budget {
    pub(crate) fn new(packets_per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / packets_per_second.max(1), spent_until: None }
    }

    /// Whether a packet that arrived at time `at` is within the budget.
    pub(crate) fn has_room(&self, at: Instant) -> bool {
        self.spent_until.is_none_or(|until| until.saturating_duration_since(at) <= DEPTH)
    }

    /// Charges a packet that arrived at time `at`: one unit per 1,500 bytes or part of them.
    pub(crate) fn spend(&mut self, bytes: usize, at: Instant) {
        let from = self.spent_until.map_or(at, |until| until.max(at));
        let packets = bytes.div_ceil(PACKET) as u32;
        self.spent_until = from.checked_add(self.interval * packets);
    }
}

const DEPTH: Duration = Duration::from_secs(1);
/// Bytes: the MTU of Ethernet.
const PACKET: usize = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    impl Budget {
        fn take(&mut self, bytes: usize, at: Instant) -> bool {
            let has_room = self.has_room(at);
            if has_room {
                self.spend(bytes, at);
            }
            has_room
        }
    }

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_so_many_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(1_000);
        let mut taken = |at, count| (0..count).filter(|_| budget.take(1_200, at)).count();
        assert_eq!(taken(start, 5_000), 1_001);
        assert_eq!(taken(start, 1), 0);
        let flood = (1..=10_000).map(|ms| taken(start + Duration::from_millis(ms), 10)).sum::<usize>();
        assert_eq!(flood, 10_000);
        assert_eq!(taken(start + Duration::from_secs(12), 5_000), 1_001, "rest fills it again");
    }

    #[test]
    fn whoever_stays_within_it_never_notices() {
        let start = Instant::now();
        let mut budget = Budget::new(1_000);
        assert!((0..100_000).all(|ms| budget.take(1_500, start + Duration::from_millis(ms))));
    }

    #[test]
    fn large_packets_count_as_the_many_that_they_could_have_been() {
        let start = Instant::now();
        let mut budget = Budget::new(1_000);
        assert_eq!((0..1_000).filter(|_| budget.take(65_507, start)).count(), 1_000 / 44 + 1);
        assert!(!budget.take(1, start));
    }

    #[test]
    fn a_budget_without_end_is_never_spent() {
        let start = Instant::now();
        let mut budget = Budget::new(u32::MAX);
        assert!((0..1_000_000).all(|_| budget.take(65_507, start)));
    }

    #[test]
    fn packets_out_of_order_of_arrival_are_taken_all_the_same() {
        let start = Instant::now();
        let mut budget = Budget::new(1_000);
        for ms in (0..400).rev() {
            assert!(budget.take(100, start + Duration::from_millis(ms)), "{ms}");
        }
    }
}
