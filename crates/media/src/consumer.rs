//! A track going out to one transport: which packets of its producer it gets, and as what.

mod layers;
mod numbering;
mod plan;
mod segments;
mod sent;
mod template;

use crate::arrival::{Arrival, EncodingLife, SenderClock};
use crate::codec::Codec;
use crate::id::{ConsumerId, ProducerId};
use crate::keys::{ProducerKey, TransportKey};
use crate::ortc::{Layers, MediaKind};
use crate::shed::Ration;
use crate::srtp::SendStream;
use layers::LayerSelection;
use numbering::{Numbering, Slot};
pub(crate) use plan::Plan;
pub(crate) use segments::Shift;
pub(crate) use sent::{Record, SentPackets};
pub(crate) use template::Values;

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) producer: ProducerKey,
    /// The producer as the outside knows it.
    pub(crate) producer_id: ProducerId,
    pub(crate) transport: TransportKey,
    pub(crate) plan: Plan,
    pub(crate) output: Outgoing,
    video: bool,
    flow: Flow,
    layers: LayerSelection,
    numbering: Numbering,
    sent: SentPackets,
    reported: Option<Layers>,
}

/// The outgoing SRTP streams and what sender reports count.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) media: SendStream,
    /// With the next sequence number; boxed, because few packets are sent again.
    pub(crate) rtx: Option<Box<(SendStream, u16)>>,
    pub(crate) packets: u32,
    /// Payload octets.
    pub(crate) octets: u32,
}

/// Where the consumer's stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Paused,
    /// Left out, because there is too much to do.
    Shed,
    /// For a packet to begin at: a key frame's first, or any of audio.
    Waiting,
    Flowing(EncodingLife),
}

/// What becomes of a packet offered to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Ignore,
    /// It is wanted: to be taken, and sent.
    Take {
        ends_picture: bool,
    },
    /// Its slot was kept but it is not wanted: send padding with this extended sequence number in its place.
    Fill {
        outgoing: u64,
    },
    /// The consumer cannot use this encoding without a key frame.
    NeedKeyFrame,
}

/// How a producer's packet becomes one of the consumer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub(crate) source: EncodingLife,
    pub(crate) shift: Shift,
    pub(crate) record: Record,
}

/// A packet that a consumer took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) rewrite: Rewrite,
    /// As it will go out, without padding and before sealing, in bytes.
    pub(crate) size: u16,
}

impl Consumer {
    /// `initial` is the first outgoing sequence number, below 2^15.
    pub(crate) fn new(
        id: ConsumerId,
        (producer, producer_id): (ProducerKey, ProducerId),
        transport: TransportKey,
        plan: Plan,
        start: Start,
    ) -> Self {
        let video = plan.codec.kind() == MediaKind::Video;
        let history = if video { VIDEO_RECORDS } else { AUDIO_RECORDS };
        Self {
            id,
            producer,
            producer_id,
            transport,
            output: Outgoing {
                media: SendStream::new(plan.ssrc.0),
                rtx: plan.rtx.map(|rtx| Box::new((SendStream::new(rtx.ssrc.0), start.rtx_sequence & 0x7fff))),
                packets: 0,
                octets: 0,
            },
            video,
            flow: if start.paused { Flow::Paused } else { Flow::Waiting },
            layers: LayerSelection::new(start.simulcast, start.preferred),
            numbering: Numbering::new(plan.clock_rate, plan.codec == Codec::Vp8, start.sequence),
            sent: SentPackets::new(history),
            reported: None,
            plan,
        }
    }

    /// Begins to fetch what [`Self::offer`] will need that lies elsewhere.
    pub(crate) fn prefetch(&self) {
        self.sent.prefetch(self.numbering.next_outgoing() as u32);
    }

    pub(crate) fn pause(&mut self) {
        self.flow = Flow::Paused;
    }

    /// Starts or goes on at the next packet that can be begun at.
    pub(crate) fn resume(&mut self) {
        if self.flow == Flow::Paused {
            self.flow = Flow::Waiting;
        }
    }

    /// Goes on only where a receiver that missed something can: at the next packet that can be begun at.
    pub(crate) fn start_over(&mut self) {
        if let Flow::Flowing(_) = self.flow {
            self.flow = Flow::Waiting;
        }
    }

