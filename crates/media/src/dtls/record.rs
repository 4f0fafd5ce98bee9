//! Splits a datagram into DTLS records and leaves out what no DTLS 1.2 peer sends. Such records are dropped and
//! counted, one by one (RFC 6347 §4.1.2.7).

/// A well-framed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) content: Content,
    /// The record is of epoch 1, which is the only encrypted one: there is no renegotiation.
    pub(super) encrypted: bool,
    pub(super) body: &'a [u8],
    /// Header and body.
    pub(super) bytes: &'a [u8],
}

/// RFC 5246 §6.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

/// Iterates over the records of a datagram.
#[derive(Debug)]
pub(super) struct Records<'a> {
    rest: &'a [u8],
    /// The number of records left out. What follows a record with a wrong length counts as one.
    pub(super) dropped: u32,
}

impl<'a> Records<'a> {
    pub(super) fn of(datagram: &'a [u8]) -> Self {
        Self { rest: datagram, dropped: 0 }
    }

    /// Splits off the next record of the datagram, or `None` if its length is wrong.
    fn split(&mut self) -> Option<&'a [u8]> {
        let length = self.rest.get(HEADER_SIZE - 2..HEADER_SIZE)?;
        let end = HEADER_SIZE + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (bytes, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        while !self.rest.is_empty() {
            let Some(bytes) = self.split() else {
                self.rest = &[];
                self.dropped += 1;
                return None;
            };
            if let Some(record) = Record::parse(bytes) {
                return Some(record);
            }
            self.dropped += 1;
        }
        None
    }
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[content, major, minor, epoch_high, epoch_low, ..], body) =
            bytes.split_first_chunk::<HEADER_SIZE>()?;
        let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
        if major != MAJOR || !MINORS.contains(&minor) || epoch > 1 || body.is_empty() {
            return None;
        }
        Some(Self { content: Content::parse(content)?, encrypted: epoch == 1, body, bytes })
    }

    /// A copy of a record in plaintext with another number. These numbers are not authenticated: a forged one could
    /// move the library's replay window past all numbers that the peer will use.
    pub(super) fn renumbered(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        set_number(&mut bytes, number);
        bytes
    }
}

impl Content {
    fn parse(content: u8) -> Option<Self> {
        match content {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            _ => None,
        }
    }
}

/// Writes a handshake record in plaintext.
pub(super) fn write_handshake(body: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = vec![22, MAJOR, 253, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
    bytes.extend_from_slice(body);
    set_number(&mut bytes, number);
    bytes
}

/// Adds `shift` to the numbers of the plaintext records in a datagram of ours.
pub(super) fn shift_numbers(datagram: &mut [u8], shift: u64) {
    let mut at = 0;
    while let Some(header) = datagram.get_mut(at..at + HEADER_SIZE) {
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        if header[3..5] == [0, 0] {
            let number = header[5..11].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
            set_number(header, number + shift);
        }
        at += HEADER_SIZE + length;
    }
}

fn set_number(header: &mut [u8], number: u64) {
    header[5..11].copy_from_slice(&number.to_be_bytes()[2..]);
}

const HEADER_SIZE: usize = 13;
/// DTLS 1.x in one's complement.
const MAJOR: u8 = 254;
/// DTLS 1.2, and 1.0 as many clients say in their first record (RFC 6347 §4.2.1).
const MINORS: [u8; 2] = [253, 255];

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    }

    fn read(datagram: &[u8]) -> (Vec<Vec<u8>>, u32) {
        let mut records = Records::of(datagram);
        let bodies = records.by_ref().map(|record| record.body.to_vec()).collect();
        (bodies, records.dropped)
    }

    #[test]
    fn records_of_both_epochs_pass() {
        let datagram = [record(23, 1, b"x"), record(22, 0, b"y")].concat();
        let records: Vec<_> =
            Records::of(&datagram).map(|record| (record.content, record.encrypted, record.body)).collect();
        assert_eq!(
            records,
            [(Content::ApplicationData, true, &b"x"[..]), (Content::Handshake, false, &b"y"[..])]
        );
    }

    #[test]
    fn what_no_peer_sends_is_left_out_and_what_follows_it_is_read() {
        let (mut version, mut minor) = (record(22, 0, b"x"), record(22, 0, b"x"));
        (version[1], minor[2]) = (3, 252);
        for bad in [version, minor, record(22, 2, b"x"), record(24, 0, b"x"), record(22, 0, b"")] {
            assert_eq!(read(&[bad, record(22, 0, b"good")].concat()), (vec![b"good".to_vec()], 1));
        }
    }

    #[test]
    fn a_cut_record_ends_the_datagram_and_what_came_before_it_is_read() {
        let cut = record(22, 0, b"abc");
        for length in 1..cut.len() {
            let datagram = [&record(22, 0, b"good"), &cut[..length]].concat();
            assert_eq!(read(&datagram), (vec![b"good".to_vec()], 1), "of {length} bytes");
        }
    }

    #[test]
    fn only_plaintext_records_get_other_numbers() {
        let mut datagram = [record(22, 0, b"x"), record(22, 1, b"y")].concat();
        shift_numbers(&mut datagram, 0x1_0000);
        assert_eq!(
            (datagram[5..11].to_vec(), datagram[19..25].to_vec()),
            (vec![0, 0, 0, 1, 0, 1], vec![0, 0, 0, 0, 0, 1])
        );
    }
}
