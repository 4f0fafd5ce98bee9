use super::header::{EXTENSION_FLAG, FIXED_LEN, ONE_BYTE_PROFILE, PADDING_FLAG, TWO_BYTE_PROFILE, VERSION};
use super::{PayloadType, Ssrc};

/// Builds an RTP header in the caller's buffer: fixed fields, then extension elements one by one, then
/// `finish`. No CSRCs are written, because an SFU does not mix. [`set_padding`] sets the padding flag.
#[derive(Debug)]
pub(crate) struct HeaderWriter<'a> {
    dst: &'a mut [u8],
    form: ExtensionForm,
    len: usize,
}

/// The fields of an outgoing packet's fixed header (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedHeader {
    pub(crate) marker: bool,
    pub(crate) payload_type: PayloadType,
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: Ssrc,
}

/// How the elements of one extension block are coded; a block holds one form only (RFC 8285 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ExtensionForm {
    /// Ids 1..=14, values of 1..=16 bytes.
    OneByte,
    /// Ids 1..=255, values of 0..=255 bytes.
    TwoByte,
}

/// Why part of a header was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("the buffer is too small for the header")]
    NoSpace,
    #[error("the extension id or length does not fit the form of the block")]
    Unrepresentable,
}

impl FixedHeader {
    /// Writes the fields into a header, except the flags of its first byte.
    pub(crate) fn fill(&self, header: &mut [u8; FIXED_LEN]) {
        let [flags, ..] = *header;
        let [s0, s1] = self.sequence_number.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [i0, i1, i2, i3] = self.ssrc.0.to_be_bytes();
        let marker_and_type = u8::from(self.marker) << 7 | (self.payload_type.0 & 0x7f);
        *header = [flags, marker_and_type, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3];
    }
}

impl<'a> HeaderWriter<'a> {
    /// Writes the fixed header to the start of `dst`.
    pub(crate) fn new(
        dst: &'a mut [u8],
        fixed: FixedHeader,
        form: ExtensionForm,
    ) -> Result<Self, WriteError> {
        let header = dst.first_chunk_mut::<FIXED_LEN>().ok_or(WriteError::NoSpace)?;
        header[0] = VERSION << 6;
        fixed.fill(header);
        Ok(Self { dst, form, len: FIXED_LEN })
    }

    /// Appends one extension element and returns the offset of its value in the buffer, for values that are
    /// filled in later. After an error the header is as it was before.
    pub(crate) fn extension(&mut self, id: u8, value: &[u8]) -> Result<usize, WriteError> {
        if !self.form.fits(id, value.len()) {
            return Err(WriteError::Unrepresentable);
        }
        let element = self.len.max(ELEMENTS_START);
        let start = element + self.form.prefix_len();
        let end = start + value.len();
        if end > MAX_LEN {
            return Err(WriteError::NoSpace);
        }
        // The padding that `finish` adds must fit too.
        let room = self.dst.get_mut(..end.next_multiple_of(4)).ok_or(WriteError::NoSpace)?;
        match (self.form, room.get_mut(element..start)) {
            (ExtensionForm::OneByte, Some([prefix])) => *prefix = id << 4 | (value.len() as u8 - 1),
            (ExtensionForm::TwoByte, Some([prefix_id, prefix_len])) => {
                *prefix_id = id;
                *prefix_len = value.len() as u8;
            }
            (ExtensionForm::OneByte | ExtensionForm::TwoByte, _) => return Err(WriteError::NoSpace),
        }
        room.get_mut(start..end).ok_or(WriteError::NoSpace)?.copy_from_slice(value);
        self.len = end;
        Ok(start)
    }

    /// Closes the extension block, if one was begun, and returns the length of the whole header.
    pub(crate) fn finish(self) -> usize {
        if self.len < ELEMENTS_START {
            return self.len;
        }
        let end = self.len.next_multiple_of(4);
        let words = ((end - ELEMENTS_START) / 4) as u16;
        if let Some([flags, .., p0, p1, l0, l1]) = self.dst.first_chunk_mut::<ELEMENTS_START>() {
            *flags |= EXTENSION_FLAG;
            [*p0, *p1] = self.form.profile().to_be_bytes();
            [*l0, *l1] = words.to_be_bytes();
        }
        self.dst.get_mut(self.len..end).unwrap_or_default().fill(0);
        end
    }
}

