//! The outgoing numbers of a consumer's packets: one continuous stream, whatever its sources do.

use crate::arrival::{Arrival, EncodingLife, SenderClock};
use crate::clock::{NtpTime, duration_ticks, ticks};
use crate::consumer::segments::{Place, Segments, Shift};
use std::time::Instant;

/// Maps packets from changing sources to one sequence of packets, timestamps and picture ids.
#[derive(Debug)]
pub(crate) struct Numbering {
    segments: Segments,
    clock_rate: u32,
    renumber_pictures: bool,
    /// The source being forwarded, and the extended sequence number of its newest packet.
    newest: Option<(EncodingLife, u64)>,
    /// Sources forwarded before, the latest last, each with the exclusive end of its sequence numbers. Their
    /// late packets keep their outgoing numbers.
    previous: Vec<(EncodingLife, u64)>,
    last: Option<Last>,
    /// Reference for aligning timestamps at each switch, so that rounding errors of switches do not add up.
    anchor: Option<Anchor>,
    dropped_picture: Option<u16>,
    initial: u16,
}

/// The newest packet sent.
#[derive(Debug, Clone, Copy)]
struct Last {
    outgoing: u64,
    timestamp: u32,
    at: Instant,
    picture_id: u16,
    tl0_pic_idx: u8,
}

/// Outgoing media time at a wall-clock time of the sender.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    ntp: NtpTime,
    timestamp: u32,
}

/// What to do with the slot of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The packet has no place in the outgoing stream.
    None,
    Taken(Place),
}

impl Numbering {
    /// `initial` is the first outgoing sequence number, below 2^15 so that both ends agree on the rollover counter
    /// (RFC 3711 §3.3.1). With `renumber_pictures` (VP8, whose receivers need gapless picture ids) dropped
    /// pictures leave no gap.
    pub(crate) fn new(clock_rate: u32, renumber_pictures: bool, initial: u16) -> Self {
        Self {
            segments: Segments::default(),
            clock_rate,
            renumber_pictures,
            newest: None,
            previous: Vec::new(),
            last: None,
            anchor: None,
            dropped_picture: None,
            initial: initial & 0x7fff,
        }
    }

    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The outgoing extended sequence number of the next packet in order.
    pub(crate) fn next_outgoing(&self) -> u64 {
        self.last.map_or(u64::from(self.initial), |last| last.outgoing + 1)
    }

    /// The outgoing RTP timestamp of the newest packet sent.
    pub(crate) fn last_timestamp(&self) -> Option<u32> {
        self.last.map(|last| last.timestamp)
    }

    /// The newest outgoing extended sequence number that ends in these 16 bits, as receivers send them in
    /// feedback.
    pub(crate) fn extend(&self, sequence_number: u16) -> Option<u64> {
        let newest = self.last?.outgoing;
        newest.checked_sub(u64::from((newest as u16).wrapping_sub(sequence_number)))
    }

    /// Begins a source at `arrival`, which takes the next slot. `old` and `new` are the clocks of the
    /// previous source and of this one, where known from sender reports.
    pub(crate) fn start(&mut self, arrival: &Arrival, old: Option<SenderClock>, new: Option<SenderClock>) {
        let shift = match self.last {
            None => Shift::default(),
            Some(last) => Shift {
                timestamp: arrival.timestamp.wrapping_sub(self.align(&last, arrival, old, new)),
                picture_id: arrival
                    .picture_id()
                    .map_or(0, |id| id.wrapping_sub(last.picture_id.wrapping_add(1))),
                tl0_pic_idx: arrival
                    .tl0_pic_idx()
                    .map_or(0, |tl0| tl0.wrapping_sub(last.tl0_pic_idx.wrapping_add(1))),
            },
        };
        let outgoing = self.next_outgoing();
        let end = self.newest.map_or(0, |(_, newest)| newest + 1);
        if self.previous.len() == MAX_PREVIOUS {
            self.previous.remove(0);
        }
        self.previous.extend(self.newest.map(|(source, _)| (source, end)));
        self.segments.begin(arrival.source, arrival.sequence, outgoing, shift, end);
        // One less than the packet's number, so that the packet itself counts as newer.
        self.newest = Some((arrival.source, arrival.sequence.saturating_sub(1)));
        self.dropped_picture = None;
    }

