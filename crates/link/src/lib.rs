//! One direction of a network path: rate, queue, loss, delay and jitter. It is told the time and draws from a seed, so
//! that the same link runs in the simulated time of the stories and in real time between two devices (`main.rs`).

mod loss;
pub mod path;
pub mod rate;
#[cfg(test)]
mod tests;

use loss::{Losses, Tokens};
use path::{Path, Queue, Spread};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rate::Capacity;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// A link with the packets that are on it. Times inside count from its start.
pub struct Link<T> {
    path: Path,
    start: Instant,
    seed: u64,
    rng: StdRng,
    capacity: Capacity,
    losses: Losses,
    tokens: Option<Tokens>,
    queue: Waiting,
    /// The latest arrival of packets that keep their order.
    last_arrival: Duration,
    under_way: BTreeMap<(Duration, u64), T>,
    taken: u64,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It will arrive. In the queue it waits this long, without its own serialisation.
    Taken {
        waits: Duration,
    },
    Lost(Cause),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    Silence,
    Policer,
    /// The queue was full.
    Queue,
    /// The loss process took it.
    Air,
}

/// The packets in front of the bottleneck.
#[derive(Default)]
struct Waiting {
    /// When each has left, and its size.
    leaving: VecDeque<(Duration, usize)>,
    bytes: usize,
    /// When the last one has left.
    free_at: Duration,
}

impl<T> Link<T> {
    pub fn new(path: Path, seed: u64, start: Instant) -> Self {
        Self {
            path,
            start,
            seed,
            rng: StdRng::seed_from_u64(seed),
            capacity: Capacity::new(path.rate, seed ^ 1),
            losses: Losses::new(path.loss, path.bursts, seed ^ 2),
            tokens: path.policer.map(Tokens::new),
            queue: Waiting::default(),
            last_arrival: Duration::ZERO,
            under_way: BTreeMap::new(),
            taken: 0,
        }
    }

    /// Treats further packets differently; what is under way arrives as it would have.
    pub fn set_path(&mut self, path: Path) {
        self.path = path;
        self.capacity = Capacity::new(path.rate, self.seed ^ 1);
        self.losses = Losses::new(path.loss, path.bursts, self.seed ^ 2);
        self.tokens = path.policer.map(Tokens::new);
    }

    pub fn capacity(&mut self) -> &mut Capacity {
        &mut self.capacity
    }

    /// Sends a packet. `now` never runs back.
    pub fn push(&mut self, now: Instant, size: usize, payload: T) -> Passage {
        let now = now - self.start;
        if self.path.silences.iter().any(|(from, until)| (*from..*until).contains(&now)) {
            return Passage::Lost(Cause::Silence);
        }
        if self.tokens.as_mut().is_some_and(|tokens| !tokens.take(now, size)) {
            return Passage::Lost(Cause::Policer);
        }
        let queued = self.queue.push(now, size, self.path.queue, &mut self.capacity);
        let Some((left, waits)) = queued else { return Passage::Lost(Cause::Queue) };
        if self.losses.takes(left) {
            return Passage::Lost(Cause::Air);
        }
        let arrival = self.arrival(left);
        self.taken += 1;
        self.under_way.insert((arrival, self.taken), payload);
        Passage::Taken { waits }
    }

    /// The time of the next arrival.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| self.start + *at)
    }

    /// A packet that has arrived.
    pub fn pop(&mut self, now: Instant) -> Option<T> {
        let first = self.under_way.first_entry()?;
        (self.start + first.key().0 <= now).then(|| first.remove())
    }

    /// How long the bottleneck needs for what it has taken already, as a packet that is sent at `now` would find it.
    pub fn backlog(&self, now: Instant) -> Duration {
        self.queue.free_at.saturating_sub(now - self.start)
    }

    /// What is queued or on its way.
    pub fn under_way(&self) -> impl Iterator<Item = &T> {
        self.under_way.values()
    }

    /// When a packet arrives that leaves the bottleneck at `left`.
    fn arrival(&mut self, left: Duration) -> Duration {
        let mut arrival = left + self.path.delay + self.jitter();
        let held = self.path.held;
        if held.share > 0.0 && self.rng.random_bool(held.share) {
            arrival += held.by;
        } else if self.path.keeps_order {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        let Some(tick) = self.path.tick else { return arrival };
        let ticks = arrival.as_nanos().div_ceil(tick.as_nanos());
        Duration::from_nanos((ticks * tick.as_nanos()) as u64)
    }

    fn jitter(&mut self) -> Duration {
        match self.path.jitter {
            Spread::None => Duration::ZERO,
            Spread::Uniform(most) => most.mul_f64(self.rng.random()),
            Spread::HalfNormal(deviation) => {
                let [radius, angle] = [self.rng.random::<f64>(), self.rng.random::<f64>()];
                let normal = (-2.0 * (1.0 - radius).ln()).sqrt() * (angle * std::f64::consts::TAU).cos();
                deviation.mul_f64(normal.abs()).min(self.path.jitter.most())
            }
        }
    }
}

impl Waiting {
    /// Queues a packet: when it has left, and how long it waits; `None` if it does not fit.
    fn push(
        &mut self,
        now: Duration,
        size: usize,
        limit: Queue,
        capacity: &mut Capacity,
    ) -> Option<(Duration, Duration)> {
        while let Some((_, size)) = self.leaving.pop_front_if(|(left, _)| *left <= now) {
            self.bytes -= size;
        }
        let bits = size as f64 * 8.0;
        let Some(left) = capacity.finish(now.max(self.free_at), bits) else {
            return Some((now, Duration::ZERO));
        };
        let serialisation = capacity.at(left).filter(|rate| *rate > 0.0).map_or(0.0, |rate| bits / rate);
        let waits = (left - now).saturating_sub(Duration::from_secs_f64(serialisation));
        let fits = match limit {
            Queue::Unlimited => true,
            Queue::Bytes(most) => self.bytes + size <= most,
            Queue::Time(longest) => waits <= longest,
        };
        if !fits {
            return None;
        }
        self.leaving.push_back((left, size));
        self.bytes += size;
        self.free_at = left;
        Some((left, waits))
    }
}
