//! The packets a consumer sent, by outgoing sequence number, with what is needed to retransmit them.

use crate::consumer::segments::SegmentId;
use crate::history::RETENTION;
use crate::prefetch::prefetch;
use std::time::Instant;

/// The last packets handed to the wire, [`Record`]s only; payloads stay in the producer's history. The ring
/// grows until it covers [`RETENTION`], the time that payloads are kept.
#[derive(Debug)]
pub(crate) struct SentPackets {
    ring: Box<[Option<Record>]>,
    /// When the ring last wrapped around to its first place; `None` after it grew.
    lap: Option<Instant>,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Low 32 bits of the outgoing extended sequence number.
    pub(crate) outgoing: u32,
    /// Low 32 bits of the incoming extended sequence number.
    pub(crate) incoming: u32,
    /// Time of the first sending in units of 2^-18 s, as in abs-send-time but with 32 bits.
    pub(crate) sent: u32,
    /// Transport-wide sequence number at the first sending.
    pub(crate) transport_sequence: u16,
    pub(crate) segment: SegmentId,
    /// The marker is set for this consumer, even if the producer did not set it.
    pub(crate) ends_picture: bool,
    /// Bytes of padding that the packet was sealed with.
    pub(crate) padding: u8,
    pub(crate) retransmissions: u8,
    /// Time from the first sending to the last retransmission, in units of 2^-8 s.
    pub(crate) repeated: u8,
    /// Padding in place of the packet, which is not forwarded.
    pub(crate) fill: bool,
}

impl SentPackets {
    /// Remembers at most `limit` packets, a power of two.
    pub(crate) fn new(limit: usize) -> Self {
        Self { ring: vec![None; INITIAL_RECORDS.min(limit)].into(), lap: None, limit }
    }

    pub(crate) fn insert(&mut self, record: Record, now: Instant) {
        if self.index(record.outgoing) == 0 {
            self.begin_lap(now);
        }
        let index = self.index(record.outgoing);
        self.ring[index] = Some(record);
    }

    /// Prefetches the place of a packet.
    pub(crate) fn prefetch(&self, outgoing: u32) {
        prefetch(&self.ring[self.index(outgoing)]);
    }

    pub(crate) fn get_mut(&mut self, outgoing: u32) -> Option<&mut Record> {
        let index = self.index(outgoing);
        self.ring[index].as_mut().filter(|record| record.outgoing == outgoing)
    }

    /// Grows the ring if it wrapped around in less than [`RETENTION`].
    fn begin_lap(&mut self, now: Instant) {
        let before = self.lap.replace(now);
        let is_too_fast = before.is_some_and(|lap| now.saturating_duration_since(lap) < RETENTION);
        if !is_too_fast || self.ring.len() * 2 > self.limit {
            return;
        }
        self.lap = None;
        let grown = vec![None; self.ring.len() * 2].into_boxed_slice();
        for record in std::mem::replace(&mut self.ring, grown).into_iter().flatten() {
            let index = self.index(record.outgoing);
            self.ring[index] = Some(record);
        }
    }

    fn index(&self, outgoing: u32) -> usize {
        outgoing as usize & (self.ring.len() - 1)
    }
}

/// A quarter of a second of camera video, or more than a second of audio.
const INITIAL_RECORDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::EncodingLife;
    use crate::consumer::segments::{Segments, Shift};
    use std::time::Duration;

    #[test]
    fn a_record_is_found_until_a_newer_one_takes_its_place() {
        let mut sent = SentPackets::new(16);
        let now = Instant::now();
        (0..20).for_each(|outgoing| sent.insert(record(outgoing), now));
        assert_eq!(sent.get_mut(3), None);
        assert_eq!(sent.get_mut(19).map(|record| record.incoming), Some(1_019));
        assert_eq!(sent.get_mut(4).map(|record| record.outgoing), Some(4));
    }

    #[test]
    fn the_ring_grows_to_what_is_sent_in_a_second_and_loses_nothing_by_it() {
        for (per_second, places) in [(50, 64), (170, 256), (400, 512), (5_000, 1024)] {
            let mut sent = SentPackets::new(1024);
            let start = Instant::now();
            for outgoing in 0..10 * per_second {
                let now = start + Duration::from_secs(1) * outgoing / per_second;
                sent.insert(record(outgoing), now);
                let kept = per_second.min(INITIAL_RECORDS as u32).min(outgoing);
                assert!(sent.get_mut(outgoing - kept / 2).is_some(), "{outgoing} of {per_second}");
            }
            assert_eq!(sent.ring.len(), places, "{per_second} packets a second");
        }
    }

    fn record(outgoing: u32) -> Record {
        let source = EncodingLife { encoding: 0, generation: 0 };
        let mut segments = Segments::default();
        segments.begin(source, 0, 0, Shift::default(), 0);
        let segment = segments.map(source, 0).unwrap().segment;
        let incoming = outgoing + 1_000;
        Record {
            outgoing,
            incoming,
            sent: 0,
            transport_sequence: 0,
            segment,
            ends_picture: false,
            padding: 0,
            retransmissions: 0,
            repeated: 0,
            fill: false,
        }
    }
}
