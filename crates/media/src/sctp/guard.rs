//! Inspects a packet before rtc-sctp handles it.
//!
//! The library panics on an ABORT or ERROR cause that is longer than its chunk. It also computes the start of
//! the next chunk from the length that the last chunk would have if serialized again. So an unusual but legal
//! chunk could lead it into the middle of another chunk, where it would read such a cause. Therefore chunks
//! pass only if both lengths agree.
//!
//! The library does not limit how far ahead a TSN may be either: one FORWARD TSN chunk could keep it counting
//! for a minute.

use super::{STREAMS, SctpError};

/// The contents of a packet that passed the inspection.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The initial TSN of an INIT.
    pub(super) init: Option<u32>,
    /// The last TSN before each stream reset that the peer asks for.
    pub(super) resets: Vec<u32>,
    /// The numbers of our own reset requests that the peer answers.
    pub(super) answers: Vec<u32>,
}

/// `acknowledged` is the cumulative TSN of our last SACK.
pub(super) fn inspect(packet: &[u8], acknowledged: u32) -> Result<Contents, SctpError> {
    let mut rest = packet.get(COMMON_HEADER_SIZE..).ok_or(SctpError::Malformed)?;
    if rest.is_empty() {
        return Err(SctpError::Malformed);
    }
    let mut contents = Contents::default();
    while !rest.is_empty() {
        let (header, value, next) = split(rest, 4).ok_or(SctpError::Malformed)?;
        let in_window = || word(value, 0).is_some_and(|tsn| is_in_window(tsn, acknowledged));
        match header[0] {
            INIT => contents.init = word(value, 12),
            RECONFIG => contents.add_resets(value, acknowledged)?,
            DATA | FORWARD_TSN if !in_window() => return Err(SctpError::TooFarAhead),
            DATA | SACK | HEARTBEAT | ABORT | SHUTDOWN | SHUTDOWN_ACK | COOKIE_ECHO | COOKIE_ACK
            | SHUTDOWN_COMPLETE | FORWARD_TSN => {}
            // INIT ACK is the answer to an INIT, and we send no INIT. ERROR is "not considered fatal" (RFC
            // 9260 §3.3.10), but the library ends the association over it.
            _ => return Err(SctpError::UnexpectedChunk),
        }
        if !is_exact(header[0], value) {
            return Err(SctpError::Malformed);
        }
        rest = next;
    }
    Ok(contents)
}

impl Contents {
    /// A request says its own number, that of a request it answers, and the last TSN sent on the streams (RFC 6525
    /// §4.1); an answer the number of the request (§4.4).
    fn add_resets(&mut self, mut parameters: &[u8], acknowledged: u32) -> Result<(), SctpError> {
        while let Some((header, value, rest)) = split(parameters, 4) {
            match u16::from_be_bytes([header[0], header[1]]) {
                OUTGOING_RESET => {
                    let last = word(value, 8).ok_or(SctpError::Malformed)?;
                    if !is_in_window(last, acknowledged) {
                        return Err(SctpError::TooFarAhead);
                    }
                    self.resets.push(last);
                }
                RECONFIG_RESPONSE => self.answers.extend(word(value, 0)),
                _ => {}
            }
            parameters = rest;
        }
        Ok(())
    }
}

/// What a packet that we are sending says; the library puts one control chunk into a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Everything up to this TSN has arrived.
    Acknowledgement(u32),
    /// A stream reset with this request number.
    Reset(u32),
}

pub(super) fn sent(packet: &[u8]) -> Option<Sent> {
    let (header, value, _) = split(packet.get(COMMON_HEADER_SIZE..)?, 4)?;
    match header[0] {
        SACK => word(value, 0).map(Sent::Acknowledgement),
        RECONFIG => match split(value, 4)? {
            ([0, 13, ..], request, _) => word(request, 0).map(Sent::Reset),
            _ => None,
        },
        _ => None,
    }
}

