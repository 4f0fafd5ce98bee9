use bytes::Bytes;
use std::time::{Duration, Instant};

/// Our last handshake flight, repeated until the peer's answer leads to our next flight.
///
/// The library has a timer of its own, but gives up after eight even intervals and drops the timer at any
/// unexpected handshake record (a duplicate ClientHello, say), after which a lost flight would stay lost.
/// Repeating identical datagrams is enough: by record number, a peer drops the records it has and handles the
/// others.
#[derive(Debug, Default)]
pub(super) struct Flight {
    datagrams: Vec<Bytes>,
    repeats: u32,
    due: Option<Instant>,
}

impl Flight {
    /// Remembers a flight that was just sent, instead of the one before it.
    pub(super) fn sent(now: Instant, datagrams: Vec<Bytes>) -> Self {
        Self { datagrams, repeats: 0, due: Some(now + INTERVAL) }
    }

    /// The datagrams to repeat, if it is time to.
    pub(super) fn repeat(&mut self, now: Instant) -> &[Bytes] {
        if self.due.is_none_or(|due| now < due) {
            return &[];
        }
        self.repeats = (self.repeats + 1).min(MAX_DOUBLINGS);
        self.due = Some(now + INTERVAL * (1 << self.repeats));
        &self.datagrams
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn into_datagrams(self) -> Vec<Bytes> {
        self.datagrams
    }
}

/// RFC 6347 §4.2.4.1 suggests 1 s; a call needs its first loss repaired sooner. Doubled at each repeat.
pub(super) const INTERVAL: Duration = Duration::from_millis(150);
/// Repeats are never further apart than 2.4 s.
const MAX_DOUBLINGS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flight_is_repeated_at_doubling_intervals_of_at_most_2400_ms() {
        let mut now = Instant::now();
        let mut flight = Flight::sent(now, vec![Bytes::from_static(b"hello")]);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let due = flight.due().unwrap();
            assert!(flight.repeat(due - Duration::from_millis(1)).is_empty());
            waits.push((due - now).as_millis());
            now = due;
            assert_eq!(flight.repeat(now).len(), 1);
        }
        assert_eq!(waits, [150, 300, 600, 1200, 2400, 2400]);
    }
}