    /// True if the packet is newer than all previous packets of the forwarded source.
    pub(crate) fn is_in_order(&self, arrival: &Arrival) -> bool {
        self.newest.is_some_and(|(source, newest)| source == arrival.source && arrival.sequence > newest)
    }

    /// Assigns an outgoing number to a packet to be forwarded.
    pub(crate) fn take(&mut self, arrival: &Arrival) -> Slot {
        if !self.is_in_order(arrival) {
            return self.segments.map(arrival.source, arrival.sequence).map_or(Slot::None, Slot::Taken);
        }
        let Some(place) = self.segments.next(arrival.sequence) else { return Slot::None };
        self.newest = Some((arrival.source, arrival.sequence));
        self.advance(arrival, place);
        Slot::Taken(place)
    }

    /// Drops a packet. For a late packet an outgoing number may be reserved; it is returned, to be filled
    /// with padding.
    pub(crate) fn leave_out(&mut self, arrival: &Arrival, whole_picture: bool) -> Slot {
        if !self.is_in_order(arrival) {
            return self.take(arrival);
        }
        self.newest = Some((arrival.source, arrival.sequence));
        let mut shift = self.segments.current().map_or(Shift::default(), |segment| segment.shift);
        if let Some(id) = arrival.picture_id()
            && whole_picture
            && self.renumber_pictures
            && self.dropped_picture.replace(id) != Some(id)
        {
            shift.picture_id = shift.picture_id.wrapping_add(1);
        }
        self.segments.skip(arrival.sequence, shift);
        Slot::None
    }

    /// Whether the packet is a late one of a source forwarded before, for which outgoing numbers are
    /// reserved.
    pub(crate) fn is_previous(&self, arrival: &Arrival) -> bool {
        let is_late =
            |&(source, end): &(EncodingLife, u64)| source == arrival.source && arrival.sequence < end;
        self.previous.iter().any(is_late)
    }

    fn advance(&mut self, arrival: &Arrival, Place { outgoing, shift, .. }: Place) {
        let before = self.last;
        self.last = Some(Last {
            outgoing,
            timestamp: arrival.timestamp.wrapping_sub(shift.timestamp),
            at: arrival.at,
            picture_id: match arrival.picture_id() {
                Some(id) => id.wrapping_sub(shift.picture_id),
                None => before.map_or(0, |last| last.picture_id),
            },
            tl0_pic_idx: match arrival.tl0_pic_idx() {
                Some(tl0) => tl0.wrapping_sub(shift.tl0_pic_idx),
                None => before.map_or(0, |last| last.tl0_pic_idx),
            },
        });
    }

