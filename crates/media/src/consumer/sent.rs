//! What a consumer sent, by its own sequence numbers: enough to send it again.

use crate::consumer::segments::SegmentId;

/// The last packets handed to the wire, [`Record`]s only; payloads stay in the producer's history.
#[derive(Debug)]
pub(crate) struct SentPackets {
    ring: Box<[Option<Record>]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Low 32 bits of the extended sequence number it went out with.
    pub(crate) outgoing: u32,
    /// Low 32 bits of the extended sequence number it came in with.
    pub(crate) incoming: u32,
    /// When it was last sent, in 2^-18 s: abs-send-time with a wider range.
    pub(crate) sent: u32,
    /// What the transport-wide counter was then.
    pub(crate) transport_sequence: u16,
    pub(crate) segment: SegmentId,
    /// The marker is set though the producer's is not.
    pub(crate) ends_picture: bool,
    /// Bytes of padding that it was sealed with.
    pub(crate) padding: u8,
    pub(crate) retransmissions: u8,
}

impl SentPackets {
    /// Remembers `packets`, a power of two.
    pub(crate) fn new(packets: usize) -> Self {
        Self { ring: vec![None; packets.next_power_of_two()].into_boxed_slice() }
    }

    pub(crate) fn insert(&mut self, record: Record) {
        let index = self.index(record.outgoing);
        self.ring[index] = Some(record);
    }

    pub(crate) fn get_mut(&mut self, outgoing: u32) -> Option<&mut Record> {
        let index = self.index(outgoing);
        self.ring[index].as_mut().filter(|record| record.outgoing == outgoing)
    }

    fn index(&self, outgoing: u32) -> usize {
        outgoing as usize & (self.ring.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::segments::{Segments, Shift, Source};

    #[test]
    fn a_record_is_found_until_a_newer_one_takes_its_place() {
        let mut sent = SentPackets::new(16);
        (0..20).for_each(|outgoing| sent.insert(record(outgoing)));
        assert_eq!(sent.get_mut(3), None);
        assert_eq!(sent.get_mut(19).map(|record| record.incoming), Some(1_019));
        assert_eq!(sent.get_mut(4).map(|record| record.outgoing), Some(4));
    }

    fn record(outgoing: u32) -> Record {
        let source = Source { encoding: 0, generation: 0 };
        let mut segments = Segments::default();
        segments.begin(source, 0, 0, Shift::default(), 0);
        let (segment, _) = segments.map(source, 0).unwrap();
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
        }
    }
}
