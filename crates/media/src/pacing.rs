//! Spreads bursts to one receiver over time, without delaying what is no burst.
//!
//! A packet that [`Pace`] has room for is sent at once. Others wait in [`Lanes`], whose packets leave in runs
//! of what was earned meanwhile. What does not fit is left out before it gets a sequence number, whole pictures at a time.
//! Audio never waits: send it at once, and [`Pace::spend`] its bytes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A bucket of bits that is filled at the pacing rate. Refill it once per turn.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Bit/s.
    rate: u64,
    /// What may be sent, in millionths of a bit; negative after a run that was larger.
    room: i64,
    at: Instant,
}

/// The order in which waiting packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Retransmissions. Those that waited for [`MAX_REPAIR_WAIT`] are too late.
    Repair,
    Video,
    Probe,
}

/// A packet that is to be sent. `T` is how the caller knows it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<T> {
    pub item: T,
    /// Its SSRC: packets with the same one stay in order.
    pub flow: u32,
    /// Bytes of UDP payload.
    pub size: u16,
    /// It is the first packet of a picture, or a picture of its own as a retransmission is.
    pub first: bool,
    /// It belongs to a key picture.
    pub key: bool,
}

/// What happens to an offered packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Send,
    Queued,
    /// The lane is full: the picture is left out, from its first packet on. Nothing was numbered yet.
    LeftOut,
    /// A picture that was begun has more packets than may wait. This one is dropped.
    Overflow,
}

/// How a waiting packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Send,
    /// A key frame came after it: padding takes its number.
    Fill,
    /// A retransmission that is too late.
    Drop,
}

/// The waiting packets of one receiver.
#[derive(Debug)]
pub struct Lanes<T> {
    lanes: [VecDeque<Held<T>>; 3],
    /// Flows with waiting packets, and their number.
    flows: Vec<(u32, u32)>,
    /// Flows whose picture is being left out.
    leaving: Vec<u32>,
    bytes: u64,
    released: Option<Instant>,
}

#[derive(Debug)]
struct Held<T> {
    packet: Packet<T>,
    since: Instant,
    superseded: bool,
}

impl Pace {
    /// Begins with a full bucket and the lowest rate.
    pub fn new(now: Instant) -> Self {
        Self { rate: MIN_RATE, room: capacity(MIN_RATE), at: now }
    }

    /// Sets the rate: 1.5 times the estimate, or 1.2 times what is granted; 2.5 times the estimate while
    /// [`Lanes::is_late`]. In bit/s.
    pub fn set_rate(&mut self, estimate: u64, granted: u64, late: bool) {
        let estimate = estimate.min(MAX_RATE);
        let spread = if late { estimate * 5 / 2 } else { estimate * 3 / 2 };
        self.rate = spread.max(granted.min(MAX_RATE) * 6 / 5).max(MIN_RATE);
        self.room = self.room.min(capacity(self.rate));
    }

    /// Bit/s.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Adds what was earned until `now`.
    pub fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).min(MAX_IDLE).as_micros() as u64;
        self.at = self.at.max(now);
        self.room = self.room.saturating_add((self.rate * elapsed) as i64).min(capacity(self.rate));
    }

    /// Whether a packet of `bytes` may be sent at once.
    pub fn has_room(&self, bytes: u16) -> bool {
        self.room >= cost(bytes)
    }

    /// A packet is sent.
    pub fn spend(&mut self, bytes: u16) {
        self.room = self.room.saturating_sub(cost(bytes));
    }

    /// When the bucket is not overdrawn any more.
    fn recovers_at(&self) -> Instant {
        let missing = self.room.min(0).unsigned_abs();
        self.at + Duration::from_micros(missing.div_ceil(self.rate))
    }
}

impl<T: Copy> Default for Lanes<T> {
    fn default() -> Self {
        let lanes = [const { VecDeque::new() }; 3];
        Self { lanes, flows: Vec::new(), leaving: Vec::new(), bytes: 0, released: None }
    }
}

