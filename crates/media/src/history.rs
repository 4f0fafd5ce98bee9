//! The packets of one incoming stream, stored once for all consumers and retransmissions.

use crate::arrival::{Carried, Content};
use crate::codec::Descriptor;
use std::time::{Duration, Instant};

/// Recent packets by extended sequence number. Payloads lie in one ring of bytes that grows until it covers
/// [`RETENTION`]; a packet is lost once its bytes are overwritten.
#[derive(Debug)]
pub(crate) struct PacketHistory {
    slots: Box<[Option<Stored>]>,
    bytes: Vec<u8>,
    /// Total bytes written; modulo the ring's size, the position of the next payload.
    head: u64,
    /// Payloads at lower positions were overwritten before the ring last grew.
    floor: u64,
    /// When writing last wrapped around to the ring's start.
    lap: Instant,
    limit: usize,
}

/// One received packet, without its fixed header and extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) descriptor: Descriptor,
    pub(crate) carried: Carried,
    position: u64,
    /// Bytes of the dependency descriptor, which lies before the payload, and of the payload.
    lengths: [u16; 2],
}

impl PacketHistory {
    /// Room for `packets` packets with at most `limit` bytes in total; both are powers of two.
    pub(crate) fn new(packets: usize, limit: usize, now: Instant) -> Self {
        let slots = vec![None; packets.next_power_of_two()].into_boxed_slice();
        Self { slots, bytes: vec![0; INITIAL_BYTES.min(limit)], head: 0, floor: 0, lap: now, limit }
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        self.slot(sequence).is_some_and(|stored| stored.sequence == sequence)
    }

    /// True when a newer packet has taken the packet's place.
    pub(crate) fn is_past(&self, sequence: u64) -> bool {
        self.slot(sequence).is_some_and(|stored| stored.sequence > sequence)
    }

    pub(crate) fn get(&self, sequence: u64) -> Option<(&Stored, Content<'_>)> {
        let stored = self.slot(sequence).filter(|stored| stored.sequence == sequence)?;
        let overwritten =
            stored.position < self.floor || self.head - stored.position > self.bytes.len() as u64;
        let start = self.place(stored.position);
        let (dependency, payload) =
            self.bytes.get(start..start + stored.length())?.split_at(usize::from(stored.lengths[0]));
        (!overwritten).then_some((stored, Content { payload, dependency }))
    }

    /// Stores a packet, overwriting the oldest; payload and descriptor are at most [`MAX_PAYLOAD`] bytes
    /// together.
    pub(crate) fn store(&mut self, packet: Incoming, content: Content<'_>, now: Instant) {
        let Content { payload, dependency } = content;
        let length = dependency.len() + payload.len();
        let position = self.make_room(length, now);
        let start = self.place(position);
        let (before, after) = self.bytes[start..start + length].split_at_mut(dependency.len());
        before.copy_from_slice(dependency);
        after.copy_from_slice(payload);
        self.head = position + length as u64;
        let index = self.index(packet.sequence);
        self.slots[index] = Some(Stored {
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            descriptor: packet.descriptor,
            carried: packet.carried,
            position,
            lengths: [dependency.len() as u16, payload.len() as u16],
        });
    }

    pub(crate) fn stored_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The position for `length` contiguous bytes. Grows the ring if it wraps around within [`RETENTION`].
    fn make_room(&mut self, length: usize, now: Instant) -> u64 {
        let size = self.bytes.len() as u64;
        let offset = self.head % size;
        if offset + length as u64 <= size {
            return self.head;
        }
        let next_lap = self.head + (size - offset);
        if now.saturating_duration_since(self.lap) < RETENTION && self.bytes.len() * 2 <= self.limit {
            self.grow();
            return self.make_room(length, now);
        }
        self.lap = now;
        next_lap
    }

    /// Doubles the ring. Payloads never straddle the old end, so each keeps its position modulo the new size.
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        self.bytes = vec![0; old.len() * 2];
        self.floor = self.floor.max(self.head.saturating_sub(old.len() as u64));
        for stored in self.slots.iter().flatten().filter(|stored| stored.position >= self.floor) {
            let from = (stored.position % old.len() as u64) as usize;
            let to = self.place(stored.position);
            let length = stored.length();
            self.bytes[to..to + length].copy_from_slice(&old[from..from + length]);
        }
    }

    /// The index in the ring of a position; the ring's size is a power of two.
    fn place(&self, position: u64) -> usize {
        position as usize & (self.bytes.len() - 1)
    }

    fn slot(&self, sequence: u64) -> Option<&Stored> {
        self.slots[self.index(sequence)].as_ref()
    }

    fn index(&self, sequence: u64) -> usize {
        sequence as usize & (self.slots.len() - 1)
    }
}

