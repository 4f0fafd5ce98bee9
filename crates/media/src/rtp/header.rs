use std::ops::Range;

use super::{PayloadType, Ssrc};

/// The clear part of an RTP packet, as values and offsets: it borrows nothing, so it stays usable after
/// decryption in place. Works on encrypted packets, whose header stays readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: PayloadType,
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: Ssrc,
    padding: bool,
    extensions: Option<ExtensionBlock>,
    len: usize,
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("the packet ends inside its header")]
    Truncated,
    #[error("the RTP version is not 2")]
    Version,
}

impl Header {
    /// Reads the fixed header, CSRCs and the bounds of the extension block (RFC 3550 §5.1, §5.3.1).
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, ParseError> {
        let (fixed, _) = packet.split_first_chunk::<FIXED_LEN>().ok_or(ParseError::Truncated)?;
        let [flags, marker_and_type, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if flags >> 6 != VERSION {
            return Err(ParseError::Version);
        }
        let csrcs_end = FIXED_LEN + 4 * usize::from(flags & 0x0f);
        let after_csrcs = packet.get(csrcs_end..).ok_or(ParseError::Truncated)?;
        let (extensions, len) = if flags & EXTENSION_FLAG != 0 {
            let (block, end) = ExtensionBlock::parse(after_csrcs, csrcs_end)?;
            (block, end)
        } else {
            (None, csrcs_end)
        };
        Ok(Self {
            marker: marker_and_type & 0x80 != 0,
            payload_type: PayloadType(marker_and_type & 0x7f),
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([i0, i1, i2, i3])),
            padding: flags & PADDING_FLAG != 0,
            extensions,
            len,
        })
    }

    /// Bytes before the payload: fixed header, CSRCs and the whole extension block. This is what SRTP
    /// authenticates without encrypting (RFC 7714 §9.2).
    pub(crate) fn header_len(&self) -> usize {
        self.len
    }

    /// The header extension elements of `packet`, which must be the one this header was parsed from.
    /// Reading stops at the first malformed element, and at a reserved id 15 (RFC 8285 §4.2).
    pub(crate) fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        match self.extensions {
            Some(block) => {
                Extensions { form: block.form, rest: packet.get(block.start..self.len).unwrap_or_default() }
            }
            None => Extensions { form: ElementForm::OneByte, rest: &[] },
        }
    }

    /// The range of a decrypted packet's payload, without RTP padding. Empty for a padding-only packet;
    /// `None` if the padding count is zero or larger than the payload (RFC 3550 §5.1).
    pub(crate) fn payload_range(&self, plaintext_packet: &[u8]) -> Option<Range<usize>> {
        let body = plaintext_packet.get(self.len..)?;
        if !self.padding {
            return Some(self.len..plaintext_packet.len());
        }
        let padding = usize::from(*body.last()?);
        if padding == 0 || padding > body.len() {
            return None;
        }
        Some(self.len..plaintext_packet.len() - padding)
    }
}

/// Iterates over `(id, value)` of a packet's header extension elements, in order.
#[derive(Clone, Debug)]
pub(crate) struct Extensions<'a> {
    form: ElementForm,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let element = match self.form {
            ElementForm::OneByte => one_byte_element(self.rest),
            ElementForm::TwoByte => two_byte_element(self.rest),
        };
        let Some((id, value, rest)) = element else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some((id, value))
    }
}

/// RFC 8285 §4.2. Id 0 with a nonzero length ends reading, as id 15 does.
fn one_byte_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let id = first >> 4;
    if id == 0 || id == 15 {
        return None;
    }
    let (value, rest) = rest.split_at_checked(usize::from(first & 0x0f) + 1)?;
    Some((id, value, rest))
}

/// RFC 8285 §4.3.
fn two_byte_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [id, len, rest @ ..] = bytes else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((*id, value, rest))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ExtensionBlock {
    form: ElementForm,
    /// Offset of the first element in the packet.
    start: usize,
}

