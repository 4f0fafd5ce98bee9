//! What an overloaded worker leaves out: video, never audio.

use crate::id::ConsumerId;

/// How much outgoing video is left out, in steps. First one eighth of the consumers after another is limited
/// to the lowest layers (no change for a stream without layers), then one eighth after another gets no video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shed(u8);

/// What a consumer of video receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ration {
    Nothing,
    LowestLayers,
    Whole,
}

impl Shed {
    /// Everything is sent.
    pub const NONE: Self = Self(0);
    /// No video is sent.
    pub const ALL: Self = Self(2 * RANKS);

    /// Moved by `steps` (negative: less is left out), within [`Self::NONE`] and [`Self::ALL`].
    pub fn moved(self, steps: i8) -> Self {
        Self(self.0.saturating_add_signed(steps).min(Self::ALL.0))
    }

    /// The number of steps from [`Self::NONE`], 0..=16.
    pub fn steps(self) -> u8 {
        self.0
    }

    /// Always the same for one consumer. Consumer ids are random, so every consumer is equally likely to be
    /// limited.
    pub(crate) fn ration(self, consumer: ConsumerId) -> Ration {
        let rank = consumer.0.as_bytes()[0] % RANKS;
        if self.0 > RANKS + rank {
            Ration::Nothing
        } else if self.0 > rank {
            Ration::LowestLayers
        } else {
            Ration::Whole
        }
    }
}

/// Each step affects an eighth of the consumers, about the resolution of the load signal.
const RANKS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use uuid::Uuid;

    #[test]
    fn each_step_takes_from_an_eighth_of_the_consumers_and_gives_to_nobody() {
        let mut rng = StdRng::seed_from_u64(1);
        let consumers: Vec<_> = (0..8_000).map(|_| ConsumerId(Uuid::from_u128(rng.random()))).collect();
        let mut shed = Shed::NONE;
        assert!(consumers.iter().all(|&it| shed.ration(it) == Ration::Whole));
        while shed != Shed::ALL {
            let next = shed.moved(1);
            let mut fewer = 0;
            for &consumer in &consumers {
                assert!(next.ration(consumer) <= shed.ration(consumer));
                fewer += usize::from(next.ration(consumer) < shed.ration(consumer));
            }
            assert!((850..1_150).contains(&fewer), "{fewer} at {next:?}");
            shed = next;
        }
        assert!(consumers.iter().all(|&it| shed.ration(it) == Ration::Nothing));
    }

    #[test]
    fn nobody_gets_nothing_while_somebody_has_all_layers() {
        let ids: Vec<_> = (0..=255).map(|first| ConsumerId(Uuid::from_u128(first << 120))).collect();
        for steps in 0..=Shed::ALL.steps() {
            let shed = Shed::NONE.moved(steps as i8);
            let has = |ration| ids.iter().any(|&it| shed.ration(it) == ration);
            assert!(!(has(Ration::Nothing) && has(Ration::Whole)), "{shed:?}");
        }
    }

    #[test]
    fn steps_stay_within_their_bounds() {
        assert_eq!(Shed::NONE.moved(-1), Shed::NONE);
        assert_eq!(Shed::ALL.moved(i8::MAX), Shed::ALL);
        assert_eq!(Shed::ALL.moved(-1).steps(), 15);
    }
}