impl Stored {
    fn length(&self) -> usize {
        self.lengths.into_iter().map(usize::from).sum()
    }
}

/// The values stored for a packet beside its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) descriptor: Descriptor,
    pub(crate) carried: Carried,
}

/// Longer than any round trip worth repairing over.
pub(crate) const RETENTION: Duration = Duration::from_secs(1);
const INITIAL_BYTES: usize = 16 * 1024;
/// Bytes that fit an outgoing packet beside its header, extensions, original sequence number and tag.
pub(crate) const MAX_PAYLOAD: usize = 1460;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, describe};

    #[test]
    fn a_stored_packet_is_found_by_its_sequence_until_it_is_written_over() {
        let start = Instant::now();
        let mut history = PacketHistory::new(64, 16 * 1024, start);
        for sequence in 100..200u64 {
            history.store(
                packet(sequence),
                content(&[sequence as u8; 1000]),
                start + Duration::from_secs(sequence),
            );
        }
        assert!(history.get(199).is_some_and(|(_, content)| content.payload == [199; 1000]));
        assert!(history.get(185).is_some());
        assert!(history.contains(140) && history.get(140).is_none(), "its slot is left, its bytes are gone");
        assert!(!history.contains(120) && history.is_past(120));
    }

    #[test]
    fn the_ring_grows_while_it_turns_over_faster_than_a_second_and_loses_nothing() {
        let start = Instant::now();
        let mut history = PacketHistory::new(512, 1 << 20, start);
        for sequence in 0..300u64 {
            let at = start + Duration::from_millis(sequence);
            history.store(packet(sequence), content(&[sequence as u8; 777]), at);
            for earlier in (0..=sequence).rev().step_by(17) {
                let (stored, Content { payload, .. }) = history.get(earlier).unwrap();
                assert_eq!(
                    (stored.sequence, payload[0], payload[776]),
                    (earlier, earlier as u8, earlier as u8)
                );
            }
        }
        assert_eq!(history.stored_bytes(), 256 * 1024);
    }

    #[test]
    fn what_was_overwritten_before_the_ring_grew_stays_lost() {
        let start = Instant::now();
        let mut history = PacketHistory::new(512, 1 << 20, start);
        // The first packets come slowly, so that they are written over; then a burst lets the ring grow.
        for sequence in 0..64u64 {
            let at = start + Duration::from_secs(sequence.min(32));
            history.store(packet(sequence), content(&[sequence as u8 + 1; 1000]), at);
            for (stored, content) in (0..64u64).filter_map(|sequence| history.get(sequence)) {
                assert_eq!(content.payload, [stored.sequence as u8 + 1; 1000], "after {sequence}");
            }
        }
        assert!(history.stored_bytes() > 16 * 1024);
        assert!(
            (0..64).all(|sequence| history.contains(sequence)),
            "none is taken for new if it comes again"
        );
    }

    #[test]
    fn it_stays_within_its_limit() {
        let start = Instant::now();
        let mut history = PacketHistory::new(1024, 64 * 1024, start);
        (0..1000).for_each(|sequence| history.store(packet(sequence), content(&[1; 1400]), start));
        assert_eq!(history.stored_bytes(), 64 * 1024);
        assert!(history.get(999).is_some() && history.get(900).is_none());
    }

    #[test]
    fn the_dependency_descriptor_lies_with_its_payload() {
        let start = Instant::now();
        let mut history = PacketHistory::new(16, 16 * 1024, start);
        history.store(packet(7), Content { payload: &[1, 2, 3], dependency: &[9, 8] }, start);
        let (_, Content { payload, dependency }) = history.get(7).unwrap();
        assert_eq!((payload, dependency), (&[1, 2, 3][..], &[9, 8][..]));
    }

    fn content(payload: &[u8]) -> Content<'_> {
        Content { payload, dependency: &[] }
    }

    fn packet(sequence: u64) -> Incoming {
        let descriptor = describe(Codec::Opus, &[1], None).unwrap();
        Incoming { sequence, timestamp: 0, marker: false, descriptor, carried: Carried::default() }
    }
}
