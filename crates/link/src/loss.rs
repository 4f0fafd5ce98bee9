//! Which packets a link loses.

use super::path::{Bursts, Loss, Policer};
use super::rate::exponential;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

pub(crate) struct Losses {
    loss: Loss,
    bursts: Option<Bursts>,
    rng: StdRng,
    /// The state of the Gilbert–Elliott model.
    is_bad: bool,
    /// The present or next burst.
    burst: (Duration, Duration),
}

impl Losses {
    pub(crate) fn new(loss: Loss, bursts: Option<Bursts>, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { loss, bursts, rng, is_bad: false, burst: (Duration::ZERO, Duration::ZERO) }
    }

    /// Decides about the next packet.
    pub(crate) fn takes(&mut self, at: Duration) -> bool {
        // Both processes go on with every packet.
        self.is_in_burst(at) | self.by_chance()
    }

    fn by_chance(&mut self) -> bool {
        match self.loss {
            Loss::None => false,
            Loss::Random(share) => self.rng.random_bool(share),
            Loss::GilbertElliott { to_bad, to_good, good, bad } => {
                let change = if self.is_bad { to_good } else { to_bad };
                self.is_bad ^= self.rng.random_bool(change);
                self.rng.random_bool(if self.is_bad { bad } else { good })
            }
        }
    }

    fn is_in_burst(&mut self, at: Duration) -> bool {
        let Some(bursts) = self.bursts else { return false };
        while self.burst.1 <= at {
            let pause = bursts.mean_length().mul_f64((1.0 - bursts.share) / bursts.share);
            let start = self.burst.1 + exponential(&mut self.rng, pause);
            self.burst = (start, start + bursts.length(self.rng.random()));
        }
        self.burst.0 <= at
    }
}

impl Bursts {
    /// The length that a share of all bursts does not exceed.
    fn length(&self, share: f64) -> Duration {
        let (shortest, longest) = (self.shortest.as_secs_f64(), self.longest.as_secs_f64());
        let kept = 1.0 - share * (1.0 - (shortest / longest).powf(SHAPE));
        Duration::from_secs_f64(shortest * kept.powf(-1.0 / SHAPE))
    }

    fn mean_length(&self) -> Duration {
        let (shortest, longest) = (self.shortest.as_secs_f64(), self.longest.as_secs_f64());
        let ratio = shortest / longest;
        let mean =
            SHAPE / (SHAPE - 1.0) * shortest * (1.0 - ratio.powf(SHAPE - 1.0)) / (1.0 - ratio.powf(SHAPE));
        Duration::from_secs_f64(mean)
    }
}

/// A policer's tokens.
pub(crate) struct Tokens {
    policer: Policer,
    bytes: f64,
    at: Duration,
}

impl Tokens {
    pub(crate) fn new(policer: Policer) -> Self {
        Self { policer, bytes: policer.burst as f64, at: Duration::ZERO }
    }

    /// Takes the tokens of a packet, if there are enough.
    pub(crate) fn take(&mut self, at: Duration, size: usize) -> bool {
        let earned = (at - self.at).as_secs_f64() * self.policer.rate as f64 / 8.0;
        self.bytes = (self.bytes + earned).min(self.policer.burst as f64);
        self.at = at;
        let passes = self.bytes >= size as f64;
        if passes {
            self.bytes -= size as f64;
        }
        passes
    }
}

/// Of the Pareto distribution: the less, the more of the time belongs to long bursts.
const SHAPE: f64 = 1.2;
