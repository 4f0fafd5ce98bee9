//! What is known of the path besides its rate.

use super::Micros;
use super::limited::AppLimited;
use super::rate::Bounds;
use super::silence::Silence;
use super::throughput::Rates;
use super::trend::Usage;

#[derive(Debug)]
pub(super) struct PathState {
    pub(super) bounds: Bounds,
    pub(super) rtt: Micros,
    pub(super) silence: Silence,
    pub(super) limited: AppLimited,
    pub(super) is_limited: bool,
    /// What the delays of the last report showed.
    pub(super) usage: Usage,
    /// As of the last report.
    pub(super) rates: Option<Rates>,
    /// Reports told of all packets below this number.
    pub(super) covered: Option<u64>,
    /// When the rate was last lowered for a very long round trip.
    backed_off: Micros,
    /// Packets that the client reported as lost, with those that came after all.
    pub(super) lost: u64,
    /// Transport-wide feedback was heard: reception reports do not decide any more.
    pub(super) has_transport_wide: bool,
}

impl PathState {
    pub(super) fn new(bounds: Bounds, interval: Micros) -> Self {
        Self {
            bounds,
            rtt: FIRST_RTT,
            silence: Silence::new(interval),
            limited: AppLimited::default(),
            is_limited: false,
            usage: Usage::Normal,
            rates: None,
            covered: None,
            backed_off: 0,
            lost: 0,
            has_transport_wide: false,
        }
    }

    pub(super) fn restart(&mut self) {
        self.rtt = FIRST_RTT;
        self.usage = Usage::Normal;
        self.rates = None;
        self.covered = None;
    }

    pub(super) fn measure_rtt(&mut self, rtt: Micros) {
        self.rtt = rtt.min(MAX_RTT);
    }

    /// Whether the rate must be lowered because the round trip is very long: once a second.
    pub(super) fn is_far(&mut self, now: Micros) -> bool {
        let is_due = self.rtt > FAR && now - self.backed_off >= SECOND;
        if is_due {
            self.backed_off = now;
        }
        is_due
    }
}

/// µs, until one is measured.
const FIRST_RTT: Micros = 100_000;
/// µs. No answer counts as a longer round trip.
const MAX_RTT: Micros = 10_000_000;
/// µs.
const FAR: Micros = 3_000_000;
/// µs.
const SECOND: Micros = 1_000_000;