    /// Holds video to its share. Sound always has all there is, and a pause outlasts any ration: it is to be told
    /// again on [`Self::resume`].
    pub(crate) fn ration(&mut self, ration: Ration) {
        if !self.video {
            return;
        }
        self.layers.hold_lowest(ration < Ration::Whole);
        self.flow = match (self.flow, ration) {
            (Flow::Waiting | Flow::Flowing(_), Ration::Nothing) => Flow::Shed,
            (Flow::Shed, Ration::LowestLayers | Ration::Whole) => Flow::Waiting,
            (flow, _) => flow,
        };
    }

    pub(crate) fn is_shed(&self) -> bool {
        self.flow == Flow::Shed
    }

    pub(crate) fn prefer(&mut self, layers: Layers) {
        self.layers.prefer(layers);
    }

    /// Told which encodings are being sent, a bit each.
    pub(crate) fn retarget(&mut self, active: u8) {
        self.layers.retarget(active);
    }

    /// The encoding whose key frame the consumer cannot go on without, if any.
    pub(crate) fn awaited_encoding(&self) -> Option<u8> {
        let target = self.layers.target();
        match self.flow {
            _ if !self.video => None,
            Flow::Paused | Flow::Shed => None,
            Flow::Waiting => target,
            Flow::Flowing(source) => {
                target.filter(|&target| target != source.encoding || self.layers.awaits_key_picture())
            }
        }
    }

    /// A bit for each encoding whose packets may be of use.
    pub(crate) fn wanted_encodings(&self) -> u8 {
        let bit = |encoding: u8| 1u8.wrapping_shl(u32::from(encoding));
        match (self.flow, self.layers.target()) {
            (Flow::Paused | Flow::Shed, _) => 0,
            // Whichever comes first.
            (Flow::Waiting, None) => u8::MAX,
            (Flow::Waiting, Some(target)) => bit(target),
            (Flow::Flowing(source), target) => bit(source.encoding) | target.map_or(0, bit),
        }
    }

    /// What is being forwarded, if anything.
    pub(crate) fn source(&self) -> Option<EncodingLife> {
        match self.flow {
            Flow::Paused | Flow::Shed | Flow::Waiting => None,
            Flow::Flowing(source) => Some(source),
        }
    }

    /// The media time being sent, and how it is derived from which source; `None` before the first packet.
    pub(crate) fn media_time(&self) -> Option<(EncodingLife, Shift, u32)> {
        let segment = self.numbering.segments().current()?;
        Some((segment.source, segment.shift, self.numbering.last_timestamp()?))
    }

    /// Layers to report, if they changed since the last call.
    pub(crate) fn layers_change(&mut self) -> Option<Option<Layers>> {
        let current = match self.flow {
            Flow::Paused | Flow::Shed | Flow::Waiting => None,
            Flow::Flowing(source) => Some(self.layers.current(source.encoding)),
        };
        (std::mem::replace(&mut self.reported, current) != current).then_some(current)
    }

    /// Decides about one packet of the producer. `clock` tells how a source's media time relates to its sender's
    /// wall clock.
    pub(crate) fn offer(
        &mut self,
        arrival: &Arrival,
        clock: impl Fn(EncodingLife) -> Option<SenderClock>,
    ) -> Offer {
        match self.flow {
            Flow::Paused | Flow::Shed => Offer::Ignore,
            Flow::Waiting => self.offer_start(arrival, clock),
            Flow::Flowing(source) if source == arrival.source => self.offer_next(arrival),
            Flow::Flowing(source) if source.encoding == arrival.source.encoding => {
                self.flow = Flow::Waiting;
                self.offer_start(arrival, clock)
            }
            Flow::Flowing(_) if self.layers.target() == Some(arrival.source.encoding) => {
                self.offer_start(arrival, clock)
            }
            Flow::Flowing(_) if self.numbering.is_previous(arrival) => self.offer_late(arrival),
            Flow::Flowing(_) => Offer::Ignore,
        }
    }

    /// The slot's record, to be sealed or sent again.
    pub(crate) fn record(&mut self, outgoing: u32) -> Option<&mut Record> {
        self.sent.get_mut(outgoing)
    }

