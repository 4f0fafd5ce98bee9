//! What a link does to packets. All settings are values, so that a link can be changed while it runs.

use std::time::Duration;

/// One direction of a path, in the order in which a packet meets its parts: silence, policer, queue and rate, loss,
/// delay, jitter, tick.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub rate: Rate,
    pub queue: Queue,
    pub policer: Option<Policer>,
    pub loss: Loss,
    /// Times in which every packet is lost, in addition to `loss`.
    pub bursts: Option<Bursts>,
    pub delay: Duration,
    /// Is added to the delay.
    pub jitter: Spread,
    /// A packet with much jitter holds up those behind it. `false`: they overtake it.
    pub keeps_order: bool,
    /// Packets that others overtake, whether the path keeps the order of the rest or not.
    pub held: Held,
    /// Packets wait for the next multiple of this time since the link's start.
    pub tick: Option<Duration>,
    /// Spans of time since the link's start, in which all packets that are sent are lost.
    pub silences: &'static [(Duration, Duration)],
}

impl Path {
    /// A line that is never full and loses nothing.
    pub const GOOD: Self = Self {
        rate: Rate::Unlimited,
        queue: Queue::Unlimited,
        policer: None,
        loss: Loss::None,
        bursts: None,
        delay: Duration::from_millis(20),
        jitter: Spread::Uniform(Duration::from_millis(2)),
        keeps_order: true,
        held: Held::NEVER,
        tick: None,
        silences: &[],
    };

    /// A line that loses this share of all packets.
    pub const fn losing(share: f64) -> Self {
        Self { loss: Loss::Random(share), ..Self::GOOD }
    }

    /// The longest time on the way, without queueing, holding and ticks.
    pub const fn longest(&self) -> Duration {
        self.delay.saturating_add(self.jitter.most())
    }
}

/// Bit/s over time.
#[derive(Debug, Clone, Copy)]
pub enum Rate {
    Unlimited,
    Constant(u64),
    /// The rate from each time on since the link's start; the first time is 0, the last rate is not.
    Steps(&'static [(Duration, u64)]),
    Markov(Markov),
    /// In each of these milliseconds, which ascend, 1500 bytes may leave, as in traces of the mahimahi tool. The trace
    /// repeats after its last millisecond.
    Trace(&'static [u32]),
}

/// A rate that changes at random, as a phone's does while its owner moves.
#[derive(Debug, Clone, Copy)]
pub struct Markov {
    /// The rates, in bit/s. From each the link goes to a neighbour in this list.
    pub states: &'static [u64],
    /// The mean time in a state, exponentially distributed.
    pub dwell: Duration,
    /// The mean time from one outage to the next, exponentially distributed.
    pub outage_every: Duration,
    /// The shortest and the longest outage, in which nothing leaves.
    pub outage: (Duration, Duration),
}

/// What does not fit is dropped.
#[derive(Debug, Clone, Copy)]
pub enum Queue {
    Unlimited,
    Bytes(usize),
    /// The longest wait, not counting the packet's own serialisation.
    Time(Duration),
}

/// A token bucket that drops what it has no tokens for.
#[derive(Debug, Clone, Copy)]
pub struct Policer {
    /// Bit/s.
    pub rate: u64,
    /// Bytes.
    pub burst: usize,
}

/// Which packets are lost. Shares are of 1.
#[derive(Debug, Clone, Copy)]
pub enum Loss {
    None,
    Random(f64),
    /// Two states with a loss share each, and the chance per packet to go from one to the other.
    GilbertElliott {
        to_bad: f64,
        to_good: f64,
        good: f64,
        bad: f64,
    },
}

/// Times of total loss, whose lengths have a truncated Pareto distribution.
#[derive(Debug, Clone, Copy)]
pub struct Bursts {
    /// The share of time within bursts.
    pub share: f64,
    pub shortest: Duration,
    pub longest: Duration,
}

#[derive(Debug, Clone, Copy)]
pub enum Spread {
    None,
    /// Any value up to this one.
    Uniform(Duration),
    /// The absolute value of a normal distribution with this deviation, at most four times the deviation.
    HalfNormal(Duration),
}

impl Spread {
    /// The greatest value.
    pub const fn most(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Uniform(most) => most,
            Self::HalfNormal(deviation) => deviation.saturating_mul(4),
        }
    }
}

/// Packets that are held back long enough to be overtaken.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Of all packets, 0 to 1.
    pub share: f64,
    pub by: Duration,
}

impl Held {
    pub const NEVER: Self = Self { share: 0.0, by: Duration::ZERO };

    /// In the time of holding several packets of a video frame overtake the one that is held.
    pub const fn briefly(share: f64) -> Self {
        Self { share, by: Duration::from_millis(8) }
    }
}
