//! The network: datagrams are delayed, jittered, lost and reordered, with a seeded random generator.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One direction of a client's line.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub delay: Duration,
    /// At most this much is added to the delay; packets still arrive in the order sent.
    pub jitter: Duration,
    /// The share of packets lost, 0 to 1.
    pub loss: f64,
    /// The share of packets held back long enough to be overtaken, 0 to 1.
    pub reordering: f64,
}

impl Path {
    pub const GOOD: Self = Self {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(2),
        loss: 0.0,
        reordering: 0.0,
    };

    pub const fn losing(loss: f64) -> Self {
        Self { loss, ..Self::GOOD }
    }
}

#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Called for each datagram before random loss; `false` drops the datagram.
pub type Filter = Box<dyn FnMut(&[u8]) -> bool>;

/// A path with the state of what was sent over it.
pub struct Link {
    pub path: Path,
    filter: Option<Filter>,
    last_arrival: Option<Instant>,
}

/// All datagrams on their way, in the order of arrival.
pub struct Network {
    rng: StdRng,
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), under_way: BTreeMap::new(), sent: 0 }
    }

    pub fn send(&mut self, now: Instant, link: &mut Link, datagram: Datagram) {
        if link.filter.as_mut().is_some_and(|passes| !passes(&datagram.bytes)) {
            return;
        }
        let Path { delay, jitter, loss, reordering } = link.path;
        if self.rng.random_bool(loss) {
            return;
        }
        let mut arrival = now + delay + jitter.mul_f64(self.rng.random());
        if self.rng.random_bool(reordering) {
            arrival += HELD_BACK;
        } else {
            arrival = link.last_arrival.map_or(arrival, |last| arrival.max(last));
            link.last_arrival = Some(arrival);
        }
        self.sent += 1;
        self.under_way.insert((arrival, self.sent), datagram);
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

impl Link {
    pub fn new(path: Path) -> Self {
        Self { path, filter: None, last_arrival: None }
    }

    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }
}

/// In this time several packets of a video frame overtake the delayed one.
const HELD_BACK: Duration = Duration::from_millis(8);
