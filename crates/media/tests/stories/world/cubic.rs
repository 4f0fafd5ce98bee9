//! A long download over TCP with CUBIC (RFC 9438), as the competitor of a call. The model has slow start, the cubic
//! window, the reduction by 0.7 once per window with loss, and the retransmission timeout. It repeats no data, because
//! only its rate matters.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

pub struct Cubic {
    /// From the bottleneck's far end to the receiver and, as an acknowledgement, back to the sender.
    way_back: Duration,
    begin: Instant,
    /// In segments.
    window: f64,
    threshold: f64,
    /// The window before the last reduction, and when that was.
    before: f64,
    reduced_at: Instant,
    next: u64,
    /// All segments below are acknowledged or known to be lost.
    settled: u64,
    /// A loss below this number belongs to a reduction that was made.
    recovering_to: u64,
    /// Acknowledgements that are under way, by the time of arrival.
    acknowledgements: BTreeSet<(Instant, u64)>,
    last_progress: Instant,
    /// Segments that arrived.
    pub delivered: u64,
}

impl Cubic {
    /// Bytes.
    pub const SEGMENT: usize = 1_400;

    pub fn new(begin: Instant, way_back: Duration) -> Self {
        Self {
            way_back,
            begin,
            window: 10.0,
            threshold: f64::INFINITY,
            before: 0.0,
            reduced_at: begin,
            next: 0,
            settled: 0,
            recovering_to: 0,
            acknowledgements: BTreeSet::new(),
            last_progress: begin,
            delivered: 0,
        }
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let acknowledgement = self.acknowledgements.first().map(|(at, _)| *at);
        let timer = if self.next == 0 { self.begin } else { self.last_progress + RETRANSMISSION_TIMEOUT };
        acknowledgement.into_iter().chain([timer]).min()
    }

    /// A segment has passed the bottleneck.
    pub fn arrived(&mut self, now: Instant, number: u64) {
        self.delivered += 1;
        self.acknowledgements.insert((now + self.way_back, number));
    }

    /// The segments to send at this time.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<u64> {
        if now < self.begin {
            return Vec::new();
        }
        while let Some((at, number)) = self.acknowledgements.first().copied().filter(|(at, _)| *at <= now) {
            self.acknowledgements.remove(&(at, number));
            self.acknowledged(now, number);
        }
        if now >= self.last_progress + RETRANSMISSION_TIMEOUT {
            self.threshold = (self.window * REDUCTION).max(2.0);
            (self.window, self.settled, self.last_progress) = (1.0, self.next, now);
        }
        let room = (self.window as u64).saturating_sub(self.next - self.settled);
        self.next += room;
        (self.next - room..self.next).collect()
    }

    fn acknowledged(&mut self, now: Instant, number: u64) {
        // The path keeps the order, so that what was skipped is lost.
        let is_loss = number > self.settled;
        if number < self.settled {
            return;
        }
        self.settled = number + 1;
        self.last_progress = now;
        if is_loss && number >= self.recovering_to {
            self.before = self.window;
            self.window = (self.window * REDUCTION).max(2.0);
            (self.threshold, self.reduced_at, self.recovering_to) = (self.window, now, self.next);
        } else if self.window < self.threshold {
            self.window += 1.0;
        } else {
            let since = (now - self.reduced_at).as_secs_f64();
            let plateau = (self.before * (1.0 - REDUCTION) / SCALE).cbrt();
            let target = SCALE * (since - plateau).powi(3) + self.before;
            self.window += ((target - self.window) / self.window).clamp(0.01 / self.window, 0.5);
        }
    }
}

/// β and C of the RFC.
const REDUCTION: f64 = 0.7;
const SCALE: f64 = 0.4;
const RETRANSMISSION_TIMEOUT: Duration = Duration::from_secs(1);
