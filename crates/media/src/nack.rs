//! Requests retransmission of packets that did not arrive (generic NACK, RFC 4585 §6.2.1).

use rtcp::transport_feedbacks::transport_layer_nack::NackPair;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The missing packets of one incoming stream, and when to request each.
///
/// A gap is requested at once: all packets of one batch are noted before [`poll`](Self::poll) is called, so
/// reordering inside a batch causes no request, and a needless retransmission costs less than a late picture.
/// Each missing packet is requested once per round trip, at most ten times; then only a key frame helps.
#[derive(Debug, Default)]
pub(crate) struct NackGenerator {
    highest: Option<u64>,
    /// By sequence number, each once.
    missing: VecDeque<Missing>,
    /// When to poll next; not later than the earliest `due` of the missing packets.
    due: Option<Instant>,
    gave_up: bool,
}

#[derive(Debug)]
struct Missing {
    sequence: u64,
    tries: u8,
    asked_at: Instant,
    due: Instant,
}

/// Whether the requested packets can repair the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outlook {
    Repairable,
    /// Packets were given up since the last poll: decoding can continue only from a key frame.
    KeyFrameNeeded,
}

impl NackGenerator {
    /// Notes a received packet by its extended sequence number, original or retransmission.
    ///
    /// If the packet was requested exactly once, returns the time since that NACK. This measures the round
    /// trip, if the packet came as a retransmission and was not just late.
    pub(crate) fn received(&mut self, sequence: u64, now: Instant) -> Option<Duration> {
        let highest = *self.highest.get_or_insert(sequence);
        if sequence > highest {
            self.note_gap(highest, sequence, now);
            self.highest = Some(sequence);
            return None;
        }
        let found = self.missing.binary_search_by_key(&sequence, |missing| missing.sequence).ok()?;
        let missing = self.missing.remove(found)?;
        (missing.tries == 1).then(|| now.saturating_duration_since(missing.asked_at))
    }

    /// Stops asking for packets before this extended sequence number, as when a key frame begins there.
    pub(crate) fn expire_before(&mut self, sequence: u64) {
        let expired = self.missing.partition_point(|missing| missing.sequence < sequence);
        self.missing.drain(..expired);
    }

    /// Appends the requests due to `nacks`, up to [`MAX_PAIRS`] in total. Without `rtt`, 100 ms is assumed.
    pub(crate) fn poll(&mut self, now: Instant, rtt: Option<Duration>, nacks: &mut Vec<NackPair>) -> Outlook {
        if self.due.is_some_and(|due| due <= now) {
            self.give_up(now);
            let retry = rtt.unwrap_or(DEFAULT_RTT).max(MIN_RETRY);
            for missing in self.missing.iter_mut().filter(|missing| missing.due <= now) {
                if !push(nacks, missing.sequence as u16) {
                    break;
                }
                missing.tries += 1;
                missing.asked_at = now;
                missing.due = now + retry;
            }
            self.due = self.missing.iter().map(|missing| missing.due).min();
        }
        if std::mem::take(&mut self.gave_up) { Outlook::KeyFrameNeeded } else { Outlook::Repairable }
    }

    /// When to poll next.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    fn note_gap(&mut self, highest: u64, sequence: u64, now: Instant) {
        let gap = sequence - highest - 1;
        if gap == 0 {
            return;
        }
        if gap > MAX_MISSING - self.missing.len() as u64 {
            self.missing.clear();
            self.gave_up = true;
        } else {
            let missing = |sequence| Missing { sequence, tries: 0, asked_at: now, due: now };
            self.missing.extend((highest + 1..sequence).map(missing));
        }
        self.due = Some(now);
    }

    fn give_up(&mut self, now: Instant) {
        let before = self.missing.len();
        self.missing.retain(|missing| missing.tries < MAX_TRIES || missing.due > now);
        self.gave_up |= self.missing.len() < before;
    }
}

