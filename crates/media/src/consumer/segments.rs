//! How a consumer renumbers forwarded packets: sequence numbers without gaps, continuous timestamps and
//! picture ids.

use crate::arrival::EncodingLife;
use crate::consumer::sent::Record;

/// A stretch of one source whose packets are all renumbered alike. A dropped packet ends a segment; the next
/// segment is numbered one lower. So drops leave no gap, and late packets keep their reserved numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) source: EncodingLife,
    pub(crate) shift: Shift,
    /// Extended incoming sequence numbers, `start` inclusive, `end` exclusive.
    start: u64,
    end: u64,
    /// Incoming minus outgoing extended sequence number.
    offset: i64,
}

impl Segment {
    /// The outgoing place of one of the segment's packets; `number` is the segment's number.
    fn place(&self, number: usize, sequence: u64) -> Option<Place> {
        let outgoing = sequence.checked_add_signed(-self.offset)?;
        Some(Place { outgoing, segment: SegmentId::of(number), shift: self.shift })
    }

    /// Whether a record's packet was renumbered by this segment, not by an earlier one with the same
    /// [`SegmentId`].
    pub(crate) fn carries(&self, record: &Record) -> bool {
        (i64::from(record.incoming) - self.offset) as u32 == record.outgoing
    }
}

/// The values subtracted from a packet's fields, modulo each field's width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    pub(crate) tl0_pic_idx: u8,
}

/// The recent segments of one consumer.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// The open segment, to which nearly all packets belong. Its number is `ended`.
    current: Option<Segment>,
    /// How many segments have ended in the consumer's life.
    ended: usize,
    /// The last ended segments, by number modulo [`CAPACITY`].
    past: Vec<Segment>,
}

/// A packet's place in the outgoing stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Extended sequence number.
    pub(crate) outgoing: u64,
    pub(crate) segment: SegmentId,
    pub(crate) shift: Shift,
}

/// Names a segment for as long as it is remembered: the low bits of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentId(u8);

impl Segments {
    pub(crate) fn current(&self) -> Option<&Segment> {
        self.current.as_ref()
    }

    pub(crate) fn get(&self, id: SegmentId) -> Option<&Segment> {
        if id == SegmentId::of(self.ended) {
            return self.current.as_ref();
        }
        self.past.get(usize::from(id.0) % CAPACITY)
    }

    /// Begins a source at incoming `start`, which is sent as `outgoing`. `end` is the exclusive end of the
    /// previous segment: later packets of its source are not forwarded.
    pub(crate) fn begin(&mut self, source: EncodingLife, start: u64, outgoing: u64, shift: Shift, end: u64) {
        let next = Segment { source, shift, start, end: u64::MAX, offset: start as i64 - outgoing as i64 };
        self.replace(next, end);
    }

    /// Drops incoming `sequence`, the newest seen, without leaving a gap; `shift` applies to the packets
    /// after it.
    pub(crate) fn skip(&mut self, sequence: u64, shift: Shift) {
        let Some(current) = &mut self.current else { return };
        let next = Segment { start: sequence + 1, offset: current.offset + 1, shift, ..*current };
        if current.start == sequence {
            *current = next;
        } else {
            self.replace(next, sequence);
        }
    }

    /// The outgoing place of incoming `sequence`, if a number is reserved for it.
    pub(crate) fn map(&self, source: EncodingLife, sequence: u64) -> Option<Place> {
        let (number, segment) = self.newest_first().find(|(_, segment)| {
            segment.source == source && (segment.start..segment.end).contains(&sequence)
        })?;
        segment.place(number, sequence)
    }

    /// The outgoing place of incoming `sequence`, which must be newer than all previous packets of the
    /// current source.
    pub(crate) fn next(&self, sequence: u64) -> Option<Place> {
        self.current.as_ref()?.place(self.ended, sequence)
    }

