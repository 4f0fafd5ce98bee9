//! What retransmissions to one client may cost, whatever the client asks for.

use std::time::{Duration, Instant};

/// A bucket of bytes. It is filled with [`SHARE_PERCENT`] of what is sent to the client and holds what is sent
/// in one round trip, so that a short outage can be repaired at once. To be refilled before each use.
#[derive(Debug)]
pub(crate) struct RepairBudget {
    room: u64,
    last: Refill,
    /// Bytes per second sent to the client, averaged over about [`AVERAGE`].
    rate: u64,
    /// All bytes spent so far.
    spent: u64,
}

#[derive(Debug, Clone, Copy)]
struct Refill {
    at: Instant,
    /// All bytes sent to the client until then, without retransmissions.
    sent: u64,
}

impl RepairBudget {
    pub(crate) fn new(now: Instant) -> Self {
        Self { room: MIN_BURST, last: Refill { at: now, sent: 0 }, rate: 0, spent: 0 }
    }

    /// `sent`: all bytes sent to the client so far, retransmissions included.
    pub(crate) fn refill(&mut self, sent: u64, rtt: Duration, now: Instant) {
        let sent = sent.saturating_sub(self.spent);
        let last = self.last;
        let elapsed = now.saturating_duration_since(last.at);
        if elapsed < INTERVAL {
            return;
        }
        self.last = Refill { at: now, sent };
        let fresh = sent.saturating_sub(last.sent);
        let micros = elapsed.as_micros() as u64;
        self.average(fresh, micros);
        let earned = (fresh / 100 * SHARE_PERCENT).max(bytes_in(FLOOR, micros));
        let trip = rtt.min(MAX_TRIP).as_micros() as u64;
        let burst = bytes_in(self.rate, trip).max(MIN_BURST);
        self.room = self.room.saturating_add(earned).min(burst);
    }

    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.room
    }

    pub(crate) fn spend(&mut self, bytes: u64) {
        self.room = self.room.saturating_sub(bytes);
        self.spent = self.spent.saturating_add(bytes);
    }

    /// What can be repaired within [`PATIENCE`], if the receiver asks again.
    pub(crate) fn soon(&self) -> u64 {
        let earned = bytes_in((self.rate / 100 * SHARE_PERCENT).max(FLOOR), PATIENCE);
        self.room.saturating_add(earned)
    }

    /// Takes `fresh` bytes sent in `micros` microseconds into the average.
    fn average(&mut self, fresh: u64, micros: u64) {
        let weight = micros.min(AVERAGE);
        let rate = fresh.saturating_mul(SECOND) / micros.max(1);
        let sum =
            u128::from(self.rate) * u128::from(AVERAGE - weight) + u128::from(rate) * u128::from(weight);
        self.rate = (sum / u128::from(AVERAGE)) as u64;
    }
}

/// `rate` in bytes per second.
fn bytes_in(rate: u64, micros: u64) -> u64 {
    rate.saturating_mul(micros) / SECOND
}

/// Of what is sent to a client. A path that loses more is not helped by sending more.
const SHARE_PERCENT: u64 = 15;
/// Bytes per second, 64 kbit/s: so much is repaired of a stream that sends little, or nothing for a while.
const FLOOR: u64 = 8_000;
/// Bytes: ten full packets.
const MIN_BURST: u64 = 12_000;
/// A longer round trip does not give a longer burst: clients can pretend any.
const MAX_TRIP: Duration = Duration::from_millis(500);
/// In each interval a video sends some pictures, so that the floor does not add to the share.
const INTERVAL: Duration = Duration::from_millis(100);
/// Microseconds: about as long as a key frame takes to come.
const PATIENCE: u64 = 200_000;
/// Microseconds.
const AVERAGE: u64 = SECOND;
const SECOND: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_everything_gets_a_share_of_what_is_sent() {
        for rate in [80_000, 250_000, 2_000_000] {
            let mut link = Link::new();
            let spent = link.run(Duration::from_secs(60), rate, u64::MAX);
            let sent = rate * 60;
            let bound = sent * SHARE_PERCENT / 100 + MIN_BURST.max(rate / 20);
            assert!(spent <= bound, "{spent} of {sent} bytes");
            assert!(spent * 100 >= sent * (SHARE_PERCENT - 1), "{spent} of {sent} bytes");
        }
    }

    #[test]
    fn a_pretended_round_trip_gives_a_bounded_burst() {
        let mut link = Link { rtt: Duration::from_secs(5), ..Link::new() };
        link.run(Duration::from_secs(60), 250_000, 0);
        let burst = link.run(Duration::from_millis(1), 250_000, u64::MAX);
        assert!((100_000..=125_000).contains(&burst), "{burst}");
    }

    #[test]
    fn one_round_trip_may_be_repaired_at_once() {
        let mut link = Link::new();
        link.run(Duration::from_secs(10), 1_000_000, 0);
        assert!(link.budget.has_room(48_000), "{:?}", link.budget);
        assert!(!link.budget.has_room(52_000), "{:?}", link.budget);
    }

    #[test]
    fn what_a_quiet_stream_sent_last_is_repaired_again_and_again() {
        let mut link = Link::new();
        assert_eq!(link.run(Duration::from_millis(1), 0, u64::MAX), 12_000);
        let spent = link.run(Duration::from_secs(10), 0, u64::MAX);
        assert!((79_000..=80_000).contains(&spent), "{spent}");
    }

    #[test]
    fn absurd_totals_and_times_do_no_harm() {
        let now = Instant::now();
        let mut budget = RepairBudget::new(now);
        budget.refill(u64::MAX, Duration::MAX, now + Duration::from_secs(1));
        budget.refill(0, Duration::ZERO, now);
        budget.spend(u64::MAX);
        budget.refill(u64::MAX, Duration::MAX, now + Duration::from_secs(3_000_000));
        assert!(budget.has_room(MIN_BURST));
    }

    struct Link {
        now: Instant,
        rtt: Duration,
        sent: u64,
        budget: RepairBudget,
    }

    impl Link {
        fn new() -> Self {
            let (now, rtt) = (Instant::now(), Duration::from_millis(50));
            Self { now, rtt, sent: 0, budget: RepairBudget::new(now) }
        }

        /// Sends `rate` bytes per second in milliseconds, and in each spends as much as there is, up to `most`
        /// bytes. Returns what was spent.
        fn run(&mut self, time: Duration, rate: u64, most: u64) -> u64 {
            let mut spent = 0;
            for _ in 0..time.as_millis() {
                self.now += Duration::from_millis(1);
                self.sent += rate / 1_000;
                self.budget.refill(self.sent, self.rtt, self.now);
                let bytes = self.budget.room.min(most);
                self.budget.spend(bytes);
                self.sent += bytes;
                spent += bytes;
            }
            spent
        }
    }
}