    /// Takes a packet that [`Self::offer`] wants, unless its place is forgotten. What is told of it is written where it
    /// will be read: each copy on the way would be waited for.
    pub(crate) fn take(&mut self, arrival: &Arrival, ends_picture: bool, taken: &mut Vec<Taken>) {
        let Slot::Taken(place) = self.numbering.take(arrival) else { return };
        let record = Record {
            outgoing: place.outgoing as u32,
            incoming: arrival.sequence as u32,
            sent: 0,
            transport_sequence: 0,
            segment: place.segment,
            ends_picture,
            padding: 0,
            retransmissions: 0,
        };
        self.sent.insert(record, arrival.at);
        let rewrite = Rewrite { source: arrival.source, shift: place.shift, record };
        taken.push(Taken { rewrite, size: self.plan.packet_len(&arrival.extent) });
    }

    /// How the packet in a slot was rewritten; `None` once that is forgotten.
    pub(crate) fn rewrite(&mut self, outgoing: u32) -> Option<Rewrite> {
        let record = *self.sent.get_mut(outgoing)?;
        let segment = self.numbering.segments().get(record.segment)?;
        let rewrite = Rewrite { source: segment.source, shift: segment.shift, record };
        segment.carries(&record).then_some(rewrite)
    }

    /// The record of a packet a receiver misses.
    pub(crate) fn missing(&mut self, sequence_number: u16) -> Option<&mut Record> {
        let outgoing = self.numbering.extend(sequence_number)?;
        self.sent.get_mut(outgoing as u32)
    }

    /// Which packet has the slot of a number that was never sent.
    pub(crate) fn never_sent(&self, sequence_number: u16) -> Option<(EncodingLife, u64)> {
        self.numbering.segments().unmap(self.numbering.extend(sequence_number)?)
    }

    fn offer_start(
        &mut self,
        arrival: &Arrival,
        clock: impl Fn(EncodingLife) -> Option<SenderClock>,
    ) -> Offer {
        if self.layers.target().is_some_and(|target| target != arrival.source.encoding) {
            return Offer::Ignore;
        }
        if arrival.media.is_none() {
            return Offer::Ignore;
        }
        if !arrival.is_key_frame() {
            return Offer::NeedKeyFrame;
        }
        let before = self.numbering.segments().current().map(|segment| segment.source);
        self.numbering.start(arrival, before.and_then(&clock), clock(arrival.source));
        self.layers.start();
        self.flow = Flow::Flowing(arrival.source);
        self.offer_next(arrival)
    }

    fn offer_next(&mut self, arrival: &Arrival) -> Offer {
        let in_order = self.numbering.is_in_order(arrival);
        match &arrival.media {
            Some(media) if self.layers.admit(media, in_order) => {
                Offer::Take { ends_picture: self.layers.ends_picture(media) }
            }
            media => {
                // Where the lowest spatial layer goes, the whole picture goes.
                let whole_picture = media.is_some_and(|media| media.spatial == 0);
                fill(self.numbering.leave_out(arrival, whole_picture))
            }
        }
    }

    /// A packet of a source before the last switches.
    fn offer_late(&mut self, arrival: &Arrival) -> Offer {
        match &arrival.media {
            Some(_) => Offer::Take { ends_picture: false },
            None => fill(self.numbering.take(arrival)),
        }
    }
}

fn fill(slot: Slot) -> Offer {
    match slot {
        Slot::None => Offer::Ignore,
        Slot::Taken(place) => Offer::Fill { outgoing: place.outgoing },
    }
}

/// How a consumer begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) paused: bool,
    pub(crate) simulcast: bool,
    pub(crate) preferred: Option<Layers>,
    pub(crate) sequence: u16,
    pub(crate) rtx_sequence: u16,
}

/// At most, some two seconds of video at 5 Mbit/s.
const VIDEO_RECORDS: usize = 1024;
/// At most, some two seconds of audio.
const AUDIO_RECORDS: usize = 128;

/// Retransmissions of one packet after which a receiver has to ask for a key frame.
pub(crate) const MAX_RETRANSMISSIONS: u8 = 10;