impl ExtensionForm {
    /// The shorter form that can hold all of the given `(id, value length)` elements.
    pub(crate) fn holding(elements: impl IntoIterator<Item = (u8, usize)>) -> Self {
        let one_byte = elements.into_iter().all(|(id, len)| Self::OneByte.fits(id, len));
        if one_byte { Self::OneByte } else { Self::TwoByte }
    }

    /// Length in bytes of a header with elements whose values have these lengths.
    pub(crate) fn header_len(self, values: impl Iterator<Item = usize>) -> usize {
        let elements: usize = values.map(|len| self.prefix_len() + len).sum();
        if elements == 0 { FIXED_LEN } else { ELEMENTS_START + elements.next_multiple_of(4) }
    }

    fn fits(self, id: u8, len: usize) -> bool {
        match self {
            Self::OneByte => (1..=14).contains(&id) && (1..=16).contains(&len),
            Self::TwoByte => id != 0 && len <= 255,
        }
    }

    fn prefix_len(self) -> usize {
        match self {
            Self::OneByte => 1,
            Self::TwoByte => 2,
        }
    }

    fn profile(self) -> u16 {
        match self {
            Self::OneByte => ONE_BYTE_PROFILE,
            Self::TwoByte => TWO_BYTE_PROFILE,
        }
    }
}

/// Fills the last `padding` bytes (at most 255) of a plaintext packet and sets the padding flag (RFC 3550
/// §5.1).
pub(crate) fn set_padding(packet: &mut [u8], padding: usize) {
    let Some(start) = packet.len().checked_sub(padding) else { return };
    if let ([flags, ..], [zeros @ .., count]) = packet.split_at_mut(start) {
        *flags |= PADDING_FLAG;
        zeros.fill(0);
        *count = padding as u8;
    }
}

