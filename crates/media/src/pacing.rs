//! Spreads bursts to one receiver over time, without delaying what is no burst.
//!
//! A [`Pacer`] is a bucket that fills at the pacing rate. While there is something in the bucket, packets are sent at
//! once. Others wait, and leave in runs of what was earned meanwhile. Sound never waits, but its bytes are charged.
//! Before too much waits, [`Pacer::crowding`] tells that less video must be taken: at that point nothing is numbered
//! yet, so that whole pictures can be left out.

use crate::due::{Due, DueKind};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Pacer {
    /// Bit/s.
    rate: u64,
    /// Bit/s of a probe that runs: media fills it before padding does.
    probing: u64,
    /// What may be sent, in millionths of a bit; negative after a packet that was larger.
    room: i64,
    at: Instant,
    repairs: VecDeque<Held>,
    videos: VecDeque<Held>,
    /// Of what waits.
    bytes: u64,
    released: Option<Instant>,
}

/// A packet that waits.
#[derive(Debug)]
struct Held {
    due: Due,
    since: Instant,
}

/// In which line a packet waits. Repairs leave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Repair,
    Video,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Crowding {
    None,
    /// Only the lowest frame rates should be taken.
    Crowded,
    /// No further picture should be taken.
    Full,
}

impl Pacer {
    /// Begins with a full bucket and without a limit, until [`Self::set_rate`] sets one.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            rate: MAX_RATE,
            probing: 0,
            room: capacity(MAX_RATE),
            at: now,
            repairs: VecDeque::new(),
            videos: VecDeque::new(),
            bytes: 0,
            released: None,
        }
    }

    /// Sets the rate for an estimate and what is granted of it, both in bit/s; `None` for no limit.
    pub(crate) fn set_rate(&mut self, of: Option<(u64, u64)>) {
        let rate = |(estimate, granted): (u64, u64)| {
            estimate.max(granted.min(MAX_RATE) * GRANTED_PERCENT / 100).clamp(MIN_RATE, MAX_RATE)
        };
        self.rate = of.map_or(MAX_RATE, rate);
        self.room = self.room.min(capacity(self.rate));
    }

    /// Sets the rate of a probe that begins, or 0 when it ended.
    pub(crate) fn set_probing(&mut self, rate: u64) {
        self.probing = rate.min(MAX_RATE);
    }

    /// Adds what was earned until `now`.
    pub(crate) fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).min(MAX_IDLE).as_micros() as u64;
        self.at = self.at.max(now);
        let rate = self.present_rate();
        self.room = self.room.saturating_add((rate * elapsed) as i64).min(capacity(rate));
    }

    /// Whether a packet may leave without waiting. [`Self::refill`] first.
    pub(crate) fn admits(&self, lane: Lane) -> bool {
        self.room > 0 && (lane == Lane::Video || self.repairs.is_empty())
    }

    /// A packet leaves.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(cost(bytes as u64));
    }

    /// Keeps a packet; false if too many wait already.
    pub(crate) fn hold(&mut self, due: Due, lane: Lane, now: Instant) -> bool {
        if self.len() >= MAX_BEGUN {
            return false;
        }
        self.bytes += bytes_of(&due);
        let lane = match lane {
            Lane::Repair => &mut self.repairs,
            Lane::Video => &mut self.videos,
        };
        lane.push_back(Held { due: Due { paced: true, ..due }, since: now });
        true
    }

    pub(crate) fn crowding(&self) -> Crowding {
        let limit = self.rate * MAX_WAIT.as_millis() as u64 / 8_000;
        if self.bytes > limit || self.len() >= MAX_PACKETS {
            Crowding::Full
        } else if self.bytes > limit / 2 {
            Crowding::Crowded
        } else {
            Crowding::None
        }
    }

    /// Hands out the packets of one run, if it is time for one; [`Self::spend`] their bytes. Returns how many repairs
    /// came too late and were dropped.
    pub(crate) fn release(&mut self, now: Instant, mut leave: impl FnMut(Due)) -> u64 {
        self.refill(now);
        let mut late = 0;
        if self.next_release().is_none_or(|at| at > now) {
            return late;
        }
        self.released = Some(now);
        let (mut bytes, mut packets) = (0, 0);
        while (bytes < MIN_RUN || self.room > cost(bytes)) && bytes < MAX_RUN && packets < MAX_SEGMENTS {
            let (lane, held) = match (self.repairs.pop_front(), &mut self.videos) {
                (Some(held), _) => (Lane::Repair, held),
                (None, videos) => match videos.pop_front() {
                    Some(held) => (Lane::Video, held),
                    None => break,
                },
            };
            let size = bytes_of(&held.due);
            self.bytes -= size;
            if lane == Lane::Repair && now.saturating_duration_since(held.since) >= MAX_REPAIR_WAIT {
                late += 1;
                continue;
            }
            (bytes, packets) = (bytes + size, packets + 1);
            leave(held.due);
        }
        late
    }

    /// When [`Self::release`] hands out the next run; `None` if nothing waits.
    pub(crate) fn next_release(&self) -> Option<Instant> {
        if self.len() == 0 {
            return None;
        }
        let missing = self.room.min(0).unsigned_abs();
        let recovers = self.at + Duration::from_micros(missing.div_ceil(self.present_rate()));
        Some(self.released.map_or(recovers, |at| recovers.max(at + RUN_SPACING)))
    }

    /// Drops all that waits. Returns how much it was.
    pub(crate) fn clear(&mut self) -> usize {
        let waiting = self.len();
        self.repairs.clear();
        self.videos.clear();
        self.bytes = 0;
        waiting
    }

    fn len(&self) -> usize {
        self.repairs.len() + self.videos.len()
    }

    fn present_rate(&self) -> u64 {
        self.rate.max(self.probing)
    }
}