impl ExtensionBlock {
    /// Returns the block, `None` for a profile other than RFC 8285's, and the packet offset where it ends.
    fn parse(bytes: &[u8], offset: usize) -> Result<(Option<Self>, usize), ParseError> {
        let [p0, p1, l0, l1, elements @ ..] = bytes else { return Err(ParseError::Truncated) };
        let len = 4 * usize::from(u16::from_be_bytes([*l0, *l1]));
        if elements.len() < len {
            return Err(ParseError::Truncated);
        }
        let start = offset + 4;
        let form = match u16::from_be_bytes([*p0, *p1]) {
            ONE_BYTE_PROFILE => Some(ElementForm::OneByte),
            TWO_BYTE_PROFILE..=TWO_BYTE_PROFILE_LAST => Some(ElementForm::TwoByte),
            _ => None,
        };
        Ok((form.map(|form| Self { form, start }), start + len))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ElementForm {
    OneByte,
    TwoByte,
}

pub(crate) const FIXED_LEN: usize = 12;
pub(super) const VERSION: u8 = 2;
pub(super) const EXTENSION_FLAG: u8 = 0x10;
pub(super) const PADDING_FLAG: u8 = 0x20;
pub(super) const ONE_BYTE_PROFILE: u16 = 0xbede;
pub(super) const TWO_BYTE_PROFILE: u16 = 0x1000;
/// The low four bits of the two-byte profile are the application's ("appbits").
const TWO_BYTE_PROFILE_LAST: u16 = 0x100f;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_header_gives_its_fields_and_payload() {
        let packet = packet(0x80, &[]);
        let header = Header::parse(&packet).unwrap();
        assert!(header.marker);
        assert_eq!(header.payload_type, PayloadType(96));
        assert_eq!(header.sequence_number, 0x1234);
        assert_eq!(header.timestamp, 0x0102_0304);
        assert_eq!(header.ssrc, Ssrc(0xdead_beef));
        assert_eq!(header.header_len(), 12);
        assert!(!header.padding);
        assert_eq!(header.payload_range(&packet), Some(12..15));
        assert_eq!(header.extensions(&packet).count(), 0);
    }

    #[test]
    fn csrcs_are_skipped_before_the_extension_block() {
        let packet = packet(0x92, &[1, 1, 1, 1, 2, 2, 2, 2, 0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.header_len(), 12 + 8 + 8);
        assert_eq!(elements(&header, &packet), [(1, &[0x55][..])]);
    }

    #[test]
    fn one_byte_elements_are_read_around_padding_and_id_15_ends_them() {
        let block = [0xbe, 0xde, 0, 3, 0x31, 7, 8, 0, 0, 0x50, 9, 0xf0, 1, 0x10, 1, 0];
        let packet = packet(0x90, &block);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(elements(&header, &packet), [(3, &[7, 8][..]), (5, &[9])]);
        assert_eq!(header.header_len(), 12 + 16, "elements behind id 15 still belong to the header");
    }

    #[test]
    fn id_zero_with_a_length_ends_one_byte_elements() {
        let packet = packet(0x90, &[0xbe, 0xde, 0, 2, 0x10, 7, 0x01, 1, 1, 0x20, 2, 0]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(elements(&header, &packet), [(1, &[7][..])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty_long_and_have_high_ids() {
        let mut block = vec![0x10, 0x05, 0, 6, 200, 0, 0, 15, 18];
        block.extend([7; 18]);
        block.push(0);
        let packet = packet(0x90, &block);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(elements(&header, &packet), [(200, &[][..]), (15, &[7; 18])]);
    }

    #[test]
    fn an_element_that_overruns_its_block_is_not_read() {
        let packet = packet(0x90, &[0xbe, 0xde, 0, 1, 0x10, 7, 0x2f, 1]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(elements(&header, &packet), [(1, &[7][..])]);
    }

    #[test]
    fn a_foreign_extension_profile_is_skipped_whole() {
        let packet = packet(0x90, &[0x12, 0x34, 0, 1, 0x10, 7, 0, 0]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.header_len(), 20);
        assert_eq!(header.extensions(&packet).count(), 0);
    }

    #[test]
    fn padding_is_stripped_and_a_padding_only_packet_has_an_empty_payload() {
        let mut packet = packet(0xa0, &[]);
        let header = Header::parse(&packet).unwrap();
        assert!(header.padding);
        *packet.last_mut().unwrap() = 1;
        assert_eq!(header.payload_range(&packet), Some(12..14));
        *packet.last_mut().unwrap() = 3;
        assert_eq!(header.payload_range(&packet), Some(12..12));
    }

    #[test]
    fn a_padding_count_of_zero_or_too_many_is_invalid() {
        let mut packet = packet(0xa0, &[]);
        let header = Header::parse(&packet).unwrap();
        *packet.last_mut().unwrap() = 0;
        assert_eq!(header.payload_range(&packet), None);
        *packet.last_mut().unwrap() = 4;
        assert_eq!(header.payload_range(&packet), None);
        assert_eq!(header.payload_range(&packet[..12]), None);
    }

    #[test]
    fn what_is_cut_short_or_of_another_version_is_refused() {
        let whole = packet(0x91, &[1, 1, 1, 1, 0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
        for len in 0..24 {
            assert_eq!(Header::parse(&whole[..len]), Err(ParseError::Truncated), "{len} bytes");
        }
        assert!(Header::parse(&whole[..24]).is_ok());
        assert_eq!(Header::parse(&packet(0x40, &[])), Err(ParseError::Version));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_header_reach_outside_the_packet(
            mut packet in prop::collection::vec(any::<u8>(), 0..200),
            plausible in any::<bool>(),
            other in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if plausible && let Some(first) = packet.first_mut() {
                *first = 0x90 | (*first & 0x21);
                if let Some(profile) = packet.get_mut(12..16) {
                    profile.copy_from_slice(&[0xbe, 0xde, 0, 8]);
                }
            }
            if let Ok(header) = Header::parse(&packet) {
                prop_assert!(header.header_len() <= packet.len());
                prop_assert!(header.extensions(&packet).count() <= packet.len());
                if let Some(range) = header.payload_range(&packet) {
                    prop_assert!(range.start == header.header_len() && range.end <= packet.len());
                }
                header.extensions(&other).count();
                header.payload_range(&other);
            }
        }
    }

    fn elements<'a>(header: &Header, packet: &'a [u8]) -> Vec<(u8, &'a [u8])> {
        header.extensions(packet).collect()
    }

    /// A packet with the given first byte, what follows the fixed header, and three payload bytes.
    fn packet(first: u8, after_fixed: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0x80 | 96, 0x12, 0x34, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef];
        packet.extend(after_fixed);
        packet.extend([0xaa, 0xbb, 0xcc]);
        packet
    }
}
