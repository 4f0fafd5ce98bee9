//! A worker's load: measured by the worker, read by placement and admission.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The load that a worker published, and the transports being created on it.
#[derive(Debug)]
pub(crate) struct Load {
    origin: Instant,
    /// The number of transports.
    transports: AtomicUsize,
    /// Transports being created.
    reserved: AtomicUsize,
    /// Busy time in the last window, in thousandths of the worker's time.
    busy: AtomicU32,
    /// The largest number of messages (datagrams, commands, relays) that waited for one turn in the last
    /// window.
    queue_depth: AtomicU32,
    /// When the last window ended, in milliseconds since the origin.
    measured_at: AtomicU64,
}

/// Counts a transport that is being created, until the reservation is dropped. Drop it after the worker has
/// counted the transport itself.
pub(crate) struct Reservation<'a>(&'a Load);

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            transports: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            busy: AtomicU32::new(0),
            queue_depth: AtomicU32::new(0),
            measured_at: AtomicU64::new(0),
        }
    }

    pub(crate) fn reserve(&self) -> Reservation<'_> {
        self.reserved.fetch_add(1, Ordering::Relaxed);
        Reservation(self)
    }

    pub(crate) fn transports(&self) -> usize {
        self.transports.load(Ordering::Relaxed) + self.reserved.load(Ordering::Relaxed)
    }

    /// The share of time that the worker was not waiting, 0 to 1. 0 if the worker has not published for a
    /// while, because then it sleeps.
    pub(crate) fn busy(&self) -> f64 {
        self.recent(&self.busy) / 1_000.0
    }

    pub(crate) fn queue_depth(&self) -> u32 {
        self.recent(&self.queue_depth) as u32
    }

    fn recent(&self, figure: &AtomicU32) -> f64 {
        let measured_at = Duration::from_millis(self.measured_at.load(Ordering::Relaxed));
        let is_recent = self.origin.elapsed().saturating_sub(measured_at) < FORGOTTEN_AFTER;
        if is_recent { f64::from(figure.load(Ordering::Relaxed)) } else { 0.0 }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The worker's side: measures one window after another.
#[derive(Debug)]
pub(crate) struct Meter {
    window_start: Instant,
    idle: Duration,
    queue_depth: usize,
}

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self { window_start: now, idle: Duration::ZERO, queue_depth: 0 }
    }

    /// Notes how long the worker waited for something to do.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.idle += time;
    }

    /// Notes how many messages waited at the start of a turn.
    pub(crate) fn found(&mut self, messages: usize) {
        self.queue_depth = self.queue_depth.max(messages);
    }

    /// At the end of a window, publishes the load and returns the share of time that was busy, 0 to 1.
    pub(crate) fn publish(&mut self, now: Instant, transports: usize, load: &Load) -> Option<f64> {
        load.transports.store(transports, Ordering::Relaxed);
        let window = now.saturating_duration_since(self.window_start);
        if window < WINDOW {
            return None;
        }
        let busy = 1.0 - (self.idle.as_secs_f64() / window.as_secs_f64()).min(1.0);
        load.busy.store((busy * 1_000.0) as u32, Ordering::Relaxed);
        load.queue_depth.store(self.queue_depth as u32, Ordering::Relaxed);
        let since_origin = now.saturating_duration_since(load.origin).as_millis() as u64;
        load.measured_at.store(since_origin, Ordering::Relaxed);
        *self = Self::new(now);
        Some(busy)
    }
}

/// Covers several video frames, and is short enough that placement sees the effect of the last join.
const WINDOW: Duration = Duration::from_millis(250);
/// A load older than this counts as 0: a sleeping worker measures nothing.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_time_that_was_not_waited_is_told_once_a_window() {
        let load = Load::new();
        let start = load.origin;
        let mut meter = Meter::new(start);
        meter.waited(WINDOW / 4);
        meter.found(7);
        meter.found(3);
        assert_eq!(meter.publish(start + WINDOW / 2, 2, &load), None);
        assert_eq!((load.transports(), load.busy()), (2, 0.0));
        assert_eq!(meter.publish(start + WINDOW, 3, &load), Some(0.75));
        assert_eq!((load.transports(), load.busy(), load.queue_depth()), (3, 0.75, 7));
    }

    #[test]
    fn a_transport_counts_from_its_reservation_on() {
        let load = Load::new();
        let reservation = load.reserve();
        assert_eq!(load.transports(), 1);
        drop(reservation);
        assert_eq!(load.transports(), 0);
    }
}
