/// Transport-wide numbers of which some are skipped. Who receives the packets knows which numbers came; who does not
/// can only guess, and one wrong guess ends it.
#[derive(Debug)]
pub(super) struct Quiz {
    /// The number that bit 0 stands for.
    first: u16,
    /// Numbers sent, and those of them that a receiver named.
    sent: u128,
    named: u128,
    /// Random bits, three for each packet.
    skips: u64,
    /// How many packets may still skip numbers.
    left: u8,
    failed: bool,
}

impl Quiz {
    pub(super) fn new(random: u64, next: u16) -> Self {
        Self { first: next, sent: 0, named: 0, skips: random, left: SKIPS, failed: false }
    }

    /// The number of the next packet: `next` or one of the seven after it.
    pub(super) fn number(&mut self, next: u16) -> u16 {
        let mut number = next;
        if self.left > 0 {
            number = next.wrapping_add((self.skips & 7) as u16);
            self.skips >>= 3;
            self.left -= 1;
        }
        if let Some(bit) = self.bit(number) {
            self.sent |= bit;
        }
        number
    }

    /// A receiver says that these numbers came.
    pub(super) fn answer(&mut self, numbers: impl Iterator<Item = u16>) {
        for number in numbers {
            let Some(bit) = self.bit(number) else { continue };
            if self.sent & bit == 0 {
                self.failed = true;
            }
            self.named |= bit;
        }
    }

    pub(super) fn is_solved(&self) -> bool {
        !self.failed && self.named.count_ones() >= ENOUGH
    }

    fn bit(&self, number: u16) -> Option<u128> {
        1u128.checked_shl(u32::from(number.wrapping_sub(self.first))).filter(|bit| *bit != 0)
    }
}

/// Packets that skip numbers: three bits each of 64, and 8 numbers each of 128 at most.
const SKIPS: u8 = 16;
/// Numbers named and right. Of the numbers, 2 in 9 are sent, so that one in 8 000 guesses so many.
const ENOUGH: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: u64 = 0x5EED_C0DE_1234_5678;

    fn sent(quiz: &mut Quiz, count: usize) -> Vec<u16> {
        let mut next = 65_500;
        (0..count)
            .map(|_| {
                let number = quiz.number(next);
                next = number.wrapping_add(1);
                number
            })
            .collect()
    }

    #[test]
    fn a_receiver_that_names_what_came_solves_it_despite_loss() {
        let mut quiz = Quiz::new(RANDOM, 65_500);
        let numbers = sent(&mut quiz, 13);
        quiz.answer(numbers.iter().copied().step_by(2));
        assert!(quiz.is_solved());
    }

    #[test]
    fn whoever_claims_all_numbers_or_guesses_fails_for_good() {
        let mut quiz = Quiz::new(RANDOM, 65_500);
        let numbers = sent(&mut quiz, 13);
        quiz.answer(65_500..=65_535);
        quiz.answer(numbers.into_iter());
        assert!(!quiz.is_solved());
    }

    #[test]
    fn few_numbers_are_not_enough_and_old_ones_do_not_count() {
        let mut quiz = Quiz::new(RANDOM, 65_500);
        let numbers = sent(&mut quiz, 13);
        quiz.answer(65_000..65_500);
        quiz.answer(numbers.into_iter().take(ENOUGH as usize - 1));
        assert!(!quiz.is_solved() && !quiz.failed);
    }
}