    /// The outgoing RTP timestamp of a source's first packet: exact where the capture time is known from
    /// sender reports (or the source is the same), else estimated from arrival times. An exact value more
    /// than [`MAX_SKEW_SECONDS`] from the estimate is ignored.
    fn align(
        &mut self,
        last: &Last,
        arrival: &Arrival,
        old: Option<SenderClock>,
        new: Option<SenderClock>,
    ) -> u32 {
        let current = self.segments.current();
        let shift = current.map_or(0, |segment| segment.shift.timestamp);
        let captured = new.map(|clock| clock.ntp_at(arrival.timestamp));
        let anchor = self
            .anchor
            .or(old.map(|clock| Anchor { ntp: clock.ntp, timestamp: clock.timestamp.wrapping_sub(shift) }));
        let exact = if current.is_some_and(|segment| segment.source == arrival.source) {
            Some(arrival.timestamp.wrapping_sub(shift))
        } else {
            anchor.zip(captured).map(|(anchor, captured)| anchor.timestamp_at(captured, self.clock_rate))
        };
        let elapsed = duration_ticks(arrival.at.saturating_duration_since(last.at), self.clock_rate);
        let estimate = last.timestamp.wrapping_add(elapsed.max(1));
        let off = |time: &u32| (time.wrapping_sub(estimate) as i32).unsigned_abs();
        match exact.filter(|time| off(time) < self.clock_rate * MAX_SKEW_SECONDS) {
            Some(time) => {
                self.anchor = anchor;
                // The previous layer may have sent this capture time already; timestamps must increase.
                if time.wrapping_sub(last.timestamp) as i32 > 0 {
                    time
                } else {
                    last.timestamp.wrapping_add(1)
                }
            }
            None => {
                self.anchor = captured.map(|ntp| Anchor { ntp, timestamp: estimate });
                estimate
            }
        }
    }
}

impl Anchor {
    fn timestamp_at(&self, ntp: NtpTime, rate: u32) -> u32 {
        self.timestamp.wrapping_add(ticks(ntp.since(self.ntp), rate) as u32)
    }
}