/// Byte offset of the first element: behind the fixed header and the block's profile and length.
const ELEMENTS_START: usize = FIXED_LEN + 4;
/// Bytes: the block's length field counts 32-bit words in 16 bits.
const MAX_LEN: usize = ELEMENTS_START + 4 * u16::MAX as usize;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rtp::Header;

    #[test]
    fn without_elements_there_is_no_extension_block() {
        let mut dst = [0xff; 12];
        let writer = HeaderWriter::new(&mut dst, FIXED, ExtensionForm::OneByte).unwrap();
        assert_eq!(writer.finish(), 12);
        assert_eq!(dst, [0x80, 0x80 | 111, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 7]);
    }

    #[test]
    fn one_byte_elements_are_padded_to_a_word() {
        let mut dst = [0xff; 40];
        let mut writer = HeaderWriter::new(&mut dst, FIXED, ExtensionForm::OneByte).unwrap();
        assert_eq!(writer.extension(1, b"0"), Ok(17));
        assert_eq!(writer.extension(5, &[1, 2]), Ok(19));
        assert_eq!(writer.finish(), 24);
        assert_eq!(dst[0], 0x90);
        assert_eq!(dst[12..24], [0xbe, 0xde, 0, 2, 0x10, b'0', 0x51, 1, 2, 0, 0, 0]);
        assert_eq!(dst[24], 0xff, "nothing is written behind the header");
    }

    #[test]
    fn two_byte_elements_carry_high_ids_and_long_values() {
        let mut dst = [0; 64];
        let mut writer = HeaderWriter::new(&mut dst, FIXED, ExtensionForm::TwoByte).unwrap();
        assert_eq!(writer.extension(15, &[9; 20]), Ok(18));
        assert_eq!(writer.extension(255, &[]), Ok(40));
        assert_eq!(writer.finish(), 40);
        assert_eq!(dst[12..18], [0x10, 0, 0, 6, 15, 20]);
        assert_eq!(dst[38..40], [255, 0]);
    }

    #[test]
    fn an_element_that_does_not_fit_leaves_the_header_valid() {
        let mut dst = [0; 22];
        let mut writer = HeaderWriter::new(&mut dst, FIXED, ExtensionForm::OneByte).unwrap();
        assert_eq!(writer.extension(1, &[7; 3]), Ok(17));
        assert_eq!(writer.extension(2, &[8]), Err(WriteError::NoSpace), "its padding would not fit");
        assert_eq!(writer.extension(15, &[8]), Err(WriteError::Unrepresentable));
        assert_eq!(writer.extension(3, &[]), Err(WriteError::Unrepresentable));
        assert_eq!(writer.extension(3, &[0; 17]), Err(WriteError::Unrepresentable));
        assert_eq!(writer.finish(), 20);
        let header = Header::parse(&dst).unwrap();
        assert_eq!(header.extensions(&dst).collect::<Vec<_>>(), [(1, &[7; 3][..])]);
    }

    #[test]
    fn a_buffer_shorter_than_the_fixed_header_is_refused() {
        let mut dst = [0; 11];
        let written = HeaderWriter::new(&mut dst, FIXED, ExtensionForm::OneByte);
        assert_eq!(written.unwrap_err(), WriteError::NoSpace);
    }

    #[test]
    fn the_one_byte_form_is_chosen_only_when_every_element_fits_it() {
        assert_eq!(ExtensionForm::holding([(1, 16), (14, 1)]), ExtensionForm::OneByte);
        assert_eq!(ExtensionForm::holding([(1, 16), (15, 1)]), ExtensionForm::TwoByte);
        assert_eq!(ExtensionForm::holding([(1, 17)]), ExtensionForm::TwoByte);
        assert_eq!(ExtensionForm::holding([(1, 0)]), ExtensionForm::TwoByte);
    }

    #[test]
    fn padding_ends_in_its_own_length_and_is_stripped_again() {
        for padding in [1, 2, 255] {
            let mut packet = vec![0xff; 300];
            let header_len = HeaderWriter::new(&mut packet, FIXED, ExtensionForm::OneByte).unwrap().finish();
            packet.resize(header_len + 10 + padding, 0xff);
            set_padding(&mut packet, padding);
            let header = Header::parse(&packet).unwrap();
            assert_eq!(header.payload_range(&packet), Some(header_len..header_len + 10));
            assert_eq!(packet[header_len..header_len + 10], [0xff; 10]);
            assert!(packet[header_len + 10..packet.len() - 1].iter().all(|&byte| byte == 0));
        }
    }

    proptest! {
        #[test]
        fn every_written_header_parses_back(
            (marker, payload_type) in (any::<bool>(), 0u8..128),
            (sequence_number, timestamp, ssrc) in (any::<u16>(), any::<u32>(), any::<u32>()),
            elements in prop::collection::vec((1u8.., prop::collection::vec(any::<u8>(), 0..30)), 0..8),
            one_byte in any::<bool>(),
            room in 0usize..300,
        ) {
            let fixed = FixedHeader {
                marker,
                payload_type: PayloadType(payload_type),
                sequence_number,
                timestamp,
                ssrc: Ssrc(ssrc),
            };
            let form = if one_byte { ExtensionForm::OneByte } else { ExtensionForm::TwoByte };
            let mut dst = vec![0xff; room];
            let Ok(mut writer) = HeaderWriter::new(&mut dst, fixed, form) else {
                prop_assert!(room < 12);
                return Ok(());
            };
            let written: Vec<_> = elements
                .iter()
                .filter_map(|(id, value)| Some((*id, value, writer.extension(*id, value).ok()?)))
                .collect();
            let len = writer.finish();
            prop_assert_eq!(form.header_len(written.iter().map(|(_, value, _)| value.len())), len);
            let header = Header::parse(&dst).unwrap();
            prop_assert_eq!(header.header_len(), len);
            prop_assert_eq!((header.marker, header.payload_type), (marker, fixed.payload_type));
            prop_assert_eq!((header.sequence_number, header.timestamp), (sequence_number, timestamp));
            prop_assert_eq!(header.ssrc, fixed.ssrc);
            let read: Vec<_> = header.extensions(&dst).collect();
            let expected: Vec<_> = written.iter().map(|(id, value, _)| (*id, value.as_slice())).collect();
            prop_assert_eq!(read, expected);
            for (_, value, offset) in written {
                prop_assert_eq!(&dst[offset..offset + value.len()], value.as_slice());
            }
        }
    }

    const FIXED: FixedHeader = FixedHeader {
        marker: true,
        payload_type: PayloadType(111),
        sequence_number: 0x1234,
        timestamp: 9,
        ssrc: Ssrc(7),
    };
}
