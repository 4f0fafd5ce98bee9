use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::after;

/// How often one user may open a leg in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRate {
    /// Number of joins at once. At least 1.
    pub burst: u32,
    /// The time after which one more is allowed.
    pub refill: Duration,
}

/// The joins that a user has left: a token bucket, stored as the time when it is full again (virtual
/// scheduling algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JoinBudget {
    full_at: DateTime<Utc>,
}

impl JoinBudget {
    /// The budget after one more join; as an error, how long to wait for it.
    pub(super) fn join(self, rate: JoinRate, now: DateTime<Utc>) -> Result<Self, Duration> {
        let emptiest = after(now, rate.refill.saturating_mul(rate.burst));
        // The clock may have been set back since the last join.
        let full_at = after(self.full_at.clamp(now, emptiest), rate.refill);
        if full_at <= emptiest { Ok(Self { full_at }) } else { Err(wait(full_at - emptiest)) }
    }
}

fn wait(until: TimeDelta) -> Duration {
    until.to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: JoinRate = JoinRate { burst: 20, refill: Duration::from_secs(3) };

    fn joins(budget: &mut JoinBudget, now: DateTime<Utc>) -> usize {
        let mut join = || budget.join(RATE, now).map(|left| *budget = left);
        (0..1_000).take_while(|_| join().is_ok()).count()
    }

    #[test]
    fn twenty_joins_are_free_and_then_one_every_three_seconds() {
        let (mut budget, start) = (JoinBudget::default(), DateTime::from_timestamp(1_000_000, 0).unwrap());
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(joins(&mut budget, start), 20);
        assert_eq!(budget.join(RATE, later(1)), Err(Duration::from_secs(2)));
        assert_eq!(joins(&mut budget, later(2)), 0);
        assert_eq!(joins(&mut budget, later(3)), 1);
        assert_eq!(joins(&mut budget, later(33)), 10);
        assert_eq!(joins(&mut budget, later(3_600)), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_costs_a_full_budget_at_most() {
        let (mut budget, start) = (JoinBudget::default(), DateTime::from_timestamp(1_000_000, 0).unwrap());
        assert_eq!(joins(&mut budget, start), 20);
        let back = start - Duration::from_secs(86_400);
        assert_eq!(budget.join(RATE, back), Err(RATE.refill));
        assert_eq!(joins(&mut budget, back), 0);
        budget = JoinBudget { full_at: start };
        assert_eq!(joins(&mut budget, back), 0);
    }
}