impl<T: Copy> Lanes<T> {
    /// Offers a packet, before it is numbered. [`Admission::Send`] has spent its bytes.
    pub fn offer(&mut self, lane: Lane, packet: Packet<T>, pace: &mut Pace, now: Instant) -> Admission {
        if packet.first {
            self.leaving.retain(|&flow| flow != packet.flow);
        } else if self.leaving.contains(&packet.flow) {
            return Admission::LeftOut;
        }
        if !self.holds(packet.flow) && pace.has_room(packet.size) {
            pace.spend(packet.size);
            return Admission::Send;
        }
        let limit = pace.rate * MAX_WAIT.as_millis() as u64 / 8_000;
        if packet.first && (self.bytes + u64::from(packet.size) > limit || self.len() >= MAX_PACKETS) {
            self.leaving.push(packet.flow);
            return Admission::LeftOut;
        }
        if self.len() >= MAX_BEGUN {
            return Admission::Overflow;
        }
        if packet.first && packet.key {
            self.supersede(packet.flow);
        }
        self.push(lane, packet, now);
        Admission::Queued
    }

    /// Hands out the packets of one run, if it is time for one.
    pub fn release(&mut self, pace: &mut Pace, now: Instant, mut leave: impl FnMut(T, Exit)) {
        if self.next_release(pace).is_none_or(|at| at > now) {
            return;
        }
        self.released = Some(now);
        let (mut bytes, mut packets) = (0, 0);
        while (bytes < MIN_RUN || pace.room > 0) && bytes < MAX_RUN && packets < MAX_SEGMENTS {
            let Some((lane, held)) = self.pop() else { break };
            let waited = now.saturating_duration_since(held.since);
            if lane == Lane::Repair && waited >= MAX_REPAIR_WAIT {
                leave(held.packet.item, Exit::Drop);
                continue;
            }
            let size = held.size();
            pace.spend(size);
            (bytes, packets) = (bytes + u64::from(size), packets + 1);
            leave(held.packet.item, if held.superseded { Exit::Fill } else { Exit::Send });
        }
    }

    /// When [`Self::release`] hands out the next run; `None` if nothing waits.
    pub fn next_release(&self, pace: &Pace) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let spaced = self.released.map(|at| at + RUN_SPACING);
        Some(spaced.map_or(pace.recovers_at(), |at| at.max(pace.recovers_at())))
    }

    /// Whether a key frame has waited for so long that it should leave faster.
    pub fn is_late(&self, now: Instant) -> bool {
        let key = self.lanes[Lane::Video as usize].iter().find(|held| held.packet.key);
        key.is_some_and(|held| now.saturating_duration_since(held.since) > LATE)
    }

    /// Forgets the packets of a flow that has ended. Returns how many they were.
    pub fn forget(&mut self, flow: u32) -> usize {
        let before = self.len();
        for lane in &mut self.lanes {
            lane.retain(|held| held.packet.flow != flow);
        }
        self.flows.retain(|&(of, _)| of != flow);
        self.leaving.retain(|&of| of != flow);
        self.bytes = self.lanes.iter().flatten().map(|held| u64::from(held.size())).sum();
        before - self.len()
    }

    pub fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    fn holds(&self, flow: u32) -> bool {
        self.flows.iter().any(|&(of, _)| of == flow)
    }

    /// A key frame of the flow begins: no receiver needs its pictures that still wait.
    fn supersede(&mut self, flow: u32) {
        for held in self.lanes[Lane::Video as usize].iter_mut().filter(|held| held.packet.flow == flow) {
            self.bytes -= u64::from(held.size());
            held.superseded = true;
            self.bytes += u64::from(held.size());
        }
    }

    fn push(&mut self, lane: Lane, packet: Packet<T>, since: Instant) {
        match self.flows.iter_mut().find(|(of, _)| *of == packet.flow) {
            Some((_, count)) => *count += 1,
            None => self.flows.push((packet.flow, 1)),
        }
        self.bytes += u64::from(packet.size);
        self.lanes[lane as usize].push_back(Held { packet, since, superseded: false });
    }

    fn pop(&mut self) -> Option<(Lane, Held<T>)> {
        let lane = LANES.into_iter().find(|&lane| !self.lanes[lane as usize].is_empty())?;
        let held = self.lanes[lane as usize].pop_front()?;
        self.bytes -= u64::from(held.size());
        if let Some(place) = self.flows.iter().position(|&(of, _)| of == held.packet.flow) {
            self.flows[place].1 -= 1;
            if self.flows[place].1 == 0 {
                self.flows.swap_remove(place);
            }
        }
        Some((lane, held))
    }
}

