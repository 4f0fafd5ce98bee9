//! Whether a queue is made by others: a download beside the call fills it whatever the call sends.

use super::Micros;

/// Watches whether lower rates shorten the queue.
#[derive(Debug, Default)]
pub(super) struct Others {
    watch: Option<Watch>,
    /// Until when growing delays are not answered.
    until: Micros,
}

#[derive(Debug)]
struct Watch {
    since: Micros,
    /// bit/s before the first decrease.
    rate: f64,
    /// The longest queue seen, in µs.
    queue: Micros,
    last: Micros,
}

impl Others {
    /// Whether growing delays are others' at present.
    pub(super) fn are_seen(&self, now: Micros) -> bool {
        now < self.until
    }

    /// Notes over-use at `rate` bit/s with `queue` µs of queue. Returns the rate from before, in bit/s, if lower rates
    /// have not shortened the queue.
    pub(super) fn judge(&mut self, rate: f64, queue: Micros, now: Micros) -> Option<f64> {
        let begun = Watch { since: now, rate, queue, last: now };
        let Some(watch) =
            self.watch.as_mut().filter(|watch| now - watch.last < PAUSE && queue > watch.queue - FALL)
        else {
            self.watch = Some(begun);
            return None;
        };
        watch.last = now;
        watch.queue = watch.queue.max(queue);
        (now - watch.since >= PATIENCE && rate <= ENOUGH * watch.rate).then_some(watch.rate)
    }

    /// Leaves over-use without an answer for a while.
    pub(super) fn excuse(&mut self, now: Micros) {
        *self = Self { watch: None, until: now + HOLD };
    }
}

/// µs. Over-use after a longer pause is watched anew.
const PAUSE: Micros = 2_000_000;
/// µs.
const PATIENCE: Micros = 1_500_000;
/// µs by which a queue of ours has become shorter.
const FALL: Micros = 50_000;
/// Of the rate before: a queue of ours would have become shorter.
const ENOUGH: f64 = 0.75;
/// µs.
const HOLD: Micros = 8_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_lower_rates_do_not_shorten_is_made_by_others() {
        let mut others = Others::default();
        let steps = [(0, 1e6), (500_000, 8.5e5), (1_000_000, 7.2e5), (1_500_000, 6.1e5)];
        let judged: Vec<_> = steps.iter().map(|&(now, rate)| others.judge(rate, 200_000, now)).collect();
        assert_eq!(judged, [None, None, None, Some(1e6)]);
        others.excuse(1_500_000);
        assert!(others.are_seen(9_400_000) && !others.are_seen(9_600_000));
    }

    #[test]
    fn a_queue_that_lower_rates_shorten_is_ours() {
        let mut others = Others::default();
        let mut judge = |now, rate, queue| others.judge(rate, queue, now);
        assert_eq!(judge(0, 1e6, 300_000), None);
        assert_eq!(judge(1_500_000, 6e5, 240_000), None, "it fell by more than 50 ms");
        assert_eq!(judge(2_900_000, 4e5, 240_000), None, "not for long enough");
        assert_eq!(judge(5_000_000, 3e5, 240_000), None, "over-use after a pause");
        assert_eq!(judge(6_500_000, 2.9e5, 240_000), None, "the rate is nearly as before");
        assert_eq!(judge(7_000_000, 2e5, 240_000), Some(3e5));
    }
}