/// About as much as the packet will take: that of a retransmission is not known before it is written.
fn bytes_of(due: &Due) -> u64 {
    match due.kind {
        DueKind::Media => due.size.into(),
        DueKind::Again => FULL_BYTES,
        DueKind::Fill | DueKind::FillAgain | DueKind::Probe => FILL_BYTES,
    }
}

fn cost(bytes: u64) -> i64 {
    (bytes * 8_000_000) as i64
}

/// A burst that passes without delay.
fn capacity(rate: u64) -> i64 {
    (rate * BURST.as_micros() as u64).max(MIN_BURST * 8_000_000) as i64
}

/// Bit/s.
const MIN_RATE: u64 = 100_000;
/// Bit/s; bounds the arithmetic.
const MAX_RATE: u64 = 10_000_000_000;
/// Of what is granted.
const GRANTED_PERCENT: u64 = 120;
/// More than the 5 ms of an arrival group by a tick of transport-wide feedback, so that estimators see two groups.
const RUN_SPACING: Duration = Duration::from_micros(5_250);
const BURST: Duration = Duration::from_millis(40);
/// Bytes.
const MIN_BURST: u64 = 12_000;
/// Bytes: two full packets.
const MIN_RUN: u64 = 2_400;
/// Bytes, less one packet, and packets that one system call sends.
const MAX_RUN: u64 = 63_500;
const MAX_SEGMENTS: usize = 64;
/// At the pacing rate.
const MAX_WAIT: Duration = Duration::from_millis(250);
/// Packets with which no further picture is taken.
const MAX_PACKETS: usize = 512;
/// Packets at most, with the rest of pictures that were begun.
const MAX_BEGUN: usize = 2_048;
const MAX_REPAIR_WAIT: Duration = Duration::from_millis(200);
const FULL_BYTES: u64 = 1_200;
const FILL_BYTES: u64 = 40;
/// A full bucket needs no more.
const MAX_IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ConsumerKey;

    #[test]
    fn ordinary_pictures_pass_at_once_and_a_key_frame_is_spread() {
        let mut link = Link::new(2_000_000);
        for _ in 0..90 {
            // 2 Mbit/s at 30 pictures a second.
            assert_eq!(link.offer(7, 1_190), 7);
            link.after(33_333);
        }
        let sent = link.offer(56, 1_190);
        assert!((11..=14).contains(&sent), "{sent} of a key frame at once");
        let mut runs = Vec::new();
        for _ in 0..40 {
            runs.extend(Some(link.run().len()).filter(|packets| *packets > 0));
            link.after(5_250);
        }
        assert_eq!(runs.iter().sum::<usize>(), 56 - sent);
        assert!(runs.iter().all(|packets| (1..=3).contains(packets)), "{runs:?}");
    }

    #[test]
    fn the_rate_is_kept_whatever_is_offered() {
        for estimate in [300_000, 3_000_000, 50_000_000] {
            let mut link = Link::new(estimate);
            let mut bytes = 0;
            for _ in 0..10_000 {
                let offered = if link.pacer.crowding() < Crowding::Full { 20 } else { 0 };
                let sent = link.offer(offered, 1_200);
                bytes += 1_200 * (sent + link.run().len()) as u64;
                link.after(1_000);
            }
            let allowed = estimate * 10 / 8;
            let most = allowed + MIN_BURST.max(allowed / 20) + 2 * MIN_RUN;
            assert!((allowed * 95 / 100..=most).contains(&bytes), "{bytes} bytes of {allowed}");
        }
    }

    #[test]
    fn packets_leave_in_the_order_in_which_they_came() {
        let mut link = Link::new(1_000_000);
        let sent = link.offer(40, 900);
        let mut order = Vec::new();
        for _ in 0..100 {
            link.after(5_250);
            order.extend(link.run());
        }
        assert_eq!(order, (sent as u32..40).collect::<Vec<_>>());
        assert_eq!((link.pacer.bytes, link.pacer.next_release()), (0, None));
    }

    #[test]
    fn pictures_are_thinned_and_then_left_out_before_more_than_a_quarter_second_waits() {
        let mut link = Link::new(500_000);
        let mut seen = Vec::new();
        for _ in 0..30 {
            link.offer(1, 1_200);
            seen.push(link.pacer.crowding());
        }
        assert!(seen.is_sorted(), "{seen:?}");
        let waiting = |crowding| seen.iter().filter(|at| **at <= crowding).count() * 1_200;
        // 12 000 bytes are sent at once; a quarter of a second at 500 kbit/s are 15 600.
        assert!((18_000..22_500).contains(&waiting(Crowding::None)), "{}", waiting(Crowding::None));
        assert!((26_000..30_500).contains(&waiting(Crowding::Crowded)), "{}", waiting(Crowding::Crowded));
    }

    #[test]
    fn a_begun_picture_without_an_end_is_bounded() {
        let mut link = Link::new(500_000);
        link.offer(5_000, 1_000);
        assert_eq!(link.pacer.len(), MAX_BEGUN);
        assert_eq!(link.pacer.clear(), MAX_BEGUN);
        assert_eq!(link.pacer.crowding(), Crowding::None);
    }

    #[test]
    fn retransmissions_go_first_and_are_dropped_when_they_are_too_late() {
        let mut link = Link::new(500_000);
        link.offer(30, 1_200);
        link.pacer.hold(due(1_000, 1_200), Lane::Repair, link.now);
        assert!(!link.pacer.admits(Lane::Repair), "one waits already");
        link.after(60_000);
        assert_eq!(link.run().first(), Some(&1_000));
        link.pacer.hold(due(1_001, 1_200), Lane::Repair, link.now);
        link.after(200_000);
        let mut left = 0;
        assert_eq!(link.pacer.release(link.now, |_| left += 1), 1);
        assert!(left > 0, "what is dropped takes nobody's place");
    }

    #[test]
    fn a_probe_takes_what_waits() {
        let leaves = |probing: u64| {
            let mut link = Link::new(500_000);
            link.offer(40, 1_200);
            link.pacer.set_probing(probing);
            (0..20).map(|_| (link.after(5_250), link.run().len()).1).sum::<usize>()
        };
        assert!(leaves(3_000_000) > 2 * leaves(0));
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut link = Link::new(500_000);
        link.pacer.set_rate(None);
        link.after(1_000);
        assert_eq!(link.offer(1_000, 1_200), 1_000);
    }

    struct Link {
        pacer: Pacer,
        now: Instant,
        next: u32,
    }

    impl Link {
        fn new(estimate: u64) -> Self {
            let now = Instant::now();
            let mut pacer = Pacer::new(now);
            pacer.set_rate(Some((estimate, 0)));
            Self { pacer, now, next: 0 }
        }

        /// Offers packets of one consumer. Returns how many leave at once.
        fn offer(&mut self, packets: usize, size: u16) -> usize {
            self.pacer.refill(self.now);
            let mut sent = 0;
            for _ in 0..packets {
                let number = self.next;
                self.next += 1;
                if self.pacer.videos.is_empty() && self.pacer.admits(Lane::Video) {
                    self.pacer.spend(size.into());
                    sent += 1;
                } else {
                    self.pacer.hold(due(number, size), Lane::Video, self.now);
                }
            }
            sent
        }

        fn run(&mut self) -> Vec<u32> {
            let mut left = Vec::new();
            self.pacer.release(self.now, |due| left.push(due));
            left.iter().for_each(|due| self.pacer.spend(due.size.into()));
            left.iter().map(|due| due.outgoing).collect()
        }

        fn after(&mut self, micros: u64) {
            self.now += Duration::from_micros(micros);
        }
    }

    fn due(outgoing: u32, size: u16) -> Due {
        Due::new(ConsumerKey::default(), outgoing, size, DueKind::Media)
    }
}
