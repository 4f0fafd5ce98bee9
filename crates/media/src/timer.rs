//! The timers of a transport.

use std::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// ICE consent expires.
    Ice,
    /// A DTLS handshake flight must be repeated.
    Dtls,
    /// An SCTP retransmission or heartbeat is due.
    Sctp,
    /// Missing packets must be requested.
    Nack,
    /// A key frame is still awaited.
    KeyFrame,
    /// Transport-wide feedback is due.
    Feedback,
    /// RTCP reports are due.
    Report,
    /// The activity of encodings and speakers must be checked.
    Activity,
    /// The bandwidth to the client must be judged again.
    Bandwidth,
    /// The next run of a probe has to leave.
    Probe,
    /// Video that waits may leave.
    Pace,
}

/// One deadline per timer.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; ALL.len()]);

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    /// Sets the deadline to `at` if that is earlier than the present deadline.
    pub(crate) fn advance(&mut self, timer: Timer, at: Instant) {
        let slot = &mut self.0[timer as usize];
        *slot = Some(slot.map_or(at, |set| set.min(at)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Stops one expired timer and returns it.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let timer = ALL.into_iter().find(|&timer| self.0[timer as usize].is_some_and(|at| at <= now))?;
        self.0[timer as usize] = None;
        Some(timer)
    }
}

const ALL: [Timer; 11] = [
    Timer::Ice,
    Timer::Dtls,
    Timer::Sctp,
    Timer::Nack,
    Timer::KeyFrame,
    Timer::Feedback,
    Timer::Report,
    Timer::Activity,
    Timer::Bandwidth,
    Timer::Probe,
    Timer::Pace,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timers_expire_once_and_in_their_own_time() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(Timer::Report, Some(start + Duration::from_secs(1)));
        timers.advance(Timer::Nack, start + Duration::from_secs(5));
        timers.advance(Timer::Nack, start + Duration::from_millis(20));
        timers.advance(Timer::Nack, start + Duration::from_secs(9));
        assert_eq!(timers.next(), Some(start + Duration::from_millis(20)));
        assert_eq!(timers.expire(start), None);
        assert_eq!(timers.expire(start + Duration::from_millis(20)), Some(Timer::Nack));
        assert_eq!(timers.expire(start + Duration::from_millis(20)), None);
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
    }
}