impl<T> Held<T> {
    fn size(&self) -> u16 {
        if self.superseded { self.packet.size.min(FILL_SIZE) } else { self.packet.size }
    }
}

fn cost(bytes: u16) -> i64 {
    i64::from(bytes) * 8_000_000
}

/// A burst that passes without delay.
fn capacity(rate: u64) -> i64 {
    (rate * BURST.as_micros() as u64).max(MIN_BURST * 8_000_000) as i64
}

const LANES: [Lane; 3] = [Lane::Repair, Lane::Video, Lane::Probe];
/// Bit/s.
const MIN_RATE: u64 = 100_000;
/// Bit/s; bounds the arithmetic.
const MAX_RATE: u64 = 10_000_000_000;
/// More than the 5 ms of an arrival group by a tick of transport-wide feedback, so that a receiver's estimator sees two groups.
pub const RUN_SPACING: Duration = Duration::from_micros(5_250);
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
/// Packets with which a further picture is left out.
const MAX_PACKETS: usize = 512;
/// Packets at most, with the rest of pictures that were begun.
const MAX_BEGUN: usize = 2_048;
pub const MAX_REPAIR_WAIT: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_millis(100);
/// Bytes of a padding-only packet, about.
const FILL_SIZE: u16 = 40;
/// A full bucket needs no more.
const MAX_IDLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_pictures_pass_at_once_and_a_key_frame_is_spread() {
        let mut link = Link::new(2_000_000);
        for _ in 0..90 {
            // 2 Mbit/s at 30 pictures a second.
            assert!((0..7).all(|packet| link.offer(packet == 0, false, 1_190) == Admission::Send));
            link.after(33_333);
        }
        let sent = (0..56).filter(|packet| link.offer(*packet == 0, true, 1_190) == Admission::Send).count();
        assert!((10..=12).contains(&sent), "{sent} of a key frame at once");
        let mut runs = Vec::new();
        for _ in 0..40 {
            runs.extend(Some(link.run().len()).filter(|packets| *packets > 0));
            link.after(5_250);
        }
        assert_eq!(runs.iter().sum::<usize>(), 56 - sent);
        assert!(runs.iter().all(|packets| (2..=3).contains(packets)), "{runs:?}");
    }

    #[test]
    fn the_rate_is_kept_whatever_is_offered() {
        for rate in [300_000, 3_000_000, 50_000_000] {
            let mut link = Link::new(rate);
            let mut bytes = 0;
            for _ in 0..10_000 {
                let sent = (0..20).filter(|_| link.offer(true, false, 1_200) == Admission::Send).count();
                bytes += 1_200 * (sent + link.run().len()) as u64;
                link.after(1_000);
            }
            let allowed = link.pace.rate() * 10 / 8;
            let (least, most) = (allowed * 98 / 100, allowed + MIN_BURST.max(allowed / 100) + 2 * MIN_RUN);
            assert!((least..=most).contains(&bytes), "{bytes} bytes of {allowed} at {rate} bit/s");
            assert!(link.lanes.len() <= MAX_PACKETS);
        }
    }

    #[test]
    fn packets_of_a_flow_never_overtake_each_other() {
        let mut link = Link::new(1_000_000);
        let mut order = Vec::new();
        for number in 0..200 {
            for flow in [1, 2] {
                let packet = Packet { item: (flow, number), flow, size: 900, first: true, key: false };
                if link.lanes.offer(Lane::Video, packet, &mut link.pace, link.now) == Admission::Send {
                    order.push((flow, number));
                }
            }
            link.after(3_000);
            order.extend(link.run());
        }
        for flow in [1, 2] {
            let of: Vec<_> =
                order.iter().filter(|(other, _)| *other == flow).map(|(_, number)| number).collect();
            assert!(of.len() > 30 && of.is_sorted(), "{of:?}");
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_is_left_out_whole_and_never_one_that_was_begun() {
        let mut link = Link::new(500_000);
        let mut fates = Vec::new();
        for _ in 0..60 {
            let picture: Vec<_> = (0..5).map(|packet| link.offer(packet == 0, false, 1_000)).collect();
            let left_out = picture.iter().filter(|fate| **fate == Admission::LeftOut).count();
            assert!(left_out == 0 || left_out == 5, "{picture:?}");
            fates.push(left_out);
            link.after(5_250);
            link.run();
        }
        assert!(fates.contains(&5) && fates[30..].contains(&0), "{fates:?}");
    }

    #[test]
    fn a_begun_picture_without_an_end_is_bounded() {
        let mut link = Link::new(500_000);
        let fates: Vec<_> = (0..5_000).map(|packet| link.offer(packet == 0, false, 1_000)).collect();
        assert_eq!(fates.last(), Some(&Admission::Overflow));
        assert_eq!(link.lanes.len(), MAX_BEGUN);
    }

    #[test]
    fn pictures_that_wait_become_padding_when_a_key_frame_comes() {
        let mut link = Link::new(500_000);
        while link.offer(true, false, 1_200) != Admission::Queued {}
        link.offer(true, false, 1_200);
        assert_eq!(link.offer(true, true, 1_200), Admission::Queued);
        let mut exits = Vec::new();
        for _ in 0..40 {
            link.after(5_250);
            link.lanes.release(&mut link.pace, link.now, |_, exit| exits.push(exit));
        }
        assert_eq!(exits, [Exit::Fill, Exit::Fill, Exit::Send]);
        assert_eq!(link.lanes.bytes, 0);
    }

    #[test]
    fn retransmissions_go_first_and_are_dropped_when_they_are_too_late() {
        let mut link = Link::new(500_000);
        while link.offer(true, false, 1_200) == Admission::Send {}
        let repair = |item| Packet { item: (9, item), flow: 9, size: 1_200, first: true, key: false };
        link.lanes.offer(Lane::Repair, repair(1), &mut link.pace, link.now);
        link.after(50_000);
        assert_eq!(link.run().first(), Some(&(9, 1)));
        while link.offer(true, false, 1_200) == Admission::Send {}
        link.lanes.offer(Lane::Repair, repair(2), &mut link.pace, link.now);
        link.after(200_000);
        let mut exits = Vec::new();
        link.lanes.release(&mut link.pace, link.now, |item, exit| exits.push((item, exit)));
        assert_eq!(exits.first(), Some(&((9, 2), Exit::Drop)));
        assert!(exits.len() > 1, "what is dropped takes nobody's place");
    }

    #[test]
    fn a_key_frame_that_waits_for_long_is_late() {
        let mut link = Link::new(500_000);
        while link.offer(true, true, 1_200) == Admission::Send {}
        link.after(100_000);
        assert!(!link.lanes.is_late(link.now));
        link.after(1);
        assert!(link.lanes.is_late(link.now));
        link.pace.set_rate(500_000, 0, true);
        assert_eq!(link.pace.rate(), 1_250_000);
        assert_eq!(link.lanes.forget(1), 1);
        assert!(link.lanes.is_empty() && link.lanes.next_release(&link.pace).is_none());
    }

    #[test]
    fn audio_is_charged_but_does_not_wait() {
        let mut link = Link::new(300_000);
        (0..100).for_each(|_| link.pace.spend(1_200));
        assert!(!link.pace.has_room(1));
        let at = link.pace.recovers_at();
        assert!(at > link.now + Duration::from_secs(1));
        link.now = at;
        link.pace.refill(link.now);
        link.after(1_000);
        assert!(link.pace.has_room(1));
    }

    struct Link {
        now: Instant,
        pace: Pace,
        lanes: Lanes<(u32, u32)>,
    }

    impl Link {
        fn new(estimate: u64) -> Self {
            let now = Instant::now();
            let mut pace = Pace::new(now);
            pace.set_rate(estimate, 0, false);
            pace.refill(now);
            Self { now, pace, lanes: Lanes::default() }
        }

        fn after(&mut self, micros: u64) {
            self.now += Duration::from_micros(micros);
            self.pace.refill(self.now);
        }

        fn offer(&mut self, first: bool, key: bool, size: u16) -> Admission {
            let packet = Packet { item: (1, 0), flow: 1, size, first, key };
            self.lanes.offer(Lane::Video, packet, &mut self.pace, self.now)
        }

        fn run(&mut self) -> Vec<(u32, u32)> {
            let mut run = Vec::new();
            self.lanes.release(&mut self.pace, self.now, |item, _| run.push(item));
            run
        }
    }
}
