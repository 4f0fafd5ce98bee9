//! Reports to a sender when each of its packets arrived, so that it can estimate its bandwidth
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One transport's arrival times by transport-wide sequence number, and which of them are not reported yet.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// When the first packet arrived.
    origin: Option<Instant>,
    /// Extended sequence number of the first of `arrivals`.
    first: u64,
    /// `None` for a packet that has not arrived. The last entry is never `None`.
    arrivals: VecDeque<Option<Ticks>>,
    /// Extended sequence number of the first packet to report.
    next: u64,
    waiting: Option<Waiting>,
    last_feedback: Option<Instant>,
    feedback_count: u8,
}

/// Packets that arrived and are not reported yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    packets: u32,
    since: Instant,
}

/// Time in units of 250 µs, counted from a time before the first arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks(u64);

impl Recorder {
    /// Notes a packet. Duplicates and packets later than [`LATENESS`] are ignored; a jump of [`MAX_SPAN`] in
    /// either direction restarts the record.
    pub(crate) fn record(&mut self, sequence: u16, arrival: Instant) {
        let ticks = self.ticks(arrival);
        let highest = self.highest();
        let sequence = extend(sequence, highest);
        if self.arrivals.is_empty() || sequence.abs_diff(highest) >= MAX_SPAN {
            self.arrivals.clear();
            self.waiting = None;
            self.first = sequence;
            self.next = sequence;
        }
        let Some(slot @ None) = self.slot(sequence) else { return };
        *slot = Some(ticks);
        self.next = self.next.min(sequence);
        match &mut self.waiting {
            Some(waiting) => waiting.packets += 1,
            None => {
                let since = self.last_feedback.map_or(arrival, |last| last.max(arrival));
                self.waiting = Some(Waiting { packets: 1, since });
            }
        }
    }

    /// When feedback is due: on a busy transport 50 ms, else 100 ms, after the first unreported arrival or
    /// the last feedback, whichever is later.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let Waiting { packets, since } = self.waiting?;
        Some(since + if packets >= BUSY { SHORT_INTERVAL } else { LONG_INTERVAL })
    }

    /// Appends one feedback packet of at most about [`MAX_LEN`] bytes, or returns `false` if everything is
    /// reported. Call it until it returns `false`. `media_ssrc` may be any of the sender's.
    pub(crate) fn feedback(
        &mut self,
        now: Instant,
        sender_ssrc: u32,
        media_ssrc: u32,
        packet: &mut Vec<u8>,
    ) -> bool {
        if self.waiting.is_none() {
            return false;
        }
        let start = (self.next - self.first) as usize;
        let report = Report::of(self.arrivals.range(start..).copied());
        report.write(self.next as u16, self.feedback_count, [sender_ssrc, media_ssrc], packet);

        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.next += report.symbols.len() as u64;
        self.last_feedback = Some(now);
        if self.next > self.highest() {
            self.waiting = None;
            self.forget(now);
        }
        true
    }

    /// The entry of a packet; `None` if the packet is too late.
    fn slot(&mut self, sequence: u64) -> Option<&mut Option<Ticks>> {
        let len = sequence.checked_sub(self.first)? + 1;
        if len > self.arrivals.len() as u64 {
            self.arrivals.resize(len as usize, None);
            self.drop_first(len.saturating_sub(MAX_SPAN));
        }
        self.arrivals.get_mut((sequence - self.first) as usize)
    }

    /// Keeps reported packets for a while: if a late packet arrives between them, they are reported again
    /// with it.
    fn forget(&mut self, now: Instant) {
        let Ticks(now) = self.ticks(now);
        let old = |Ticks(arrival): Ticks| arrival + LATENESS < now;
        let oldest_kept = self.arrivals.iter().rposition(|arrival| arrival.is_some_and(old)).unwrap_or(0);
        self.drop_first(oldest_kept as u64);
    }

    fn drop_first(&mut self, count: u64) {
        self.arrivals.drain(..count as usize);
        self.first += count;
        self.next = self.next.max(self.first);
    }

    fn highest(&self) -> u64 {
        (self.first + self.arrivals.len() as u64).saturating_sub(1)
    }

    fn ticks(&mut self, arrival: Instant) -> Ticks {
        let origin = *self.origin.get_or_insert(arrival);
        let ticks = |duration: Duration| (duration.as_micros() / 250) as u64;
        Ticks(match arrival.checked_duration_since(origin) {
            Some(after) => HEAD_START + ticks(after),
            None => HEAD_START.saturating_sub(ticks(origin.duration_since(arrival))),
        })
    }
}

/// The number nearest to `highest` that ends in `sequence`. The first number leaves room for earlier packets.
fn extend(sequence: u16, highest: u64) -> u64 {
    let highest = highest.max(1 << 16);
    highest.saturating_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16))
}

