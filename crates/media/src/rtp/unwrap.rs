/// Extends 16-bit sequence numbers to 64 bits, in whatever order packets arrive (after RFC 3550 §A.1).
///
/// The first number `n` becomes 2^16 + `n`, so that packets sent before it still have a number. Each number is
/// taken as the nearest to the highest one seen: a distance of 2^15 counts as backwards.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    pub(crate) fn unwrap(&mut self, sequence_number: u16) -> u64 {
        let extended = match self.highest {
            Some(highest) => {
                let distance = sequence_number.wrapping_sub(highest as u16) as i16;
                highest.saturating_add_signed(distance.into())
            }
            None => (1 << 16) + u64::from(sequence_number),
        };
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// The highest extended number so far; `None` before the first packet.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_sent_before_the_first_received_still_have_a_number() {
        let mut unwrapper = SequenceUnwrapper::default();
        assert_eq!(unwrapper.highest(), None);
        assert_eq!(unwrapper.unwrap(1), 65_537);
        assert_eq!(unwrapper.unwrap(0xffff), 65_535);
        assert_eq!(unwrapper.unwrap(2), 65_538);
        assert_eq!(unwrapper.highest(), Some(65_538));
    }

    #[test]
    fn the_sequence_wraps_upwards_and_late_packets_keep_their_cycle() {
        let mut unwrapper = SequenceUnwrapper::default();
        unwrapper.unwrap(0xfffe);
        assert_eq!(unwrapper.unwrap(1), 0x2_0001);
        assert_eq!(unwrapper.unwrap(0xffff), 0x1_ffff);
        assert_eq!(unwrapper.highest(), Some(0x2_0001));
    }

    proptest! {
        #[test]
        fn any_reordering_within_half_the_space_unwraps_to_what_was_sent(
            start in any::<u16>(),
            steps in prop::collection::vec(-32_000i64..32_000, 1..200),
        ) {
            let mut unwrapper = SequenceUnwrapper::default();
            let mut highest = unwrapper.unwrap(start);
            for step in steps {
                let sent = highest.saturating_add_signed(step);
                prop_assert_eq!(unwrapper.unwrap(sent as u16), sent);
                highest = highest.max(sent);
            }
        }
    }
}
