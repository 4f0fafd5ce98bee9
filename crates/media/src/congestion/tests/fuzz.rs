//! Clients' RTCP, mutated from a corpus of real packets: no panic, bounded work, and the reader of transport-wide
//! feedback agrees with a plain one. `make fuzz-feedback` runs it for minutes.

use super::hostile::CONFIG;
use crate::congestion::acks::{Report, Told};
use crate::congestion::{Controller, FeedbackError, Kind, SentPacket};
use crate::rtcp_io::{self, Feedback};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[test]
fn mutated_reports_are_read_within_bounds_and_as_a_plain_reader_reads_them() {
    let limit = std::env::var("FUZZ_SECONDS").ok().map(|seconds| {
        Duration::from_secs(seconds.parse().expect("FUZZ_SECONDS must be a number of seconds"))
    });
    let seed = limit.map_or(1, |_| rand::rng().random());
    let mut fuzz = Fuzz::new(seed);
    let begin = Instant::now();
    while limit.map_or(fuzz.rounds < ROUNDS, |limit| begin.elapsed() < limit) {
        fuzz.round();
    }
    let Fuzz { rounds, read, pool, shapes, controller, .. } = fuzz;
    let (pool, shapes, faults) = (pool.len(), shapes.len(), controller.faults());
    println!("seed {seed}: {rounds} packets, {read} reports read, {shapes} shapes, {pool} kept, {faults:?}");
    assert!(read > rounds / 50 && shapes > 100, "{read} of {rounds} reports read, {shapes} shapes");
    assert!(faults.unknown > 0 && faults.malformed > 0 && faults.remb_zero > 0, "{faults:?}");
}

struct Fuzz {
    rng: StdRng,
    /// The corpus, and mutations that were handled in a new way.
    pool: Vec<Vec<u8>>,
    /// So many of the pool are the corpus.
    corpus: usize,
    shapes: HashSet<Shape>,
    controller: Controller,
    begin: Instant,
    rounds: u32,
    read: u32,
}

/// How a packet was handled, roughly.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    /// The kinds of feedback understood; `None` if the packet was refused.
    understood: Option<Vec<std::mem::Discriminant<Feedback>>>,
    /// For the first reports, the error, or the magnitudes of packets told of and arrived.
    reports: Vec<Result<(u32, u32), FeedbackError>>,
    faults: [bool; 5],
}

impl Fuzz {
    fn new(seed: u64) -> Self {
        let corpus = include_str!("fuzz/corpus.txt").lines().filter(|line| !line.starts_with('#'));
        let pool: Vec<_> = corpus.map(|line| bytes_of(line.rsplit(": ").next().unwrap())).collect();
        let begin = Instant::now();
        Self {
            rng: StdRng::seed_from_u64(seed),
            corpus: pool.len(),
            pool,
            shapes: HashSet::new(),
            controller: Controller::new(CONFIG, begin),
            begin,
            rounds: 0,
            read: 0,
        }
    }

    fn round(&mut self) {
        self.rounds += 1;
        let now = self.begin + Duration::from_micros(500) * self.rounds;
        let number = Some(self.rounds as u16);
        self.controller.sent(&SentPacket { number, size: 1_000, kind: Kind::Video, cluster: None, at: now });
        let mut packet = self.pick();
        for _ in 0..self.rng.random_range(1..6) {
            self.mutate(&mut packet);
        }
        let shape = self.hear(&packet, now);
        if self.shapes.insert(shape) && self.pool.len() < MAX_POOL && packet.len() <= MAX_LEN {
            self.pool.push(packet);
        }
        let estimate = self.controller.estimate();
        assert!((CONFIG.min..=CONFIG.max).contains(&estimate), "{estimate}");
        assert!(self.controller.memory() <= 28_000);
    }

    /// As the router does it.
    fn hear(&mut self, packet: &[u8], now: Instant) -> Shape {
        let before = self.controller.faults();
        let understood = rtcp_io::parse(packet);
        let mut reports = Vec::new();
        for feedback in understood.iter().flatten() {
            match feedback {
                Feedback::Estimate(rate) => self.controller.remb(*rate, now),
                Feedback::Reception(report) => {
                    self.controller.reception(report.total_lost, report.last_sequence_number & 0xffff, now);
                }
                Feedback::DelaySince { delay, .. } => {
                    self.controller.round_trip(Duration::from_micros((*delay).into()));
                }
                Feedback::SenderReport { .. }
                | Feedback::Nack { .. }
                | Feedback::KeyFrameRequest { .. }
                | Feedback::ReferenceTime { .. } => {}
            }
        }
        // The reader must stand alone: also where the rest of the compound is refused.
        for report in rtcp_io::transport_wide_feedback(packet) {
            let read = compare(report);
            if reports.len() < 3 {
                reports.push(read);
            }
            self.read += u32::from(self.controller.feedback(report, now).is_ok());
        }
        self.controller.poll(now);
        let after = self.controller.faults();
        Shape {
            understood: understood.map(|all| all.iter().map(std::mem::discriminant).take(4).collect()),
            reports,
            faults: [
                before.malformed != after.malformed,
                before.unknown != after.unknown,
                before.clock_jumps != after.clock_jumps,
                before.remb_zero != after.remb_zero,
                before.impossible != after.impossible,
            ],
        }
    }

