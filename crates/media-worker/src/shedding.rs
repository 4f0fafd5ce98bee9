//! Decides when a worker leaves out video: when it is saturated and a standing queue of input builds up.

use std::time::{Duration, Instant};
use switchyard_media::Shed;

/// Decides once per window from the queueing delay of the window's rounds. A round lasts until everything
/// that was read has been sent; input that arrives meanwhile waits in the queues. The caller passes the time,
/// so that tests can simulate it.
#[derive(Debug)]
pub(crate) struct Shedding {
    shed: Shed,
    /// The longest time that any input read in this round had waited.
    round: Duration,
    /// When the last round ended: everything read was sent.
    all_sent: Instant,
    /// The smallest `round` of all rounds that ended in the window. A burst delays some rounds; a standing
    /// queue delays every round.
    standing: Option<Duration>,
    /// The value of `standing` at the end of the last window.
    stood: Duration,
    /// Consecutive windows with a standing queue of at least [`LATE`].
    late_windows: u32,
    /// The kernel's drop count at the end of the last window, if that window was saturated.
    dropped: Option<u64>,
    /// When the last step was taken, in either direction.
    unrest: Instant,
    /// Start of the unbroken series of windows with room to spare.
    roomy: Option<Instant>,
    /// How long windows must have had room before a step back. Doubled after a step back that was too early.
    patience: Duration,
    /// The last step was a step back.
    stepped_back: bool,
}

/// The verdict on a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Roomy,
    Full,
    /// Overload: leave out this many steps more.
    TooMuch(i8),
}

impl Shedding {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            shed: Shed::NONE,
            round: Duration::ZERO,
            all_sent: now,
            standing: None,
            stood: Duration::ZERO,
            late_windows: 0,
            dropped: None,
            unrest: now,
            roomy: None,
            patience: MIN_PATIENCE,
            stepped_back: false,
        }
    }

    pub(crate) fn shed(&self) -> Shed {
        self.shed
    }

    /// Notes how long an input had waited when it was read.
    pub(crate) fn found(&mut self, waited: Duration) {
        self.round = self.round.max(waited);
    }

    /// Ends a round: everything that was read has been sent. A round that read nothing counts as no delay.
    pub(crate) fn end_round(&mut self, now: Instant) {
        let round = std::mem::take(&mut self.round);
        self.standing = Some(self.standing.map_or(round, |least| least.min(round)));
        self.all_sent = now;
    }

    /// Decides at the end of a window; returns the new shed if it changed. `busy` is the share of the window
    /// that was not idle, 0 to 1. `dropped` returns how many datagrams the kernel has dropped because of full
    /// receive buffers; it is called only for a saturated window.
    pub(crate) fn decide(&mut self, now: Instant, busy: f64, dropped: impl FnOnce() -> u64) -> Option<Shed> {
        let before = self.shed;
        match self.judge(now, busy, dropped) {
            Window::TooMuch(_) if std::mem::take(&mut self.stepped_back) => {
                // The step back was too early: the previous shed was needed. Return to it and see whether it
                // is enough again.
                self.patience = (self.patience * 2).min(MAX_PATIENCE);
                self.late_windows = 0;
                self.step(now, 1);
            }
            Window::TooMuch(steps) => self.step(now, steps),
            Window::Full => {
                self.roomy = None;
                self.step_back_after(MAX_PATIENCE, self.unrest, now);
            }
            Window::Roomy => {
                let since = *self.roomy.get_or_insert(now);
                self.step_back_after(self.patience, since, now);
            }
        }
        (self.shed != before).then_some(self.shed)
    }

    fn step_back_after(&mut self, rest: Duration, since: Instant, now: Instant) {
        if self.shed != Shed::NONE && now.saturating_duration_since(since) >= rest {
            if std::mem::replace(&mut self.stepped_back, true) {
                self.patience = (self.patience / 2).max(MIN_PATIENCE);
            }
            self.step(now, -1);
        }
    }

    fn step(&mut self, now: Instant, steps: i8) {
        self.shed = self.shed.moved(steps);
        (self.unrest, self.roomy) = (now, None);
    }

    fn judge(&mut self, now: Instant, busy: f64, dropped: impl FnOnce() -> u64) -> Window {
        let standing = match self.standing.take() {
            Some(standing) => standing,
            // No round ended and no time was idle: the next input may have waited since the last round ended.
            None if busy >= SATURATED => now.saturating_duration_since(self.all_sent),
            None => Duration::ZERO,
        };
        let stood = std::mem::replace(&mut self.stood, standing);
        self.late_windows = if standing >= LATE { self.late_windows + 1 } else { 0 };
        let total = (busy >= SATURATED).then(dropped);
        let before = std::mem::replace(&mut self.dropped, total);
        let drops = total.zip(before).is_some_and(|(total, before)| total > before);
        let on_trial = self.stepped_back && now.saturating_duration_since(self.unrest) <= TRIAL;
        let stands = self.late_windows >= if on_trial { 1 } else { LATE_WINDOWS };
        if drops || (stands && standing >= VERY_LATE && standing >= stood) {
            Window::TooMuch(BIG_STEP)
        } else if stands && standing >= stood * 4 / 5 {
            Window::TooMuch(1)
        } else if standing < LATE && busy < ROOMY {
            Window::Roomy
        } else {
            // The present shed may be enough: wait whether the queue becomes shorter.
            Window::Full
        }
    }
}

