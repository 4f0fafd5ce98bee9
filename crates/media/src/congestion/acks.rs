//! Reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) without allocating.

use super::Micros;

/// One feedback packet, checked as a whole when it was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    /// Transport-wide number of the first packet that it tells of.
    pub(super) base: u16,
    /// How many packets it tells of, from 1 to 65 535.
    pub(super) count: u32,
    /// The receiver's time in units of 64 ms, 24 bits.
    reference: u32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// Why a feedback packet is ignored as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FeedbackError {
    #[error("shorter than its contents")]
    Short,
    #[error("tells of no packet")]
    Empty,
    #[error("has a reserved symbol")]
    Reserved,
}

/// What a report says, in order of number. `first` and `offset` count from its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Missing {
        first: u32,
        count: u32,
    },
    /// `at` counts from the report's reference time.
    Arrived {
        offset: u32,
        at: Micros,
    },
}

/// The transport-wide numbers that a feedback packet says to have arrived: fewer than it has bytes, since each has a
/// delta.
pub(crate) fn arrivals(packet: &[u8]) -> Result<impl Iterator<Item = u16>, FeedbackError> {
    let report = Report::open(packet)?;
    let arrived = move |told| match told {
        Told::Arrived { offset, .. } => Some(report.base.wrapping_add(offset as u16)),
        Told::Missing { .. } => None,
    };
    Ok(report.told().filter_map(arrived))
}

impl<'a> Report<'a> {
    /// Opens an RTCP packet of type 205, format 15, header included.
    pub(super) fn open(packet: &'a [u8]) -> Result<Self, FeedbackError> {
        let (head, body) = packet.split_at_checked(HEADER_LEN).ok_or(FeedbackError::Short)?;
        let base = u16::from_be_bytes([head[12], head[13]]);
        let count = u32::from(u16::from_be_bytes([head[14], head[15]]));
        let reference = u32::from_be_bytes([0, head[16], head[17], head[18]]);
        if count == 0 {
            return Err(FeedbackError::Empty);
        }
        let (mut covered, mut at, mut delta_bytes) = (0, 0, 0);
        while covered < count {
            let word = body.get(at..at + 2).ok_or(FeedbackError::Short)?;
            let chunk = Chunk::read([word[0], word[1]]);
            let symbols = chunk.left.min(count - covered);
            delta_bytes += chunk.delta_bytes(symbols)?;
            covered += symbols;
            at += 2;
        }
        let (chunks, deltas) = body.split_at_checked(at).ok_or(FeedbackError::Short)?;
        let deltas = deltas.get(..delta_bytes).ok_or(FeedbackError::Short)?;
        Ok(Self { base, count, reference, chunks, deltas })
    }

    /// At most one item for each two bytes of a run, seven or fourteen of a vector.
    pub(super) fn told(&self) -> impl Iterator<Item = Told> + use<'a> {
        Reader {
            report: *self,
            chunk: Chunk { bits: 0, width: 0, left: 0 },
            chunk_at: 0,
            delta_at: 0,
            offset: 0,
            clock: 0,
        }
    }
}

struct Reader<'a> {
    report: Report<'a>,
    chunk: Chunk,
    chunk_at: usize,
    delta_at: usize,
    offset: u32,
    clock: Micros,
}

impl Iterator for Reader<'_> {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        let first = self.offset;
        while self.chunk.left == 0 {
            if first >= self.report.count {
                return None;
            }
            let word = self.report.chunks.get(self.chunk_at..self.chunk_at + 2)?;
            self.chunk = Chunk::read([word[0], word[1]]);
            self.chunk.left = self.chunk.left.min(self.report.count - first);
            self.chunk_at += 2;
        }
        if let Some(count) = self.chunk.take_missing_run() {
            self.offset += count;
            return Some(Told::Missing { first, count });
        }
        self.offset += 1;
        match self.chunk.take() {
            NOT_RECEIVED => Some(Told::Missing { first, count: 1 }),
            symbol => {
                self.clock += TICK * self.delta(symbol)?;
                Some(Told::Arrived { offset: first, at: self.clock })
            }
        }
    }
}

impl Reader<'_> {
    /// The next delta, in ticks.
    fn delta(&mut self, symbol: u16) -> Option<Micros> {
        let rest = self.report.deltas.get(self.delta_at..)?;
        self.delta_at += usize::from(symbol);
        match (symbol, rest) {
            (SMALL_DELTA, [delta, ..]) => Some(Micros::from(*delta)),
            (_, [high, low, ..]) => Some(Micros::from(i16::from_be_bytes([*high, *low]))),
            _ => None,
        }
    }
}

/// A packet status chunk (§3.1.2 to §3.1.4).
#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// The symbol of a run; the symbols of a vector, the first one in the highest bits.
    bits: u16,
    /// Bits per symbol of a vector, 0 for a run.
    width: u8,
    /// Symbols not taken yet.
    left: u32,
}

impl Chunk {
    fn read(word: [u8; 2]) -> Self {
        let word = u16::from_be_bytes(word);
        match word >> 14 {
            0 | 1 => Self { bits: word >> 13 & 0b11, width: 0, left: u32::from(word & 0x1fff) },
            2 => Self { bits: word << 2, width: 1, left: 14 },
            _ => Self { bits: word << 2, width: 2, left: 7 },
        }
    }

    fn take(&mut self) -> u16 {
        self.left -= 1;
        if self.width == 0 {
            return self.bits;
        }
        let symbol = self.bits >> (16 - self.width);
        self.bits <<= self.width;
        symbol
    }

