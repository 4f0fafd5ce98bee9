//! RTP headers (RFC 3550 §5.1) with one-byte extensions (RFC 8285 §4.2), read and written in place.

/// The values that a receiver reads before decryption: SRTP does not encrypt RTP headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) has_padding: bool,
    /// Length in bytes of everything before the payload.
    pub(crate) len: usize,
    extensions: Option<Extensions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extensions {
    start: usize,
    one_byte: bool,
}

impl Header {
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let fixed = packet.first_chunk::<FIXED_LEN>()?;
        let [first, second, ..] = *fixed;
        let csrcs = 4 * usize::from(first & 0x0f);
        let mut len = FIXED_LEN + csrcs;
        let mut extensions = None;
        if first & 0x10 != 0 {
            let [a, b, c, d] = *packet.get(len..)?.first_chunk::<4>()?;
            extensions = Some(Extensions { start: len + 4, one_byte: [a, b] == ONE_BYTE_PROFILE });
            len += 4 + 4 * usize::from(u16::from_be_bytes([c, d]));
        }
        (first >> 6 == 2 && packet.len() >= len).then_some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            has_padding: first & 0x20 != 0,
            len,
            extensions,
        })
    }

    /// The header with another sequence number: a retransmission is counted under the original's number.
    pub(crate) fn with_sequence(self, sequence: u16) -> Self {
        Self { sequence, ..self }
    }

    /// The value of the extension with this id.
    pub(crate) fn extension<'a>(&self, packet: &'a [u8], wanted: u8) -> Option<&'a [u8]> {
        let Extensions { start, one_byte } = self.extensions?;
        let mut block = packet.get(start..self.len)?;
        while let Some((&first, rest)) = block.split_first() {
            if first == 0 {
                block = rest;
                continue;
            }
            let (id, length, rest) = if one_byte {
                (first >> 4, usize::from(first & 0x0f) + 1, rest)
            } else {
                let (&length, rest) = rest.split_first()?;
                (first, length.into(), rest)
            };
            let (value, rest) = rest.split_at_checked(length)?;
            if id == wanted {
                return Some(value);
            }
            block = rest;
        }
        None
    }

    /// The payload of the opened packet, without padding.
    pub(crate) fn payload<'a>(&self, plain: &'a [u8]) -> &'a [u8] {
        let padding = if self.has_padding { plain.last().copied().unwrap_or(0) } else { 0 };
        let end = plain.len().saturating_sub(padding.into());
        plain.get(self.len..end).unwrap_or_default()
    }
}

/// Appends a header with its extensions to an empty buffer; the payload follows.
pub(crate) fn write_header(
    packet: &mut Vec<u8>,
    (payload_type, marker): (u8, bool),
    (sequence, timestamp, ssrc): (u16, u32, u32),
    extensions: &[(u8, &[u8])],
) {
    packet.extend_from_slice(&[0x90, u8::from(marker) << 7 | payload_type]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&ONE_BYTE_PROFILE);
    let length_at = packet.len();
    packet.extend_from_slice(&[0, 0]);
    let start = packet.len();
    for (id, value) in extensions {
        packet.push(id << 4 | (value.len() as u8 - 1));
        packet.extend_from_slice(value);
    }
    packet.resize(start + (packet.len() - start).next_multiple_of(4), 0);
    let words = ((packet.len() - start) / 4) as u16;
    packet[length_at..start].copy_from_slice(&words.to_be_bytes());
}

const FIXED_LEN: usize = 12;
const ONE_BYTE_PROFILE: [u8; 2] = [0xbe, 0xde];

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtp::Packet;
    use rtc_shared::marshal::Unmarshal;

    #[test]
    fn another_parser_reads_what_is_written_here() {
        let mut packet = Vec::new();
        write_header(&mut packet, (96, true), (65_535, 7, 0xdead_beef), &[(3, &[1, 2]), (4, b"1")]);
        packet.extend_from_slice(b"payload");
        let parsed = Packet::unmarshal(&mut &packet[..]).unwrap();
        let header = &parsed.header;
        assert_eq!((header.payload_type, header.marker, header.sequence_number), (96, true, 65_535));
        assert_eq!((header.timestamp, header.ssrc), (7, 0xdead_beef));
        assert_eq!(header.get_extension(3).unwrap()[..], [1, 2]);
        assert_eq!(header.get_extension(4).unwrap()[..], *b"1");
        assert_eq!(parsed.payload[..], *b"payload");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut packet = Vec::new();
        write_header(&mut packet, (111, false), (1, 2, 3), &[(1, &[9]), (5, &[1, 2, 3])]);
        packet.extend_from_slice(b"payload");
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.payload_type, header.marker, header.sequence, header.ssrc), (111, false, 1, 3));
        assert_eq!(header.extension(&packet, 5), Some(&[1, 2, 3][..]));
        assert_eq!(header.extension(&packet, 6), None);
        assert_eq!(header.payload(&packet), b"payload");
    }

    #[test]
    fn padding_is_no_payload() {
        let packet = [&[0xa0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7][..], b"media", &[0, 0, 3]].concat();
        let header = Header::parse(&packet).unwrap();
        assert_eq!(header.payload(&packet), b"media");
    }

    #[test]
    fn cut_packets_are_refused() {
        let mut packet = Vec::new();
        write_header(&mut packet, (96, true), (1, 2, 3), &[(3, &[1, 2])]);
        for length in 0..packet.len() {
            assert_eq!(Header::parse(&packet[..length]), None, "{length}");
        }
    }
}
