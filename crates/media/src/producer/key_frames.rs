//! When to request a key frame from a publisher: all consumers' requests merged, none lost.

use std::time::{Duration, Instant};

/// Key-frame requests towards one encoding. At most one is sent per interval; a wish inside the interval is
/// deferred to its end. A request is repeated until the first packet of a key frame arrives.
#[derive(Debug, Default)]
pub(crate) struct KeyFrameRequests {
    last_sent: Option<Instant>,
    awaited: bool,
}

impl KeyFrameRequests {
    /// A consumer cannot continue without a key frame.
    pub(crate) fn wish(&mut self) {
        self.awaited = true;
    }

    /// The first packet of a key frame arrived: no consumer waits for one.
    pub(crate) fn satisfied(&mut self) {
        self.awaited = false;
    }

    /// The sender changed, so the last request does not delay the next one.
    pub(crate) fn forget_last(&mut self) {
        self.last_sent = None;
    }

    /// True when a request must be sent at `now`; it is recorded as sent.
    pub(crate) fn poll(&mut self, now: Instant, rtt: Duration) -> bool {
        let due = self.deadline(rtt).is_some_and(|at| at.is_none_or(|at| at <= now));
        if due {
            self.last_sent = Some(now);
        }
        due
    }

    /// When to poll next; `None` if no key frame is awaited.
    pub(crate) fn next_timeout(&self, now: Instant, rtt: Duration) -> Option<Instant> {
        self.deadline(rtt).map(|at| at.unwrap_or(now))
    }

    /// Outer `None`: no key frame is awaited. Inner `None`: request at once.
    fn deadline(&self, rtt: Duration) -> Option<Option<Instant>> {
        self.awaited.then(|| self.last_sent.map(|sent| sent + rtt.max(MIN_INTERVAL)))
    }
}

/// A key frame costs the publisher many times a delta frame; requesting more often only makes the sender's
/// queue longer.
const MIN_INTERVAL: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn a_first_wish_is_sent_at_once_and_repeated_until_the_key_frame_arrives() {
        let start = Instant::now();
        let mut requests = KeyFrameRequests::default();
        assert!(!requests.poll(start, RTT));
        requests.wish();
        assert!(requests.poll(start, RTT));
        assert!(!requests.poll(start + Duration::from_millis(299), RTT));
        assert!(requests.poll(start + Duration::from_millis(300), RTT));
        requests.satisfied();
        assert!(!requests.poll(start + Duration::from_secs(5), RTT));
        assert_eq!(requests.next_timeout(start, RTT), None);
    }

    #[test]
    fn a_wish_inside_the_interval_is_deferred_not_dropped() {
        let start = Instant::now();
        let mut requests = KeyFrameRequests::default();
        requests.wish();
        requests.poll(start, RTT);
        requests.satisfied();
        requests.wish();
        let at = requests.next_timeout(start, RTT).unwrap();
        assert_eq!(at, start + MIN_INTERVAL);
        assert!(!requests.poll(at - Duration::from_millis(1), RTT));
        assert!(requests.poll(at, RTT));
    }

    #[test]
    fn a_long_round_trip_stretches_the_interval() {
        let start = Instant::now();
        let mut requests = KeyFrameRequests::default();
        requests.wish();
        requests.poll(start, RTT);
        assert_eq!(
            requests.next_timeout(start, Duration::from_secs(1)),
            Some(start + Duration::from_secs(1))
        );
    }
}