    fn take_missing_run(&mut self) -> Option<u32> {
        (self.width == 0 && self.bits == NOT_RECEIVED).then(|| std::mem::take(&mut self.left))
    }

    /// Bytes of the deltas that belong to the first `symbols`. A symbol's value is the length of its delta.
    fn delta_bytes(mut self, symbols: u32) -> Result<usize, FeedbackError> {
        let length = |symbol| match symbol {
            RESERVED => Err(FeedbackError::Reserved),
            symbol => Ok(usize::from(symbol)),
        };
        match self.width {
            0 => length(self.bits).map(|length| length * symbols as usize),
            _ => (0..symbols).map(|_| length(self.take())).sum(),
        }
    }
}

/// Turns the 24-bit reference times of one receiver into a clock that does not wrap.
#[derive(Debug, Default)]
pub(super) struct ReceiverClock {
    last: Option<(u32, Micros)>,
}

impl ReceiverClock {
    /// The time of a report's reference, and whether the clock jumped, so that older times mean nothing.
    pub(super) fn read(&mut self, report: &Report<'_>) -> (Micros, bool) {
        let plain = Micros::from(report.reference) * REFERENCE_UNIT;
        let (time, jumped) = match self.last {
            None => (plain, false),
            Some((reference, time)) => {
                let ahead = (report.reference.wrapping_sub(reference) << 8) as i32 >> 8;
                let difference = Micros::from(ahead) * REFERENCE_UNIT;
                if (-MAX_BACK..MAX_AHEAD).contains(&difference) {
                    (time + difference, false)
                } else {
                    (plain, true)
                }
            }
        };
        self.last = Some((report.reference, time));
        (time, jumped)
    }
}

const HEADER_LEN: usize = 20;
const NOT_RECEIVED: u16 = 0;
const SMALL_DELTA: u16 = 1;
const RESERVED: u16 = 3;
/// µs.
const TICK: Micros = 250;
/// µs.
const REFERENCE_UNIT: Micros = 64_000;
/// µs. A report on late packets may begin before the one sent earlier; libwebrtc keeps arrivals for 0.5 s.
const MAX_BACK: Micros = 2_000_000;
/// µs. Nothing was sent for that long, or the receiver's clock was set.
const MAX_AHEAD: Micros = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport_cc::Recorder;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    #[test]
    fn every_pattern_of_losses_and_delays_is_read_as_it_was_recorded() {
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let start = Instant::now();
            let mut recorder = Recorder::default();
            let (loss, jitter) = (rng.random_range(0.0..0.9), rng.random_range(1..1_000));
            let mut arrivals = BTreeMap::new();
            for number in 0..2_000_u16 {
                if number == 0 || number == 1_999 || rng.random_bool(1.0 - loss) {
                    let at = 250 * (Micros::from(number) * 3 + rng.random_range(0..jitter));
                    recorder.record(number, start + Duration::from_micros(at.unsigned_abs()));
                    arrivals.insert(number, at);
                }
            }
            let mut clock = ReceiverClock::default();
            let mut read = BTreeMap::new();
            let mut covered = 0;
            let mut packet = Vec::new();
            while recorder.feedback(start, 1, 2, &mut packet) {
                let report = Report::open(&packet).unwrap();
                let (reference, _) = clock.read(&report);
                for told in report.told() {
                    match told {
                        Told::Missing { count, .. } => covered += count,
                        Told::Arrived { offset, at } => {
                            covered += 1;
                            read.insert(report.base + offset as u16, reference + at);
                        }
                    }
                }
                packet.clear();
            }
            assert_eq!((covered, read.len()), (2_000, arrivals.len()));
            let origin = (read[&0], arrivals[&0]);
            for (number, at) in arrivals {
                assert_eq!(read[&number] - origin.0, at - origin.1, "seed {seed}, packet {number}");
            }
        }
    }

    #[test]
    fn the_numbers_that_arrived_are_read_from_chunks_of_every_kind() {
        let head = [0x8f, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, 30, 0, 0, 0, 0];
        // A run of three that came; two bits each: came, lost, came late, lost…; one bit each: of 14 the first and the
        // last came; a run of lost ones.
        let chunks = [0x20, 3, 0b1101_0010, 0, 0b1010_0000, 1, 0x00, 6];
        let packet = [&head[..], &chunks, &[0; 8]].concat();
        let expected = [0, 1, 2, 3, 5, 10, 23].map(|step| 0xfffe_u16.wrapping_add(step));
        assert_eq!(arrivals(&packet).unwrap().collect::<Vec<_>>(), expected);
        let unfinished = arrivals(&packet[..packet.len() - 1]).err();
        assert_eq!(
            (unfinished, arrivals(&head).err()),
            (Some(FeedbackError::Short), Some(FeedbackError::Short))
        );
    }

    #[test]
    fn the_receivers_clock_wraps_after_twelve_days_and_may_go_back_a_little() {
        let report = |reference| Report { base: 0, count: 1, reference, chunks: &[], deltas: &[] };
        let mut clock = ReceiverClock::default();
        let (first, _) = clock.read(&report(0xff_fff0));
        for (reference, units, jumped) in
            [(0xff_ffff, 15, false), (0xf, 31, false), (3, 19, false), (20, 36, false)]
        {
            assert_eq!(clock.read(&report(reference)), (first + 64_000 * units, jumped));
        }
        assert!(clock.read(&report(5_000)).1);
        assert!(clock.read(&report(4_900)).1);
    }
}
