//! How many bits a link can send until when.

use super::path::{Markov, Rate};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// A rate over time, as a list of constant pieces that grows as it is asked.
pub struct Capacity {
    rate: Rate,
    rng: StdRng,
    /// The start and the rate of each piece, in bit/s.
    pieces: Vec<(Duration, f64)>,
    /// The end of the last piece.
    known: Duration,
    state: usize,
    next_outage: Duration,
}

impl Capacity {
    pub(crate) fn new(rate: Rate, seed: u64) -> Self {
        let mut capacity = Self {
            rate,
            rng: StdRng::seed_from_u64(seed),
            pieces: Vec::new(),
            known: Duration::MAX,
            state: 0,
            next_outage: Duration::ZERO,
        };
        match rate {
            Rate::Unlimited => {}
            Rate::Constant(rate) => capacity.pieces.push((Duration::ZERO, rate as f64)),
            Rate::Steps(steps) => capacity.pieces.extend(steps.iter().map(|(at, rate)| (*at, *rate as f64))),
            Rate::Markov(markov) => {
                capacity.known = Duration::ZERO;
                capacity.state = markov.states.len() / 2;
                capacity.next_outage = capacity.exponential(markov.outage_every);
            }
            Rate::Trace(_) => capacity.known = Duration::ZERO,
        }
        capacity
    }

    /// When `bits` are sent that begin to leave at `start`; `None` if the rate is unlimited.
    pub(crate) fn finish(&mut self, start: Duration, bits: f64) -> Option<Duration> {
        if matches!(self.rate, Rate::Unlimited) {
            return None;
        }
        let (mut at, mut left) = (start, bits);
        loop {
            let (rate, end) = self.piece(at);
            let fitting = rate * (end - at).as_secs_f64();
            if left <= fitting {
                return Some(at + Duration::from_secs_f64(left / rate));
            }
            assert!(end < Duration::MAX, "a link that sends nothing for ever");
            (at, left) = (end, left - fitting);
        }
    }

    /// The rate at a time, in bit/s; `None` if it is unlimited.
    pub(crate) fn at(&mut self, at: Duration) -> Option<f64> {
        (!matches!(self.rate, Rate::Unlimited)).then(|| self.piece(at).0)
    }

    /// The bits that can leave within a span of time; `None` if the rate is unlimited.
    pub fn between(&mut self, from: Duration, until: Duration) -> Option<f64> {
        let (mut at, mut bits) = (from, 0.0);
        while at < until {
            self.at(at)?;
            let (rate, end) = self.piece(at);
            let end = end.min(until);
            bits += rate * (end - at).as_secs_f64();
            at = end;
        }
        Some(bits)
    }

    /// The rate at a time and the end of the piece that it is in.
    fn piece(&mut self, at: Duration) -> (f64, Duration) {
        while self.known <= at {
            match self.rate {
                Rate::Markov(markov) => self.wander(&markov),
                Rate::Trace(opportunities) => self.repeat(opportunities),
                Rate::Unlimited | Rate::Constant(_) | Rate::Steps(_) => unreachable!("all is known"),
            }
        }
        let next = self.pieces.partition_point(|(start, _)| *start <= at);
        let end = self.pieces.get(next).map_or(self.known, |(start, _)| *start);
        (self.pieces[next - 1].1, end)
    }

    fn wander(&mut self, markov: &Markov) {
        let start = self.known;
        if start >= self.next_outage {
            let (shortest, longest) = markov.outage;
            self.pieces.push((start, 0.0));
            self.known += shortest + (longest - shortest).mul_f64(self.rng.random());
            self.next_outage = self.known + self.exponential(markov.outage_every);
            return;
        }
        let up = match self.state {
            0 => true,
            last if last + 1 == markov.states.len() => false,
            _ => self.rng.random_bool(0.5),
        };
        self.state = if up { self.state + 1 } else { self.state - 1 };
        self.pieces.push((start, markov.states[self.state] as f64));
        let dwell = self.exponential(markov.dwell).max(Duration::from_millis(1));
        self.known = (start + dwell).min(self.next_outage.max(start + Duration::from_millis(1)));
    }

    fn repeat(&mut self, opportunities: &[u32]) {
        let start = self.known;
        let millis = |count: u32| Duration::from_millis(u64::from(count));
        let mut end = 0;
        for same in opportunities.chunk_by(|a, b| a == b) {
            if same[0] > end {
                self.pieces.push((start + millis(end), 0.0));
            }
            self.pieces.push((start + millis(same[0]), same.len() as f64 * OPPORTUNITY * 1_000.0));
            end = same[0] + 1;
        }
        self.known = start + millis(end);
    }

    fn exponential(&mut self, mean: Duration) -> Duration {
        exponential(&mut self.rng, mean)
    }
}

/// An exponentially distributed time.
pub(crate) fn exponential(rng: &mut StdRng, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - rng.random::<f64>()).ln())
}

/// The bits of one opportunity of a trace.
const OPPORTUNITY: f64 = 1_500.0 * 8.0;
