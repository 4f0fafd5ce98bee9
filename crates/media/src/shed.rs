//! What a worker that has too much to do leaves out: video, never sound.

use crate::id::ConsumerId;

/// How much of the video going out is left out, in steps: first one consumer after another is held to the lowest
/// layers, which a stream without layers does not feel, then one after another gets nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shed(u8);

/// What a consumer of video gets.
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

    /// So many steps further, or back, within the bounds.
    pub fn moved(self, steps: i8) -> Self {
        Self(self.0.saturating_add_signed(steps).min(Self::ALL.0))
    }

    /// How many steps it is from [`Self::NONE`].
    pub fn steps(self) -> u8 {
        self.0
    }

    /// The same for a consumer whenever it is asked. Ids are random, so that it hits everybody alike.
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

/// Each step is an eighth of the consumers: about what the load signal can tell apart.
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
