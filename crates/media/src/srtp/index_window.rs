//! One stream's packet indices: the highest one, and which recent ones have been used.

/// The highest index used and, of the [`WINDOW`] up to it, which others (RFC 3711 §3.3.2).
///
/// For a received stream, "used" means authenticated, and the window refuses replays. For a sent stream it
/// means sealed, and the window refuses to use a nonce twice.
#[derive(Debug)]
pub(super) struct IndexWindow {
    highest: u64,
    /// A ring of bits, one per index modulo [`WINDOW`].
    used: [u64; WORDS],
}

/// The state of an index in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexState {
    Unused,
    Used,
    /// Too far behind the highest index: unknown whether it was used.
    TooOld,
}

impl IndexWindow {
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, used: [0; WORDS] };
        window.set(index);
        window
    }

    /// The index that a sequence number most likely stands for (RFC 3711 §3.3.1 and appendix A).
    ///
    /// In the first 2^16 packets a number far above the last one can only be ahead of it, as there is no
    /// earlier rollover that it could belong to.
    pub(super) fn index_of(&self, seq: u16) -> u64 {
        let (rollovers, last) = (self.highest >> 16, self.highest as u16);
        let rollovers = if last < HALF {
            if seq.saturating_sub(last) > HALF { rollovers.saturating_sub(1) } else { rollovers }
        } else if last - HALF > seq {
            rollovers + 1
        } else {
            rollovers
        };
        rollovers << 16 | u64::from(seq)
    }

    pub(super) fn state(&self, index: u64) -> IndexState {
        if index > self.highest {
            IndexState::Unused
        } else if self.highest - index >= WINDOW {
            IndexState::TooOld
        } else if self.used[word(index)] & bit(index) != 0 {
            IndexState::Used
        } else {
            IndexState::Unused
        }
    }

    /// Marks an index as used, which [`state`](Self::state) must have called unused.
    pub(super) fn insert(&mut self, index: u64) {
        if index > self.highest {
            self.move_to(index);
        }
        self.set(index);
    }

    fn move_to(&mut self, highest: u64) {
        if highest - self.highest >= WINDOW {
            self.used = [0; WORDS];
        } else {
            for index in self.highest + 1..=highest {
                self.used[word(index)] &= !bit(index);
            }
        }
        self.highest = highest;
    }

    fn set(&mut self, index: u64) {
        self.used[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

const WORDS: usize = 16;
/// How many indices back a late packet can be distinguished from a replay; about two seconds at 5 Mbit/s.
const WINDOW: u64 = 64 * WORDS as u64;
const HALF: u16 = 1 << 15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use std::collections::HashSet;

    #[test]
    fn a_sequence_number_belongs_to_the_nearest_rollover() {
        let cases: [(u64, u16, u64); 9] = [
            (0, 1, 1),
            (0xFFFF, 0, 0x1_0000),
            (0x1_0000, 0xFFFF, 0xFFFF),
            (0x1_7FFF, 0x8000, 0x1_8000),
            (0x1_8000, 0x7FFF, 0x1_7FFF),
            (0x1_8001, 0x0000, 0x2_0000),
            (0x2_0001, 0x8002, 0x1_8002),
            (5, 0xFFF0, 0xFFF0),
            (0xFFFF_FFFF_FFF0, 3, 0x1_0000_0000_0003),
        ];
        for (highest, seq, index) in cases {
            assert_eq!(IndexWindow::starting_at(highest).index_of(seq), index, "{seq:#x} after {highest:#x}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn the_ring_agrees_with_a_set_of_all_indices(
            start in 0_u64..100_000,
            steps in prop::collection::vec(prop_oneof![-1100_i64..1100, -3_i64..4], 1..400),
        ) {
            let mut window = IndexWindow::starting_at(start);
            let (mut used, mut highest) = (HashSet::from([start]), start);
            for step in steps {
                let index = highest.saturating_add_signed(step);
                let expected = match (highest.saturating_sub(index), used.contains(&index)) {
                    (1024.., _) => IndexState::TooOld,
                    (_, true) => IndexState::Used,
                    (_, false) => IndexState::Unused,
                };
                prop_assert_eq!(window.state(index), expected);
                if expected == IndexState::Unused {
                    window.insert(index);
                    used.insert(index);
                    highest = highest.max(index);
                }
            }
        }

        #[test]
        fn an_index_is_found_from_its_sequence_number_within_half_a_rollover(
            highest in 0_u64..1 << 40,
            step in -0x7FFF_i64..0x8000,
        ) {
            prop_assume!(highest > 0x1_0000);
            let index = highest.saturating_add_signed(step);
            prop_assert_eq!(IndexWindow::starting_at(highest).index_of(index as u16), index);
        }
    }
}