/// A standing queue of this delay uses a third of the one-way delay that a conversation allows, 150 ms (ITU-T
/// G.114).
const LATE: Duration = Duration::from_millis(50);
/// One late window may be a hiccup of the machine.
const LATE_WINDOWS: u32 = 2;
/// For this time after a step back, one late window suffices: probably the step was too early.
const TRIAL: Duration = Duration::from_secs(2);
/// A delay that every participant notices.
const VERY_LATE: Duration = Duration::from_millis(200);
const BIG_STEP: i8 = 4;
/// Share of busy time from which a worker counts as saturated.
const SATURATED: f64 = 0.97;
/// Share of busy time below which there is room for the video of one step.
const ROOMY: f64 = 0.75;
/// Four windows of 250 ms.
const MIN_PATIENCE: Duration = Duration::from_secs(1);
/// After this long without a step, a step back is tried even if windows had no room.
const MAX_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn a_worker_with_time_to_spare_sheds_nothing_whatever_bursts_come() {
        let mut shedding = Shedding::new(Instant::now());
        let start = shedding.unrest;
        for window in 1..1_000 {
            for turn in 0..20 {
                shedding.found(Duration::from_millis(if turn % 2 == 0 { 300 } else { 3 }));
                shedding.end_round(start + window * WINDOW);
            }
            assert_eq!(shedding.decide(start + window * WINDOW, 0.96, || 0), None);
        }
    }

    #[test]
    fn a_hiccup_sheds_nothing() {
        let mut shedding = Shedding::new(Instant::now());
        let start = shedding.unrest;
        for window in 1..100 {
            shedding.found(Duration::from_millis(if window % 2 == 0 { 800 } else { 0 }));
            shedding.end_round(start + window * WINDOW);
            assert_eq!(shedding.decide(start + window * WINDOW, 1.0, || 0), None);
        }
    }

    #[test]
    fn a_hiccup_long_after_too_much_sheds_nothing_either() {
        let mut worker = Simulated::new(3.0);
        worker.run(Duration::from_secs(3));
        worker.demand = 0.4;
        worker.run(Duration::from_secs(60));
        worker.end_window();
        let Simulated { mut shedding, now, .. } = worker;
        assert_eq!(shedding.shed(), Shed::NONE);
        shedding.found(Duration::from_millis(800));
        shedding.end_round(now);
        assert_eq!(shedding.decide(now, 1.0, || 0), None);
    }

    #[test]
    fn what_the_kernel_dropped_before_the_worker_was_saturated_is_not_held_against_it() {
        let mut shedding = Shedding::new(Instant::now());
        let start = shedding.unrest;
        let mut decide = |window, busy, dropped| {
            shedding.end_round(start + window * WINDOW);
            shedding.decide(start + window * WINDOW, busy, || dropped)
        };
        assert_eq!(decide(1, 0.5, 0), None);
        assert_eq!(decide(2, 1.0, 70), None);
        assert_eq!(decide(3, 1.0, 70), None);
        assert_eq!(decide(4, 1.0, 71), Some(Shed::NONE.moved(BIG_STEP)));
    }

    #[test]
    fn too_much_is_shed_within_seconds_and_all_is_back_soon_after() {
        // At 8 times the possible work, audio alone nearly fills the worker, so the backlog shrinks slowly.
        let usual = [1.05, 1.3, 2.0, 4.0, 6.0].map(|demand| (demand, 4, 1_000));
        for (demand, seconds, most_behind) in usual.into_iter().chain([(8.0, 8, 1_100)]) {
            let mut worker = Simulated::new(demand);
            worker.run(Duration::from_secs(seconds));
            let worst = std::mem::take(&mut worker.worst);
            assert!(worst < Duration::from_millis(most_behind), "{demand}: {worst:?} behind");
            worker.run(Duration::from_secs(1));
            assert!(worker.worst < LATE, "{demand}: still {:?} behind", worker.worst);
            assert!(worker.load() <= 1.0, "{demand}: still {}", worker.load());
            worker.demand = 0.4;
            worker.run(Duration::from_secs(40));
            assert_eq!(worker.shedding.shed(), Shed::NONE, "{demand}");
        }
    }

    #[test]
    fn under_lasting_overload_it_settles() {
        for percent in (105..400).step_by(5) {
            let mut worker = Simulated::new(f64::from(percent) / 100.0);
            worker.run(Duration::from_secs(60));
            worker.changes.clear();
            worker.run(Duration::from_secs(600));
            let changes = worker.changes.len();
            assert!(changes <= 80, "{percent} %: {changes} changes in ten minutes");
            assert!(worker.late < 100, "{percent} %: late in {} of 2640 windows", worker.late);
        }
    }

    #[test]
    fn it_never_steps_back_right_after_stepping_up_or_the_other_way_round_every_time() {
        for percent in (105..400).step_by(15) {
            let mut worker = Simulated::new(f64::from(percent) / 100.0);
            worker.run(Duration::from_secs(120));
            for pair in worker.changes.windows(2) {
                let ((before, earlier), (after, later)) = (pair[0], pair[1]);
                if after < before {
                    assert!(later - earlier >= MIN_PATIENCE, "{percent} %: {pair:?}");
                }
            }
        }
    }

    #[test]
    fn half_full_it_still_comes_back_in_time() {
        let mut worker = Simulated::new(3.0);
        worker.run(Duration::from_secs(3));
        // Windows are neither roomy nor late, so a step back is tried every 30 s.
        worker.demand = 0.85;
        worker.run(Duration::from_secs(600));
        assert_eq!(worker.shedding.shed(), Shed::NONE);
    }

    /// A simulated worker that gets `demand` times the work it can do. A tenth of the work is audio.
    struct Simulated {
        shedding: Shedding,
        now: Instant,
        demand: f64,
        /// Arrival times of queued input, the oldest first, and the time of the next arrival.
        outside: VecDeque<Instant>,
        next: Instant,
        /// Work that was read and not sent yet.
        unsent: Duration,
        flushes: u32,
        window: Instant,
        idle: Duration,
        changes: Vec<(Shed, Instant)>,
        /// The longest time that the oldest queued input had waited at the end of a window, since the last
        /// reset.
        worst: Duration,
        /// The number of windows at whose end input had waited for [`LATE`] or longer.
        late: usize,
    }

    impl Simulated {
        fn new(demand: f64) -> Self {
            let now = Instant::now();
            Self {
                shedding: Shedding::new(now),
                now,
                demand,
                outside: VecDeque::new(),
                next: now,
                unsent: Duration::ZERO,
                flushes: 0,
                window: now,
                idle: Duration::ZERO,
                changes: Vec::new(),
                worst: Duration::ZERO,
                late: 0,
            }
        }

        /// The share of the worker's time that is needed. The lowest layers are an eighth of all video.
        fn load(&self) -> f64 {
            let steps = f64::from(self.shedding.shed().steps());
            let whole = (8.0 - steps).max(0.0) / 8.0;
            let lowest = steps.min(8.0) / 8.0 - (steps - 8.0).max(0.0) / 8.0;
            self.demand * (0.1 + 0.9 * (whole + lowest / 8.0))
        }

        fn run(&mut self, duration: Duration) {
            let end = self.now + duration;
            while self.now < end {
                self.turn();
                if self.now - self.window >= WINDOW {
                    self.end_window();
                }
            }
        }

        /// One turn, as the worker does it: after some flushes, input stays in the queues until everything is
        /// sent.
        fn turn(&mut self) {
            while self.next <= self.now {
                self.outside.push_back(self.next);
                self.next += FRAME;
            }
            if self.flushes < 8 {
                for at in std::mem::take(&mut self.outside) {
                    self.shedding.found(self.now - at);
                    self.unsent += FRAME.mul_f64(self.load());
                }
            }
            if self.unsent.is_zero() {
                self.idle += self.next - self.now;
                self.now = self.next;
            }
            let flush = self.unsent.min(FLUSH);
            self.now += flush;
            self.unsent -= flush;
            self.flushes += 1;
            if self.unsent.is_zero() {
                self.flushes = 0;
                self.shedding.end_round(self.now);
            }
        }

        fn end_window(&mut self) {
            let waited = self.outside.front().map_or(Duration::ZERO, |&at| self.now - at);
            self.worst = self.worst.max(waited);
            self.late += usize::from(waited >= LATE);
            let busy = 1.0 - self.idle.div_duration_f64(self.now - self.window);
            (self.window, self.idle) = (self.now, Duration::ZERO);
            let load = self.load();
            if let Some(shed) = self.shedding.decide(self.now, busy, || 0) {
                self.changes.push((shed, self.now));
                // Video that was read already is left out too.
                self.unsent = self.unsent.mul_f64((self.load() / load).min(1.0));
            }
        }
    }

    const WINDOW: Duration = Duration::from_millis(250);
    const FRAME: Duration = Duration::from_millis(10);
    const FLUSH: Duration = Duration::from_micros(300);
}
