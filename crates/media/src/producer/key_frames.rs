//! When to request a key frame from a publisher: all consumers' requests merged, none lost.
//!
//! libwebrtc refreshes all encodings of a track when it is asked for one (`simulcast_encoder_adapter.cc`). Where that is
//! seen, consumers that wait for different encodings cost one request.

use super::Producer;
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

    /// A request for another encoding asks for this one, too.
    fn covered(&mut self, now: Instant) {
        self.last_sent = Some(now);
    }

    /// The sender changed, or did not heed the last request, so it does not delay the next one.
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

/// Whether a producer refreshes all its encodings when it is asked for one.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    /// How often in a row all active encodings came although one was asked for.
    shown: u8,
    round: Option<Round>,
}

/// What comes of a request. A bit for each encoding.
#[derive(Debug, Default)]
struct Round {
    asked: u8,
    came: u8,
    first_came: Option<Instant>,
}

impl Refresh {
    fn asked(&mut self, encodings: u8) {
        self.round.get_or_insert_default().asked |= encodings;
    }

    fn came(&mut self, encoding: u8, active: u8, now: Instant) {
        let Some(round) = &mut self.round else { return };
        round.came |= 1u8.wrapping_shl(u32::from(encoding));
        round.first_came.get_or_insert(now);
        if active & !round.came == 0 {
            let is_proof = round.asked.count_ones() == 1 && active.count_ones() > 1;
            self.shown = self.shown.saturating_add(u8::from(is_proof));
            self.round = None;
        }
    }

    /// Ends a round in which not all encodings came together. Returns those that were relied upon and did not come.
    fn expire(&mut self, now: Instant) -> u8 {
        let is_late = |round: &mut Round| round.first_came.is_some_and(|first| now >= first + TOGETHER);
        let Some(round) = self.round.take_if(is_late) else { return 0 };
        let missing = if self.is_shared() { !round.came } else { 0 };
        self.shown = 0;
        missing
    }

    /// When it is known whether the encodings came that are relied upon.
    fn deadline(&self) -> Option<Instant> {
        let first = self.round.as_ref().filter(|_| self.is_shared())?.first_came?;
        Some(first + TOGETHER)
    }

    /// One request refreshes all encodings.
    fn is_shared(&self) -> bool {
        self.shown >= PROOFS
    }
}

impl Producer {
    /// The encodings to request a key frame of, a bit each, and when to ask again.
    pub(crate) fn poll_key_frames(&mut self, now: Instant, rtt: Duration) -> (u8, Option<Instant>) {
        let missing = self.refresh.expire(now);
        let mut due = 0;
        for (encoding, bit) in self.encodings.iter_mut().zip(BITS) {
            if missing & bit != 0 {
                encoding.key_frames.forget_last();
            }
            if encoding.intake.is_some() && encoding.key_frames.poll(now, rtt) {
                due |= bit;
            }
        }
        if due != 0 && self.refresh.is_shared() {
            due = 1 << due.trailing_zeros();
            self.encodings.iter_mut().for_each(|encoding| encoding.key_frames.covered(now));
        }
        if due != 0 {
            self.refresh.asked(due);
        }
        let awaited = self.encodings.iter().filter(|encoding| encoding.intake.is_some());
        let again = awaited.filter_map(|encoding| encoding.key_frames.next_timeout(now, rtt));
        (due, again.chain(self.refresh.deadline()).min())
    }

    /// Notes that a key frame of an encoding begins. Returns when to call [`Self::poll_key_frames`].
    pub(crate) fn note_key_frame(&mut self, encoding: u8, now: Instant) -> Option<Instant> {
        self.refresh.round.as_ref()?;
        let active = self.active(now);
        self.refresh.came(encoding, active, now);
        self.refresh.deadline()
    }
}

/// A bit for each encoding.
const BITS: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
/// The key frames of one picture arrive within this time.
const TOGETHER: Duration = Duration::from_millis(200);
/// Requests that must have refreshed all encodings.
const PROOFS: u8 = 2;
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
