//! Rate limit of one kind of request of one socket.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket, stored as the time when it is full again (virtual scheduling algorithm, ITU-T I.371).
#[derive(Debug)]
pub(super) struct Allowance {
    refill: Duration,
    capacity: Duration,
    full_at: Option<Instant>,
}

impl Allowance {
    /// Allows `burst` requests at once, and `per_second` on average. Neither may be zero.
    pub(super) const fn new(per_second: u32, burst: u32) -> Self {
        let refill = Duration::from_nanos(NANOS_PER_SECOND / per_second as u64);
        Self { refill, capacity: refill.saturating_mul(burst), full_at: None }
    }

    /// Takes this many tokens; takes none and returns false if the bucket has fewer.
    pub(super) fn take(&mut self, tokens: u32, now: Instant) -> bool {
        let cost = self.refill.saturating_mul(tokens);
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + cost;
        let allowed = full_at - now <= self.capacity;
        if allowed {
            self.full_at = Some(full_at);
        }
        allowed
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use crate::carriers::allowance::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::new(50, 200);
        let taken = |allowance: &mut Allowance, at| (0..1_000).take_while(|_| allowance.take(1, at)).count();
        assert_eq!(taken(&mut allowance, start), 200);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(19)), 0);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(20)), 1);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(1_020)), 50);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(3_600)), 200);
    }

    #[test]
    fn a_large_request_costs_as_many_tokens_as_it_asks_for() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10, 100);
        assert!(allowance.take(60, start));
        assert!(!allowance.take(60, start));
        assert!(allowance.take(40, start));
        assert!(!allowance.take(u32::MAX, start + Duration::from_secs(3_600)));
        assert!(allowance.take(100, start + Duration::from_secs(3_600)));
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let start = Instant::now();
        let mut allowance = Allowance::new(10, 1);
        assert!(allowance.take(1, start));
        assert!((0..100).all(|_| !allowance.take(1, start)));
        assert!(allowance.take(1, start + Duration::from_millis(100)));
    }
}