    /// The source and incoming number of outgoing `outgoing`.
    pub(crate) fn unmap(&self, outgoing: u64) -> Option<(EncodingLife, u64)> {
        self.newest_first().find_map(|(_, segment)| {
            let sequence = outgoing.checked_add_signed(segment.offset)?;
            (segment.start..segment.end).contains(&sequence).then_some((segment.source, sequence))
        })
    }

    fn newest_first(&self) -> impl Iterator<Item = (usize, &Segment)> {
        let current = self.current.iter().map(|segment| (self.ended, segment));
        let oldest = self.ended.saturating_sub(CAPACITY);
        let past = (oldest..self.ended).rev().map(|number| (number, &self.past[number % CAPACITY]));
        current.chain(past)
    }

    /// Ends the current segment at `end` and makes `next` the current one.
    fn replace(&mut self, next: Segment, end: u64) {
        let Some(mut ended) = self.current.replace(next) else { return };
        ended.end = end.max(ended.start);
        let place = self.ended % CAPACITY;
        if place == self.past.len() {
            self.past.push(ended);
        } else {
            self.past[place] = ended;
        }
        self.ended += 1;
    }
}

impl SegmentId {
    fn of(number: usize) -> Self {
        Self(number as u8)
    }
}

/// Segments. At 15 dropped pictures a second this covers about four seconds of late packets and
/// retransmissions.
const CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: EncodingLife = EncodingLife { encoding: 0, generation: 0 };
    const HIGH: EncodingLife = EncodingLife { encoding: 1, generation: 0 };

    #[test]
    fn drops_leave_no_gap_and_late_packets_keep_their_slot() {
        let mut segments = Segments::default();
        segments.begin(LOW, 100, 10, Shift::default(), 0);
        // 101 and 104 are dropped, 102 and 103 are late.
        segments.skip(101, Shift::default());
        segments.skip(104, Shift::default());
        let outgoing = |sequence| segments.map(LOW, sequence).map(|place| place.outgoing);
        assert_eq!(outgoing(100), Some(10));
        assert_eq!(outgoing(102), Some(11));
        assert_eq!(outgoing(103), Some(12));
        assert_eq!(outgoing(105), Some(13));
        assert_eq!((outgoing(101), outgoing(104)), (None, None), "a dropped packet has no slot");
        let back: Vec<_> = (10..14).map(|outgoing| segments.unmap(outgoing).unwrap().1).collect();
        assert_eq!(back, [100, 102, 103, 105]);
    }

    #[test]
    fn a_run_of_drops_is_one_segment() {
        let mut segments = Segments::default();
        segments.begin(LOW, 100, 10, Shift::default(), 0);
        (101..200).for_each(|sequence| segments.skip(sequence, Shift::default()));
        assert_eq!(segments.ended, 1);
        assert_eq!(segments.map(LOW, 200).map(|place| place.outgoing), Some(11));
    }

    #[test]
    fn after_a_switch_the_old_source_keeps_only_what_it_already_began() {
        let mut segments = Segments::default();
        segments.begin(LOW, 100, 10, Shift::default(), 0);
        segments.begin(HIGH, 7_000, 16, Shift::default(), 106);
        assert_eq!(segments.map(LOW, 105).map(|place| place.outgoing), Some(15));
        assert_eq!(segments.map(LOW, 106), None);
        assert_eq!(segments.map(HIGH, 7_000).map(|place| place.outgoing), Some(16));
        assert_eq!(segments.map(HIGH, 6_999), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_segments_go_first() {
        let mut segments = Segments::default();
        segments.begin(LOW, 0, 0, Shift::default(), 0);
        (1..1_000).step_by(2).for_each(|sequence| segments.skip(sequence, Shift::default()));
        assert_eq!(segments.past.len(), CAPACITY);
        assert_eq!(segments.map(LOW, 0), None);
        assert_eq!(segments.map(LOW, 998).map(|place| place.outgoing), Some(499));
    }
}