/// Whether `tsn` comes after `acknowledged`.
pub(super) fn is_ahead(tsn: u32, acknowledged: u32) -> bool {
    (1..=u32::MAX / 2).contains(&tsn.wrapping_sub(acknowledged))
}

/// Serial number arithmetic (RFC 1982): TSNs wrap.
fn is_in_window(tsn: u32, acknowledged: u32) -> bool {
    let ahead = tsn.wrapping_sub(acknowledged);
    ahead <= WINDOW || ahead > u32::MAX / 2
}

fn word(value: &[u8], at: usize) -> Option<u32> {
    value.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// Splits off a chunk, parameter or cause. Returns its header, its value, and the bytes behind its padding.
fn split(bytes: &[u8], alignment: usize) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let header: &[u8; 4] = bytes.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let value = bytes.get(4..length)?;
    let rest = bytes.get(length.next_multiple_of(alignment)..).unwrap_or_default();
    Some((header, value, rest))
}

fn is_exact(chunk_type: u8, value: &[u8]) -> bool {
    match chunk_type {
        DATA => {
            value.get(4..6).is_some_and(|id| u16::from_be_bytes([id[0], id[1]]) < STREAMS) && value.len() > 12
        }
        INIT => value.get(16..).is_some_and(|parameters| are_exact_parameters(parameters, usize::MAX)),
        SACK => is_exact_sack(value),
        HEARTBEAT => are_exact_parameters(value, 1),
        RECONFIG => are_exact_parameters(value, 2),
        ABORT => are_exact_causes(value),
        SHUTDOWN => value.len() == 4,
        FORWARD_TSN => value.len() >= 4 && value.len().is_multiple_of(4),
        SHUTDOWN_ACK | COOKIE_ACK | SHUTDOWN_COMPLETE => value.is_empty(),
        _ => true,
    }
}

fn is_exact_sack(value: &[u8]) -> bool {
    let Some(counts) = value.get(8..12) else { return false };
    let gaps = usize::from(u16::from_be_bytes([counts[0], counts[1]]));
    let duplicates = usize::from(u16::from_be_bytes([counts[2], counts[3]]));
    value.len() == 12 + 4 * (gaps + duplicates)
}

fn are_exact_parameters(mut parameters: &[u8], at_most: usize) -> bool {
    let mut count = 0;
    while !parameters.is_empty() {
        let Some((header, value, rest)) = split(parameters, 4) else { return false };
        let exact = match u16::from_be_bytes([header[0], header[1]]) {
            RECONFIG_RESPONSE => value.len() == 8,
            FORWARD_TSN_SUPPORTED => value.is_empty(),
            REQUESTED_HMAC_ALGORITHM => value.len().is_multiple_of(2),
            _ => true,
        };
        count += 1;
        if !exact || count > at_most {
            return false;
        }
        parameters = rest;
    }
    count > 0 || at_most == usize::MAX
}

/// Walks the causes as the library does, that is without padding between them.
fn are_exact_causes(mut causes: &[u8]) -> bool {
    while !causes.is_empty() {
        let Some((_, _, rest)) = split(causes, 1) else { return false };
        causes = rest;
    }
    true
}

const COMMON_HEADER_SIZE: usize = 12;

/// In chunks. The receive window allows about 500 of the usual size. A SACK for this many chunks, every
/// second one missing, has 8 kB.
const WINDOW: u32 = 4096;

