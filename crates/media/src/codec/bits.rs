/// Reads unsigned numbers, most significant bit first; every read past the end is `None`.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Offset of the next bit.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Offset of the next bit.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.position / 8)?;
        let flag = byte >> (7 - self.position % 8) & 1 != 0;
        self.position += 1;
        Some(flag)
    }

    /// `f(count)` of the AV1 RTP specification, §A.4.1; at most 32 bits.
    pub(crate) fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// `ns(values)`: a number below `values`, which must not be 0, in as few bits as possible (§A.4.1).
    pub(crate) fn non_symmetric(&mut self, values: u32) -> Option<u32> {
        let width = u32::BITS - values.leading_zeros();
        let short_codes = (1 << width) - values;
        let value = self.bits(width - 1)?;
        if value < short_codes {
            return Some(value);
        }
        Some((value << 1) - short_codes + self.bits(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_across_bytes_and_never_past_the_end() {
        let mut reader = BitReader::new(&[0b1010_0000, 0b0111_1111, 0xff]);
        assert_eq!(reader.flag(), Some(true));
        assert_eq!(reader.bits(3), Some(0b010));
        assert_eq!(reader.bits(6), Some(0b000001));
        assert_eq!(reader.bits(14), Some(0x3fff));
        assert_eq!(reader.bits(0), Some(0));
        assert_eq!(reader.flag(), None);
        assert_eq!(reader.bits(1), None);
    }

    #[test]
    fn non_symmetric_numbers_use_short_codes_for_the_first_values() {
        // With five values: 0, 1, 2 are 00, 01, 10; 3 and 4 are 110 and 111.
        let mut reader = BitReader::new(&[0b0001_1011, 0b0111_0000]);
        let read: Vec<_> = (0..5).map(|_| reader.non_symmetric(5).unwrap()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        assert_eq!(BitReader::new(&[]).non_symmetric(1), Some(0), "one value takes no bits");
    }
}