/// When all layers of a camera start at once, a consumer switches up through all of them within one round
/// trip.
const MAX_PREVIOUS: usize = 4;
/// How far timestamps derived from sender reports may differ from arrival times. A report that is further off
/// than any jitter buffer could bridge is taken as broken.
const MAX_SKEW_SECONDS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Extent;
    use crate::codec::{Codec, describe};
    use std::time::Duration;

    const LOW: EncodingLife = EncodingLife { encoding: 0, generation: 0 };
    const HIGH: EncodingLife = EncodingLife { encoding: 1, generation: 0 };

    #[test]
    fn a_switch_runs_on_in_every_number() {
        let start = Instant::now();
        let mut numbering = Numbering::new(90_000, true, 500);
        let first = arrival(LOW, 1_000, 50_000, 7, start);
        numbering.start(&first, None, None);
        assert_eq!(outgoing(numbering.take(&first)), Some(500));
        // One second later by both clocks, the high layer starts with very different numbers.
        let low = SenderClock { ntp: NtpTime(10 << 32), timestamp: 50_000, rate: 90_000 };
        let high = SenderClock { ntp: NtpTime(11 << 32), timestamp: 4_000_000_000, rate: 90_000 };
        let key = arrival(HIGH, 9_000, 4_000_000_000, 300, start + Duration::from_millis(1_040));
        numbering.start(&key, Some(low), Some(high));
        let slot = numbering.take(&key);
        assert_eq!(outgoing(slot), Some(501));
        assert_eq!(
            numbering.last_timestamp(),
            Some(140_000),
            "exactly the clocks' second, not the arrival's"
        );
        let Slot::Taken(Place { shift, .. }) = slot else { panic!("no slot") };
        assert_eq!(300 - shift.picture_id, 8);
        assert_eq!((300u16 as u8).wrapping_sub(shift.tl0_pic_idx), 8);
    }

    #[test]
    fn many_switches_to_moments_already_sent_do_not_add_up() {
        let start = Instant::now();
        let mut numbering = Numbering::new(90_000, true, 0);
        let low = SenderClock { ntp: NtpTime(10 << 32), timestamp: 50_000, rate: 90_000 };
        let high = SenderClock { ntp: NtpTime(10 << 32), timestamp: 7_000, rate: 90_000 };
        let mut clocks = [(LOW, low), (HIGH, high)].into_iter().cycle();
        for step in 0..100u32 {
            let (source, clock) = clocks.next().unwrap();
            let ticks = 90_000 * (step / 2);
            let at = start + Duration::from_secs(1) * (step / 2) + Duration::from_millis(5) * (step % 2);
            let key = arrival(source, u64::from(step) + 1, clock.timestamp.wrapping_add(ticks), 7, at);
            numbering.start(&key, Some(clocks.clone().next().unwrap().1), Some(clock));
            numbering.take(&key);
        }
        assert_eq!(numbering.last_timestamp(), Some(50_000 + 49 * 90_000 + 1));
    }

    #[test]
    fn without_clocks_or_with_absurd_ones_arrival_times_decide() {
        let start = Instant::now();
        let absurd = SenderClock { ntp: NtpTime(5_000 << 32), timestamp: 1, rate: 90_000 };
        let sane = SenderClock { ntp: NtpTime(10 << 32), timestamp: 50_000, rate: 90_000 };
        for clocks in [(None, None), (Some(sane), Some(absurd))] {
            let mut numbering = Numbering::new(90_000, true, 0);
            let first = arrival(LOW, 1_000, 50_000, 7, start);
            numbering.start(&first, None, None);
            numbering.take(&first);
            let next = arrival(HIGH, 1, 99, 7, start + Duration::from_millis(100));
            numbering.start(&next, clocks.0, clocks.1);
            numbering.take(&next);
            assert_eq!(numbering.last_timestamp(), Some(59_000));
        }
    }

    #[test]
    fn a_pause_of_the_same_source_keeps_media_time_and_closes_the_sequence_gap() {
        let start = Instant::now();
        let mut numbering = Numbering::new(90_000, true, 0);
        let first = arrival(LOW, 1_000, 50_000, 7, start);
        numbering.start(&first, None, None);
        numbering.take(&first);
        let later = arrival(LOW, 1_900, 140_500, 40, start + Duration::from_secs(1));
        numbering.start(&later, None, None);
        assert_eq!(outgoing(numbering.take(&later)), Some(1));
        assert_eq!(numbering.last_timestamp(), Some(140_500));
    }

    #[test]
    fn a_dropped_picture_lowers_the_ids_after_it_once_however_many_packets_it_had() {
        let start = Instant::now();
        let mut numbering = Numbering::new(90_000, true, 0);
        let first = arrival(LOW, 1_000, 0, 7, start);
        numbering.start(&first, None, None);
        numbering.take(&first);
        for sequence in 1_001..1_004 {
            assert_eq!(numbering.leave_out(&arrival(LOW, sequence, 3_000, 8, start), true), Slot::None);
        }
        let next = arrival(LOW, 1_004, 6_000, 9, start);
        let Slot::Taken(Place { segment, outgoing, .. }) = numbering.take(&next) else { panic!("no slot") };
        assert_eq!(outgoing, 1);
        assert_eq!(numbering.segments().get(segment).unwrap().shift.picture_id, 1);
    }

    #[test]
    fn sixteen_bits_from_a_receiver_name_the_newest_packet_with_them() {
        let start = Instant::now();
        let mut numbering = Numbering::new(90_000, false, 0x7fff);
        let first = arrival(LOW, 0, 0, 0, start);
        numbering.start(&first, None, None);
        for sequence in 0..40_000 {
            numbering.take(&arrival(LOW, sequence, 0, 0, start));
        }
        assert_eq!(numbering.extend(0x7fff), Some(0x7fff));
        assert_eq!(numbering.extend(10), Some(65_546));
    }

    fn outgoing(slot: Slot) -> Option<u64> {
        match slot {
            Slot::None => None,
            Slot::Taken(place) => Some(place.outgoing),
        }
    }

    fn arrival(source: EncodingLife, sequence: u64, timestamp: u32, picture: u16, at: Instant) -> Arrival {
        let [high, low] = (0x8000 | picture).to_be_bytes();
        let vp8 = [0x90, 0xe0, high, low, picture as u8, 0, 0];
        Arrival {
            source,
            sequence,
            timestamp,
            media: describe(Codec::Vp8, &vp8, None),
            extent: Extent::default(),
            at,
        }
    }
}