/// The contents of one feedback packet.
#[derive(Debug)]
struct Report {
    reference: u64,
    symbols: Vec<Symbol>,
    deltas: Vec<u8>,
}

/// A packet's status (§3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    NotReceived = 0,
    SmallDelta = 1,
    LargeDelta = 2,
}

impl Report {
    /// Takes as many arrivals as fit one packet. The last one taken has arrived.
    fn of(arrivals: impl Iterator<Item = Option<Ticks>>) -> Self {
        let mut report = Self { reference: 0, symbols: Vec::new(), deltas: Vec::new() };
        let mut reported = 0;
        let mut previous = None;
        for arrival in arrivals {
            let Some(Ticks(arrival)) = arrival else {
                report.symbols.push(Symbol::NotReceived);
                continue;
            };
            let before = *previous.get_or_insert_with(|| {
                report.reference = arrival / TICKS_PER_REFERENCE;
                report.reference * TICKS_PER_REFERENCE
            });
            let Ok(delta) = i16::try_from(arrival.wrapping_sub(before) as i64) else { break };
            if reported > 0 && report.len() > MAX_LEN {
                break;
            }
            report.push(delta);
            reported = report.symbols.len();
            previous = Some(arrival);
        }
        report.symbols.truncate(reported);
        report
    }

    fn push(&mut self, delta: i16) {
        match u8::try_from(delta) {
            Ok(small) => {
                self.symbols.push(Symbol::SmallDelta);
                self.deltas.push(small);
            }
            Err(_) => {
                self.symbols.push(Symbol::LargeDelta);
                self.deltas.extend(delta.to_be_bytes());
            }
        }
    }

    /// An upper bound of the packet's length in bytes. A long loss takes far less than is counted here.
    fn len(&self) -> usize {
        HEADER_LEN + 2 * (self.symbols.len() / 7 + 1) + self.deltas.len()
    }

    fn write(&self, base: u16, count: u8, ssrcs: [u32; 2], packet: &mut Vec<u8>) {
        let start = packet.len();
        packet.extend([VERSION_2 | FORMAT, PACKET_TYPE, 0, 0]);
        packet.extend(ssrcs.into_iter().flat_map(u32::to_be_bytes));
        packet.extend(base.to_be_bytes());
        packet.extend((self.symbols.len() as u16).to_be_bytes());
        packet.extend(((self.reference as u32) << 8 | u32::from(count)).to_be_bytes());
        push_chunks(&self.symbols, packet);
        packet.extend(&self.deltas);

        let words = (packet.len() - start).div_ceil(4);
        packet.resize(start + 4 * words, 0);
        packet[start + 2..start + 4].copy_from_slice(&(words as u16 - 1).to_be_bytes());
    }
}

/// Writes packet status chunks (§3.1.2 to §3.1.4): runs where they are long, else vectors.
fn push_chunks(mut symbols: &[Symbol], packet: &mut Vec<u8>) {
    while let Some(&symbol) = symbols.first() {
        let run = symbols.iter().take(MAX_RUN).take_while(|&&next| next == symbol).count();
        let one_bit = symbols.iter().take(ONE_BIT_SYMBOLS).all(|&next| next != Symbol::LargeDelta);
        let vector_len = if one_bit { ONE_BIT_SYMBOLS } else { TWO_BIT_SYMBOLS };
        let (chunk, len) = if run >= vector_len.min(symbols.len()) {
            ((symbol as u16) << 13 | run as u16, run)
        } else {
            let len = vector_len.min(symbols.len());
            (vector_chunk(&symbols[..len], one_bit), len)
        };
        packet.extend(chunk.to_be_bytes());
        symbols = &symbols[len..];
    }
}

/// The symbols from the second or third bit on, one bit each or two.
fn vector_chunk(symbols: &[Symbol], one_bit: bool) -> u16 {
    let (flags, width) = if one_bit { (0b10, 1) } else { (0b11, 2) };
    let shifts = (0..14).step_by(width).map(|used| 14 - width - used);
    symbols.iter().zip(shifts).fold(flags << 14, |chunk, (&symbol, shift)| chunk | (symbol as u16) << shift)
}

/// How many packets are kept. More are needed only above 40 000 packets a second.
const MAX_SPAN: u64 = 4096;
/// In ticks: half a second.
const LATENESS: u64 = 2_000;
/// In ticks: arrivals may be up to about four minutes before the first one recorded.
const HEAD_START: u64 = 1 << 20;
/// The unit of reference times is 64 ms.
const TICKS_PER_REFERENCE: u64 = 256;
const SHORT_INTERVAL: Duration = Duration::from_millis(50);
const LONG_INTERVAL: Duration = Duration::from_millis(100);
/// 32 packets in 50 ms are about 640 a second: a sender of several Mbit/s, which needs feedback soon.
const BUSY: u32 = 32;

