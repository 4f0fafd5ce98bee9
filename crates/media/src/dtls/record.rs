//! Inspects the record layer before the library reads a datagram, and stops what the library would answer
//! with a fatal alert or buffer without limit.

/// What a datagram of well-framed DTLS 1.2 records contains.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Records {
    /// Some record is not encrypted (epoch 0).
    pub(super) any_plaintext: bool,
}

/// `None` for a datagram that no DTLS 1.2 peer sends: broken framing, a foreign content type or version, or an epoch
/// after the first encrypted one, which would need renegotiation (RFC 6347 §4.1).
pub(super) fn inspect(datagram: &[u8]) -> Option<Records> {
    let mut rest = datagram;
    let mut any_plaintext = false;
    while !rest.is_empty() {
        let header: &[u8; HEADER_SIZE] = rest.first_chunk()?;
        let [content_type, major, _, epoch_high, epoch_low, .., length_high, length_low] = *header;
        let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
        if !CONTENT_TYPES.contains(&content_type) || major != DTLS_1 || epoch > 1 {
            return None;
        }
        any_plaintext |= epoch == 0;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if length == 0 {
            return None;
        }
        rest = rest.get(HEADER_SIZE + length..)?;
    }
    (!datagram.is_empty()).then_some(Records { any_plaintext })
}

const HEADER_SIZE: usize = 13;
/// change_cipher_spec, alert, handshake, application_data (RFC 5246 §6.2.1).
const CONTENT_TYPES: std::ops::RangeInclusive<u8> = 20..=23;
/// DTLS 1.x in one's complement.
const DTLS_1: u8 = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![content_type, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 1, 0, body.len() as u8];
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn records_of_both_epochs_pass() {
        let encrypted = record(23, 1, b"x");
        assert_eq!(inspect(&encrypted), Some(Records { any_plaintext: false }));
        assert_eq!(
            inspect(&[encrypted, record(22, 0, b"y")].concat()),
            Some(Records { any_plaintext: true })
        );
    }

    #[test]
    fn what_no_peer_sends_is_stopped() {
        let mut other_version = record(22, 0, b"x");
        other_version[1] = 3;
        let long = record(22, 0, b"abc");
        for datagram in
            [&[][..], &record(22, 2, b"x"), &record(24, 0, b"x"), &other_version, &record(22, 0, b"")]
        {
            assert_eq!(inspect(datagram), None);
        }
        for length in 1..long.len() {
            assert_eq!(inspect(&long[..length]), None, "of {length} bytes");
        }
    }
}