// Chunk types (RFC 9260 §3.2, RFC 6525 §3.1, RFC 3758 §3.2).
const DATA: u8 = 0;
const INIT: u8 = 1;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const RECONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// RFC 6525 §4.1.
const OUTGOING_RESET: u16 = 13;
// Parameters whose length the library does not take from the wire.
const RECONFIG_RESPONSE: u16 = 16;
const REQUESTED_HMAC_ALGORITHM: u16 = 0x8004;
const FORWARD_TSN_SUPPORTED: u16 = 0xC000;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        [&[0; COMMON_HEADER_SIZE], chunks.concat().as_slice()].concat()
    }

    #[test]
    fn the_20_byte_abort_that_panics_the_library_is_stopped() {
        let abort = packet(&[&[ABORT, 0, 0, 8, 0, 12, 0, 200]]);
        assert_eq!(abort.len(), 20);
        assert_eq!(inspect(&abort, 0), Err(SctpError::Malformed));
    }

    #[test]
    fn well_formed_aborts_pass() {
        assert_eq!(inspect(&packet(&[&[ABORT, 0, 0, 4]]), 0), Ok(Contents::default()));
        assert_eq!(inspect(&packet(&[&[ABORT, 0, 0, 8, 0, 12, 0, 4]]), 0), Ok(Contents::default()));
    }

    #[test]
    fn chunks_that_the_library_would_measure_differently_are_stopped() {
        let hidden: &[u8] = &[ABORT, 0, 0, 8, 0, 12, 0, 200];
        let heartbeat = [&[HEARTBEAT, 0, 0, 16, 0, 1, 0, 4], hidden].concat();
        let response = [&[RECONFIG, 0, 0, 24, 0, 16, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1], hidden].concat();
        let cookie_ack = [&[COOKIE_ACK, 0, 0, 12], hidden].concat();
        for chunk in [heartbeat, response, cookie_ack] {
            assert_eq!(inspect(&packet(&[&chunk]), 0), Err(SctpError::Malformed), "{chunk:?}");
        }
    }

    #[test]
    fn errors_and_init_acks_are_not_for_us() {
        for chunk_type in [2, 9, 64] {
            assert_eq!(inspect(&packet(&[&[chunk_type, 0, 0, 4]]), 0), Err(SctpError::UnexpectedChunk));
        }
    }

    #[test]
    fn resets_and_their_answers_are_seen_in_both_directions() {
        let request = [130, 0, 0, 22, 0, 13, 0, 18, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 5, 0, 1, 0, 0];
        let contents = inspect(&packet(&[&request]), 3).unwrap();
        assert_eq!((contents.resets, contents.answers), (vec![5], vec![]));
        assert_eq!(inspect(&packet(&[&request]), u32::MAX - WINDOW), Err(SctpError::TooFarAhead));
        assert_eq!(sent(&packet(&[&request])), Some(Sent::Reset(9)));
        let response = [130, 0, 0, 16, 0, 16, 0, 12, 0, 0, 0, 9, 0, 0, 0, 1];
        let contents = inspect(&packet(&[&response]), 3).unwrap();
        assert_eq!((contents.resets, contents.answers), (vec![], vec![9]));
        assert_eq!(sent(&packet(&[&response])), None);
    }

    #[test]
    fn data_beyond_the_last_stream_is_stopped() {
        let data = |stream: u16| {
            let [high, low] = stream.to_be_bytes();
            packet(&[&[DATA, 3, 0, 17, 0, 0, 0, 1, high, low, 0, 0, 0, 0, 0, 53, 7, 0, 0, 0]])
        };
        assert_eq!(inspect(&data(STREAMS - 1), 0), Ok(Contents::default()));
        assert_eq!(inspect(&data(STREAMS), 0), Err(SctpError::Malformed));
    }

    #[test]
    fn tsns_far_ahead_are_stopped_and_old_ones_pass() {
        let forward = |tsn: u32| packet(&[&[FORWARD_TSN, 0, 0, 8], &tsn.to_be_bytes()]);
        let acknowledged = u32::MAX - 10;
        for ahead in [0u32, 1, WINDOW, u32::MAX] {
            let result = inspect(&forward(acknowledged.wrapping_add(ahead)), acknowledged);
            assert_eq!(result, Ok(Contents::default()), "{ahead}");
        }
        for ahead in [WINDOW + 1, 1 << 30] {
            let result = inspect(&forward(acknowledged.wrapping_add(ahead)), acknowledged);
            assert_eq!(result, Err(SctpError::TooFarAhead), "{ahead}");
        }
    }
}