/// Bytes. Leaves room for other reports in the same datagram.
const MAX_LEN: usize = 1000;
const HEADER_LEN: usize = 20;
const VERSION_2: u8 = 0x80;
const FORMAT: u8 = 15;
const PACKET_TYPE: u8 = 205;
const MAX_RUN: usize = (1 << 13) - 1;
const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use rtc_shared::marshal::Unmarshal;
    use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
    use std::collections::BTreeMap;

    #[test]
    fn arrivals_and_losses_are_read_back_as_they_were() {
        let mut story = Story::new();
        for (sequence, at) in [(100, 0), (101, 5_000), (103, 5_250), (104, 200_000), (106, 199_000)] {
            story.receive(sequence, at);
        }
        let [report] = story.report().try_into().unwrap();
        assert_eq!(report.base, 100);
        assert_eq!(report.count, 0);
        let times = [Some(0), Some(5_000), None, Some(5_250), Some(200_000), None, Some(199_000)];
        assert_eq!(report.since_first(), times);
    }

    #[test]
    fn each_packet_is_reported_once_and_feedback_is_counted() {
        let mut story = Story::new();
        for round in 0..300_u64 {
            story.receive(2 * round as u16, 100_000 * round);
            story.receive(2 * round as u16 + 1, 100_000 * round + 1_000);
            let [report] = story.report().try_into().unwrap();
            assert_eq!(report.base, 2 * round as u16);
            assert_eq!(report.arrivals.len(), 2);
            assert_eq!(report.count, round as u8);
        }
        assert!(story.report().is_empty());
        assert_eq!(story.recorder.next_timeout(), None);
    }

    #[test]
    fn a_late_packet_is_reported_with_those_around_it() {
        let mut story = Story::new();
        for (sequence, at) in [(7, 0), (9, 2_000)] {
            story.receive(sequence, at);
        }
        assert_eq!(story.report()[0].since_first(), [Some(0), None, Some(2_000)]);
        story.receive(8, 60_000);
        let [report] = story.report().try_into().unwrap();
        assert_eq!(report.base, 8);
        assert_eq!(report.since_first(), [Some(0), Some(-58_000)]);
    }

    #[test]
    fn a_packet_later_than_half_a_second_is_not_reported() {
        let mut story = Story::new();
        for (sequence, at) in [(1, 0), (3, 1_000), (4, 700_000)] {
            story.receive(sequence, at);
        }
        story.report();
        story.receive(2, 710_000);
        assert!(story.report().is_empty());
    }

    #[test]
    fn duplicates_keep_the_first_arrival() {
        let mut story = Story::new();
        for (sequence, at) in [(1, 0), (2, 10_000), (2, 20_000)] {
            story.receive(sequence, at);
        }
        assert_eq!(story.report()[0].since_first(), [Some(0), Some(10_000)]);
        story.receive(2, 30_000);
        assert!(story.report().is_empty());
    }

    #[test]
    fn arrivals_before_the_first_one_are_possible() {
        let mut story = Story::new();
        story.receive(1, 0);
        story.recorder.record(2, story.start - Duration::from_millis(300));
        assert_eq!(story.report()[0].since_first(), [Some(0), Some(-300_000)]);
    }

    #[test]
    fn a_pause_too_long_for_a_delta_begins_another_packet() {
        let mut story = Story::new();
        story.receive(1, 0);
        story.receive(2, 9_000_000);
        let [before, after] = story.report().try_into().unwrap();
        assert_eq!((before.base, after.base), (1, 2));
        assert_eq!(after.arrivals[0].unwrap() - before.arrivals[0].unwrap(), 9_000_000);
    }

    #[test]
    fn a_long_loss_takes_few_bytes() {
        let mut story = Story::new();
        story.receive(1, 0);
        story.receive(4_001, 1_000);
        let reports = story.report();
        assert_eq!(reports.iter().map(|report| report.arrivals.len()).sum::<usize>(), 4_001);
        assert!(reports.iter().map(|report| report.len).sum::<usize>() < 60);
    }

    #[test]
    fn a_jump_in_either_direction_begins_the_record_anew() {
        let mut story = Story::new();
        for (step, sequence) in [1_u16, 20_000, 3].into_iter().enumerate() {
            story.receive(sequence, 1_000 * step as u64);
            story.receive(sequence + 1, 1_000 * step as u64 + 500);
        }
        let [report] = story.report().try_into().unwrap();
        assert_eq!(report.base, 3);
        assert_eq!(report.since_first(), [Some(0), Some(500)]);
    }

    #[test]
    fn memory_stays_bounded_without_feedback_being_taken() {
        let mut story = Story::new();
        for step in 0..50_000_u64 {
            story.receive((step * 3) as u16, 10 * step);
        }
        assert_eq!(story.recorder.arrivals.len() as u64, MAX_SPAN);
        assert_eq!(story.report().last().unwrap().last_sequence(), (49_999_u64 * 3) as u16);
    }

    #[test]
    fn feedback_is_due_after_100_ms_or_50_ms_when_busy() {
        let mut story = Story::new();
        story.receive(0, 0);
        assert_eq!(story.due_in(), 100);
        for sequence in 1..32 {
            story.receive(sequence, 1_000);
        }
        assert_eq!(story.due_in(), 50);

        story.report();
        story.receive(32, 2_000);
        assert_eq!(story.due_in(), 102, "counted from the last feedback or the first packet after it");
    }

    #[test]
    fn every_pattern_of_losses_and_delays_survives_the_wire() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut story = Story::new();
            let (loss, jitter) = (rng.random_range(0.0..0.9), rng.random_range(1..1_200));
            let mut expected = BTreeMap::new();
            let mut reported = BTreeMap::new();
            let start: u16 = rng.random();
            for step in 0..3_000_u64 {
                // The first and the last packet are never lost.
                if step == 0 || step == 2_999 || rng.random_bool(1.0 - loss) {
                    let at = 250 * (4_000 + 2 * step + rng.random_range(0..jitter));
                    story.receive(start.wrapping_add(step as u16), at);
                    expected.insert(step, Some(at));
                } else {
                    expected.insert(step, None);
                }
                if rng.random_bool(0.01) || step == 2_999 {
                    for report in story.report() {
                        assert!(report.len <= MAX_LEN + 4, "{} bytes", report.len);
                        for (offset, arrival) in report.arrivals.iter().enumerate() {
                            let step = report.base.wrapping_add(offset as u16).wrapping_sub(start);
                            reported.insert(u64::from(step), *arrival);
                        }
                    }
                }
            }
            let first = (reported[&0].unwrap(), expected[&0].unwrap() as i64);
            for (step, at) in expected {
                let since_first = |at: u64| at as i64 - first.1;
                let read = reported[&step].map(|arrival| arrival - first.0);
                assert_eq!(read, at.map(since_first), "seed {seed}, step {step}");
            }
        }
    }

    struct Story {
        recorder: Recorder,
        start: Instant,
        now: Instant,
    }

    /// A parsed feedback packet; arrivals are in µs.
    #[derive(Debug)]
    struct Read {
        base: u16,
        count: u8,
        arrivals: Vec<Option<i64>>,
        len: usize,
    }

    impl Story {
        fn new() -> Self {
            let start = Instant::now();
            Self { recorder: Recorder::default(), start, now: start }
        }

        /// `at` is in µs.
        fn receive(&mut self, sequence: u16, at: u64) {
            let arrival = self.start + Duration::from_micros(at);
            self.now = self.now.max(arrival);
            self.recorder.record(sequence, arrival);
        }

        fn due_in(&self) -> u128 {
            self.recorder.next_timeout().unwrap().duration_since(self.start).as_millis()
        }

        fn report(&mut self) -> Vec<Read> {
            let mut reports = Vec::new();
            loop {
                let mut packet = Vec::new();
                if !self.recorder.feedback(self.now, 0x1111, 0x2222, &mut packet) {
                    return reports;
                }
                reports.push(Read::from(&packet));
            }
        }
    }

    impl Read {
        fn from(packet: &[u8]) -> Self {
            let feedback = TransportLayerCc::unmarshal(&mut &packet[..]).unwrap();
            assert_eq!((feedback.sender_ssrc, feedback.media_ssrc), (0x1111, 0x2222));
            let symbols = feedback.packet_chunks.iter().flat_map(|chunk| match chunk {
                PacketStatusChunk::RunLengthChunk(run) => {
                    vec![run.packet_status_symbol; run.run_length.into()]
                }
                PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
            });
            let mut clock = i64::from(feedback.reference_time) * 64_000;
            let mut deltas = feedback.recv_deltas.iter();
            let mut arrival = |symbol| {
                (symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
                    clock += deltas.next().unwrap().delta;
                    clock
                })
            };
            let arrivals = symbols.take(feedback.packet_status_count.into()).map(&mut arrival).collect();
            let (base, count) = (feedback.base_sequence_number, feedback.fb_pkt_count);
            Self { base, count, arrivals, len: packet.len() }
        }

        fn since_first(&self) -> Vec<Option<i64>> {
            let first = self.arrivals[0].unwrap();
            self.arrivals.iter().map(|arrival| arrival.map(|arrival| arrival - first)).collect()
        }

        fn last_sequence(&self) -> u16 {
            self.base.wrapping_add(self.arrivals.len() as u16 - 1)
        }
    }
}