    /// As often one of the corpus as one of the others.
    fn pick(&mut self) -> Vec<u8> {
        let among = if self.rng.random() { self.corpus } else { self.pool.len() };
        let index = self.rng.random_range(0..among);
        self.pool[index].clone()
    }

    fn mutate(&mut self, packet: &mut Vec<u8>) {
        let at = self.rng.random_range(0..packet.len().max(1));
        match self.rng.random_range(0..9) {
            0 => {
                packet.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.rng.random_range(0..8))
            }
            1 => packet.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.rng.random()),
            2 => {
                let word = WORDS[self.rng.random_range(0..WORDS.len())].to_be_bytes();
                let at = at & !1;
                packet.iter_mut().skip(at).zip(word).for_each(|(byte, new)| *byte = new);
            }
            3 => packet.truncate(at),
            4 => {
                let more = self.rng.random_range(1..40);
                packet.extend((0..more).map(|_| self.rng.random::<u8>()));
            }
            // Another one's end, or all of it, as in a compound.
            5 => {
                let other = self.pick();
                packet.truncate(at);
                packet.extend_from_slice(&other[at.min(other.len())..]);
            }
            6 => {
                let other = self.pick();
                packet.extend(other);
            }
            // A report on packets that were just sent.
            7 if packet.len() > 14 => {
                let near = (self.rounds as u16).wrapping_sub(self.rng.random_range(0..60));
                packet[12..14].copy_from_slice(&near.to_be_bytes());
            }
            // A length that is right, so that what is behind it is read.
            _ => {
                packet.resize(packet.len().next_multiple_of(4).max(4), 0);
                let words = (packet.len() / 4 - 1) as u16;
                packet[2..4].copy_from_slice(&words.to_be_bytes());
            }
        }
        packet.truncate(MAX_LEN);
    }
}

/// Reads a report twice, and returns how it was read.
fn compare(packet: &[u8]) -> Result<(u32, u32), FeedbackError> {
    let plain = read_plainly(packet);
    let report = Report::open(packet).inspect_err(|_| assert_eq!(plain, None, "{packet:02x?}"))?;
    let (mut items, mut told, mut arrived) = (0, 0, Vec::new());
    for item in report.told() {
        items += 1;
        match item {
            Told::Missing { first, count } => {
                assert_eq!(first, told);
                told += count;
            }
            Told::Arrived { offset, at } => {
                assert_eq!(offset, told);
                told += 1;
                arrived.push((offset, at));
            }
        }
    }
    assert_eq!(told, report.count);
    assert!(items <= 7 * packet.len() && arrived.len() <= packet.len());
    assert_eq!(plain.as_ref(), Some(&arrived), "{packet:02x?}");
    Ok((told.ilog2(), arrived.len().checked_ilog2().map_or(0, |magnitude| magnitude + 1)))
}

/// The offsets and times of packets that arrived, by the letter of the draft (§3.1): all symbols first, then all deltas.
fn read_plainly(packet: &[u8]) -> Option<Vec<(u32, i64)>> {
    let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
    let count = usize::from(word(14)?);
    let mut at = 20;
    packet.get(..at).filter(|_| count > 0)?;
    let mut symbols = Vec::new();
    while symbols.len() < count {
        let chunk = word(at)?;
        at += 2;
        match chunk >> 14 {
            // A run of the reserved symbol is refused, even if it is empty.
            1 if chunk >> 13 & 3 == 3 => return None,
            0 | 1 => symbols.extend(vec![chunk >> 13 & 3; usize::from(chunk & 0x1fff)]),
            2 => symbols.extend((0..14).rev().map(|bit| chunk >> bit & 1)),
            _ => symbols.extend((0..7).rev().map(|pair| chunk >> (2 * pair) & 3)),
        }
    }
    symbols.truncate(count);
    let (mut clock, mut arrived) = (0, Vec::new());
    for (offset, symbol) in (0..).zip(symbols) {
        let delta = match symbol {
            0 => continue,
            1 => i64::from(*packet.get(at)?),
            2 => i64::from(word(at)? as i16),
            _ => return None,
        };
        at += usize::from(symbol);
        clock += 250 * delta;
        arrived.push((offset, clock));
    }
    Some(arrived)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Without FUZZ_SECONDS.
const ROUNDS: u32 = 200_000;
const MAX_POOL: usize = 4_096;
/// Bytes, about what a datagram has.
const MAX_LEN: usize = 1_472;
const WORDS: [u16; 10] = [0, 1, 2, 0x1fff, 0x2001, 0x3fff, 0x7fff, 0x8000, 0xfffe, 0xffff];