/// Adds a sequence number to the pairs; numbers must be added in order. `false` if there is no room.
fn push(nacks: &mut Vec<NackPair>, sequence: u16) -> bool {
    if let Some(pair) = nacks.last_mut()
        && let distance @ 1..=16 = sequence.wrapping_sub(pair.packet_id)
    {
        pair.lost_packets |= 1 << (distance - 1);
        return true;
    }
    let fits = nacks.len() < MAX_PAIRS;
    if fits {
        nacks.push(NackPair { packet_id: sequence, lost_packets: 0 });
    }
    fits
}

/// Used until a round trip has been measured.
const DEFAULT_RTT: Duration = Duration::from_millis(100);
/// A retransmission waits behind the sender's queue, so a very short round trip would underestimate its
/// delay.
const MIN_RETRY: Duration = Duration::from_millis(40);
const MAX_TRIES: u8 = 10;
/// Packets: about two seconds at 5 Mbit/s. A sender's history does not go back further.
const MAX_MISSING: u64 = 1000;
/// The number of pairs that fit one packet of 1000 bytes.
const MAX_PAIRS: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeMap;

    #[test]
    fn a_gap_is_asked_about_at_once_and_then_every_round_trip() {
        let mut story = Story::new();
        story.receive([10, 11, 14]);
        assert_eq!(story.ask(), [12, 13]);
        story.pass(59);
        assert!(story.ask().is_empty());
        story.receive([12]);
        story.pass(1);
        assert_eq!(story.ask(), [13]);
    }

    #[test]
    fn a_short_round_trip_is_no_reason_to_ask_more_often_than_every_40_ms() {
        let mut story = Story { rtt: Some(Duration::from_millis(3)), ..Story::new() };
        story.receive([1, 3]);
        assert_eq!(story.ask(), [2]);
        story.pass(39);
        assert!(story.ask().is_empty());
        story.pass(1);
        assert_eq!(story.ask(), [2]);
    }

    #[test]
    fn an_unknown_round_trip_counts_as_100_ms() {
        let mut story = Story { rtt: None, ..Story::new() };
        story.receive([1, 3]);
        assert_eq!(story.ask(), [2]);
        assert_eq!(story.nack.next_timeout(), Some(story.now + Duration::from_millis(100)));
    }

    #[test]
    fn reordering_within_a_batch_asks_for_nothing() {
        let mut story = Story::new();
        story.receive([1, 4, 3, 2, 5]);
        assert!(story.ask().is_empty());
        assert_eq!(story.nack.next_timeout(), None);
    }

    #[test]
    fn after_ten_tries_a_packet_is_given_up_and_a_key_frame_needed() {
        let mut story = Story::new();
        story.receive([1, 3]);
        for _ in 0..10 {
            assert_eq!(story.poll(), (vec![2], Outlook::Repairable));
            story.pass(60);
        }
        assert_eq!(story.poll(), (vec![], Outlook::KeyFrameNeeded));
        assert_eq!(story.poll(), (vec![], Outlook::Repairable));
        assert_eq!(story.nack.next_timeout(), None);
    }

    #[test]
    fn a_gap_too_large_to_repair_needs_a_key_frame_at_once() {
        let mut story = Story::new();
        story.receive([1, 3, 1004]);
        assert_eq!(story.poll(), (vec![], Outlook::KeyFrameNeeded));
        story.receive([1006]);
        assert_eq!(story.poll(), (vec![1005], Outlook::Repairable));
    }

    #[test]
    fn small_gaps_that_pile_up_are_bounded_too() {
        let mut story = Story::new();
        story.receive((0..=2000).step_by(2));
        assert_eq!(story.nack.missing.len(), 1000);
        story.receive([2002]);
        assert!(story.nack.missing.is_empty());
        assert_eq!(story.poll().1, Outlook::KeyFrameNeeded);
    }

    #[test]
    fn what_does_not_fit_one_packet_is_asked_for_in_the_next() {
        let mut story = Story::new();
        // One in 18, so that no two share a pair.
        story.receive((0..300 * 18).filter(|sequence| sequence % 18 != 9));
        assert_eq!(story.ask().len(), 250);
        assert_eq!(story.nack.next_timeout(), Some(story.now));
        assert_eq!(story.ask().len(), 50);
        assert!(story.ask().is_empty());
    }

    #[test]
    fn a_key_frame_makes_what_came_before_it_unimportant() {
        let mut story = Story::new();
        story.receive([1, 3, 5, 7]);
        story.nack.expire_before(5);
        assert_eq!(story.ask(), [6]);
    }

    #[test]
    fn a_packet_asked_for_once_measures_the_round_trip() {
        let mut story = Story::new();
        story.receive([1, 4]);
        assert_eq!(story.ask(), [2, 3]);
        story.pass(35);
        assert_eq!(story.nack.received(2, story.now), Some(Duration::from_millis(35)));
        assert_eq!(story.nack.received(2, story.now), None);
        story.pass(25);
        assert_eq!(story.ask(), [3]);
        story.pass(10);
        assert_eq!(story.nack.received(3, story.now), None);
    }

    #[test]
    fn sequence_numbers_are_packed_across_the_wrap() {
        let mut pairs = Vec::new();
        for sequence in [0xFFF0_u16, 0xFFFF, 0x0000, 0x0001, 0x0010] {
            assert!(push(&mut pairs, sequence));
        }
        let expected = [(0xFFF0, 0b1100_0000_0000_0000), (0x0001, 0b0100_0000_0000_0000)];
        assert_eq!(
            pairs.iter().map(|pair| (pair.packet_id, pair.lost_packets)).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn at_ten_percent_loss_both_ways_everything_arrives_within_ten_round_trips() {
        const RTT: Duration = Duration::from_millis(60);
        let mut rng = StdRng::seed_from_u64(7);
        let mut story = Story::new();
        let mut on_the_way: BTreeMap<Instant, Vec<u64>> = BTreeMap::new();
        let mut arrived = vec![false; 5_000];
        for step in 0..5_000 + 600 {
            let mut sent = if step < 5_000 { vec![step] } else { vec![] };
            let (asked, outlook) = story.poll();
            assert_eq!(outlook, Outlook::Repairable, "at step {step}");
            sent.extend(asked.into_iter().filter(|_| rng.random_bool(0.9)).map(u64::from));
            // The last packet would not be missed if it were lost.
            sent.retain(|&sequence| sequence == 0 || sequence == 4_999 || rng.random_bool(0.9));
            on_the_way.entry(story.now + RTT).or_default().extend(sent);
            story.pass(1);
            for sequence in on_the_way.remove(&story.now).unwrap_or_default() {
                story.receive([sequence]);
                arrived[sequence as usize] = true;
            }
        }
        assert!(arrived.iter().all(|&arrived| arrived));
        assert!(story.nack.missing.is_empty());
    }

    struct Story {
        nack: NackGenerator,
        now: Instant,
        rtt: Option<Duration>,
    }

    impl Story {
        fn new() -> Self {
            let rtt = Some(Duration::from_millis(60));
            Self { nack: NackGenerator::default(), now: Instant::now(), rtt }
        }

        fn pass(&mut self, milliseconds: u64) {
            self.now += Duration::from_millis(milliseconds);
        }

        fn receive(&mut self, sequences: impl IntoIterator<Item = u64>) {
            for sequence in sequences {
                self.nack.received(sequence, self.now);
            }
        }

        fn poll(&mut self) -> (Vec<u16>, Outlook) {
            let mut pairs = Vec::new();
            let outlook = self.nack.poll(self.now, self.rtt, &mut pairs);
            (pairs.into_iter().flatten().collect(), outlook)
        }

        fn ask(&mut self) -> Vec<u16> {
            self.poll().0
        }
    }
}
