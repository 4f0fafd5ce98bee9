//! Whole handshake messages out of the fragments that arrive (RFC 6347 §4.2.2, §4.2.3).

use rtc_dtls::handshake::Handshake;

/// A handshake message that the library can parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) sequence: u16,
    pub(super) body: Vec<u8>,
}

/// Messages in the making. Fragments in plaintext can be forged, so the newest fragment wins: when the peer repeats
/// a message, it replaces what somebody else said meanwhile.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    partial: Vec<Partial>,
}

#[derive(Debug)]
struct Partial {
    message: Message,
    have: Vec<bool>,
}

/// One fragment, with its header's fields.
#[derive(Debug, Clone, Copy)]
struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    bytes: &'a [u8],
}

impl Message {
    /// The message in one fragment, as it is hashed for signatures and Finished (RFC 6347 §4.2.6).
    pub(super) fn bytes(&self) -> Vec<u8> {
        let [_, high, middle, low] = (self.body.len() as u32).to_be_bytes();
        let [first, second] = self.sequence.to_be_bytes();
        let mut bytes = vec![self.kind, high, middle, low, first, second, 0, 0, 0, high, middle, low];
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The messages of a flight of our own.
    pub(super) fn all_in(records: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<Self> {
        let mut reassembly = Reassembly::default();
        records.flat_map(|body| reassembly.add(body.as_ref(), 0).0).collect()
    }

    fn is_sound(&self) -> bool {
        Handshake::unmarshal(&mut self.bytes().as_slice()).is_ok()
    }
}

impl Reassembly {
    /// Adds the fragments in a record's body. Returns the messages that are complete with them, and how many
    /// fragments and messages were dropped. Messages before number `from` are over.
    pub(super) fn add(&mut self, mut body: &[u8], from: u16) -> (Vec<Message>, u32) {
        self.partial.retain(|partial| partial.message.sequence >= from);
        let (mut complete, mut dropped) = (Vec::new(), 0);
        while !body.is_empty() {
            let Some((fragment, rest)) = Fragment::split(body) else { return (complete, dropped + 1) };
            body = rest;
            if fragment.sequence < from {
                continue;
            }
            if fragment.sequence - from >= WINDOW {
                dropped += 1;
                continue;
            }
            match self.place(&fragment) {
                Some(message) if message.is_sound() => complete.push(message),
                Some(_) => dropped += 1,
                None => {}
            }
        }
        (complete, dropped)
    }

    fn place(&mut self, fragment: &Fragment<'_>) -> Option<Message> {
        let same = |partial: &Partial| partial.message.sequence == fragment.sequence;
        let fits = |partial: &Partial| {
            partial.message.kind == fragment.kind && partial.message.body.len() == fragment.length
        };
        self.partial.retain(|partial| !same(partial) || fits(partial));
        let index = self.partial.iter().position(same).unwrap_or_else(|| {
            self.partial.push(Partial::new(fragment));
            self.partial.len() - 1
        });
        let partial = &mut self.partial[index];
        let range = fragment.offset..fragment.offset + fragment.bytes.len();
        partial.message.body[range.clone()].copy_from_slice(fragment.bytes);
        partial.have[range].fill(true);
        let whole = partial.have.iter().all(|&have| have);
        whole.then(|| self.partial.swap_remove(index).message)
    }
}

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        let body = vec![0; fragment.length];
        let message = Message { kind: fragment.kind, sequence: fragment.sequence, body };
        Self { message, have: vec![false; fragment.length] }
    }
}

impl<'a> Fragment<'a> {
    fn split(body: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = body.split_first_chunk::<12>()?;
        let (bytes, rest) = rest.split_at_checked(long(header, 9))?;
        let (length, offset) = (long(header, 1), long(header, 6));
        let fragment = Self {
            kind: header[0],
            length,
            sequence: u16::from_be_bytes([header[4], header[5]]),
            offset,
            bytes,
        };
        (length <= MAX_LENGTH && offset + bytes.len() <= length).then_some((fragment, rest))
    }
}

fn long(header: &[u8; 12], at: usize) -> usize {
    usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
}

/// A client's answer to our flight has four messages.
const WINDOW: u16 = 8;
/// Bytes. A certificate has some 500, a ClientHello with post-quantum key shares 1 800.
const MAX_LENGTH: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// A ClientKeyExchange of 32 bytes in two fragments, cut at `at`.
    fn key_exchange(sequence: u8, fill: u8, at: usize) -> [Vec<u8>; 2] {
        let body = [vec![31], vec![fill; 31]].concat();
        [(0, &body[..at]), (at, &body[at..])].map(|(offset, part)| {
            let header = [16, 0, 0, 32, 0, sequence, 0, 0, offset as u8, 0, 0, part.len() as u8];
            [&header[..], part].concat()
        })
    }

    #[test]
    fn fragments_in_any_order_make_a_message() {
        let [first, second] = key_exchange(2, 7, 10);
        let mut reassembly = Reassembly::default();
        assert_eq!(reassembly.add(&second, 2), (vec![], 0));
        let (complete, _) = reassembly.add(&first, 2);
        assert_eq!((complete.len(), complete[0].sequence, complete[0].body[31]), (1, 2, 7));
    }

    #[test]
    fn the_newest_fragment_wins() {
        let mut reassembly = Reassembly::default();
        reassembly.add(&key_exchange(2, 1, 10)[0], 2);
        let [first, second] = key_exchange(2, 9, 20);
        reassembly.add(&first, 2);
        let (complete, _) = reassembly.add(&second, 2);
        assert_eq!(complete[0].body[1..], [9; 31]);
    }

    #[test]
    fn what_cannot_be_a_message_is_dropped_and_what_is_over_is_ignored() {
        let mut reassembly = Reassembly::default();
        let [first, _] = key_exchange(2, 7, 10);
        assert_eq!(reassembly.add(&first[..11], 2), (vec![], 1));
        let mut long = first.clone();
        long[11] = 200;
        assert_eq!(reassembly.add(&long, 2), (vec![], 1));
        let unknown = [99, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 5];
        assert_eq!(reassembly.add(&unknown, 2), (vec![], 1));
        assert_eq!(reassembly.add(&key_exchange(10, 7, 10)[0], 2), (vec![], 1));
        assert_eq!(reassembly.add(&key_exchange(1, 7, 10)[0], 2), (vec![], 0));
    }
}
