//! A track sent to one transport: which of its producer's packets are forwarded, and how they are rewritten.

mod ladder;
mod layers;
mod numbering;
mod plan;
mod segments;
mod sent;
mod share;
mod template;

use crate::allocation::{Layer, VideoKind};
use crate::arrival::{Arrival, EncodingLife, SenderClock};
use crate::codec::{Codec, Descriptor};
use crate::id::{ConsumerId, ProducerId};
use crate::keys::{ProducerKey, TransportKey};
use crate::ortc::{Layers, MediaKind};
use crate::shed::Ration;
use crate::srtp::SendStream;
use layers::{Form, LayerSelection};
use numbering::{Numbering, Slot};
pub(crate) use plan::Plan;
use segments::Place;
pub(crate) use segments::Shift;
pub(crate) use sent::{Record, SentPackets};
pub(crate) use share::{Granted, Share};
pub(crate) use template::Values;

#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) id: ConsumerId,
    pub(crate) producer: ProducerKey,
    /// The producer's public id.
    pub(crate) producer_id: ProducerId,
    pub(crate) transport: TransportKey,
    pub(crate) plan: Plan,
    pub(crate) output: Outgoing,
    video: bool,
    flow: Flow,
    layers: LayerSelection,
    numbering: Numbering,
    sent: SentPackets,
    /// The extended outgoing sequence number at which the newest key frame begins.
    key_frame: u64,
    reported: Option<Layers>,
    /// The highest number and the losses that the client reported last.
    reception: Option<(u32, u32)>,
    pub(crate) share: Share,
    ration: Ration,
}

/// The outgoing SRTP streams and what sender reports count.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) media: SendStream,
    /// The RTX stream and its next sequence number; boxed, because few packets are retransmitted.
    pub(crate) rtx: Option<Box<(SendStream, u16)>>,
    pub(crate) packets: u32,
    /// Payload octets.
    pub(crate) octets: u32,
}

/// The state of the consumer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Paused,
    /// Not forwarded, because the worker is overloaded or the path to the client does not carry it.
    Shed,
    /// Waits for a packet to start with: the first packet of a key frame, or any audio packet.
    Waiting,
    Flowing(EncodingLife),
}

/// The decision about a packet offered to a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    Ignore,
    /// To be forwarded: pass the packet to [`Consumer::take`] and send it.
    Take {
        ends_picture: bool,
    },
    /// Not to be forwarded, but a sequence number was reserved: send padding with this extended sequence
    /// number.
    Fill {
        outgoing: u64,
    },
    /// The consumer cannot use this encoding without a key frame.
    NeedKeyFrame,
}

/// How a producer's packet is rewritten for the consumer.
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
    /// Bytes of the outgoing packet, without padding and before sealing.
    pub(crate) size: u16,
}

impl Consumer {
    /// The initial sequence numbers in `start` are cut to 15 bits, as [`Numbering::new`] explains.
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
            layers: LayerSelection::new(form(start.simulcast, plan.codec), start.preferred),
            numbering: Numbering::new(plan.clock_rate, plan.codec == Codec::Vp8, start.sequence),
            sent: SentPackets::new(history),
            key_frame: 0,
            reported: None,
            reception: None,
            share: Share::new(start.kind),
            ration: Ration::Whole,
            plan,
        }
    }

    /// Prefetches the record that [`Self::take`] will write, which is stored outside the consumer.
    pub(crate) fn prefetch(&self) {
        self.sent.prefetch(self.numbering.next_outgoing() as u32);
    }

    pub(crate) fn pause(&mut self) {
        self.flow = Flow::Paused;
    }

    /// Starts or resumes with the next key frame, or for audio with the next packet.
    pub(crate) fn resume(&mut self) {
        if self.flow == Flow::Paused {
            self.flow = Flow::Waiting;
        }
    }

    /// Interrupts forwarding until the next key frame (audio: the next packet), because the receiver missed
    /// packets.
    pub(crate) fn start_over(&mut self) {
        if let Flow::Flowing(_) = self.flow {
            self.flow = Flow::Waiting;
        }
    }

    /// Limits video to `ration`; audio is never limited. A paused consumer ignores whether it is shed, so
    /// call this again after [`Self::resume`].
    pub(crate) fn ration(&mut self, ration: Ration) {
        self.ration = ration;
        self.limit();
    }

    /// Limits video to what the path to the client carries; audio is never limited. As [`Self::ration`].
    pub(crate) fn grant(&mut self, granted: Granted) {
        self.share.grant = granted;
        self.limit();
    }

    fn limit(&mut self) {
        if !self.video {
            return;
        }
        let (ration, granted) = (self.ration, self.share.grant);
        self.layers.hold_lowest(ration < Ration::Whole);
        self.layers.allow(granted);
        let withheld = ration == Ration::Nothing || granted == Granted::Nothing;
        self.flow = match (self.flow, withheld) {
            (Flow::Waiting | Flow::Flowing(_), true) => Flow::Shed,
            (Flow::Shed, false) => Flow::Waiting,
            (flow, _) => flow,
        };
        self.bridge();
    }

    /// Forwards only the lowest frame rate while much video waits for its turn.
    pub(crate) fn crowd(&mut self, crowded: bool) {
        if self.share.crowded != crowded {
            self.share.crowded = crowded;
            self.bridge();
        }
    }

    /// While a lower encoding's key frame is awaited, only the lowest frame rate of the present one is forwarded.
    fn bridge(&mut self) {
        let falls = match (self.flow, self.layers.target(), self.share.grant) {
            (Flow::Flowing(source), Some(target), Granted::UpTo(_)) => target < source.encoding,
            _ => false,
        };
        self.layers.thin_out(falls || self.share.crowded);
    }

    /// Whether the client wants video of this consumer.
    pub(crate) fn makes_demand(&self) -> bool {
        self.video && self.flow != Flow::Paused
    }

    /// The highest layer that its client wants.
    pub(crate) fn wished(&self) -> Layer {
        self.layers.preferred()
    }

    /// Whether padding can be sent in its RTX stream, and feedback will tell of it.
    pub(crate) fn carries_probes(&self) -> bool {
        self.plan.rtx.is_some() && self.plan.extensions.transport_cc.is_some()
    }

    /// How many packets the client lost, of how many, since its last reception report. `None` for its first report and
    /// for one that does not follow.
    pub(crate) fn losses_since(&mut self, highest: u32, lost: u32) -> Option<(u32, u32)> {
        let (before, lost_before) = self.reception.replace((highest, lost))?;
        let expected = highest.wrapping_sub(before);
        // Packets that arrive late lower the total.
        (expected < 1 << 16).then(|| (lost.saturating_sub(lost_before), expected))
    }

    pub(crate) fn is_video(&self) -> bool {
        self.video
    }

    pub(crate) fn is_shed(&self) -> bool {
        self.flow == Flow::Shed && self.ration == Ration::Nothing
    }

    pub(crate) fn is_withheld(&self) -> bool {
        self.flow == Flow::Shed && self.share.grant == Granted::Nothing
    }

    pub(crate) fn prefer(&mut self, layers: Layers) {
        self.layers.prefer(layers);
    }

    /// Chooses the target encoding. `active` has a bit for each encoding being sent.
    pub(crate) fn retarget(&mut self, active: u8) {
        self.layers.retarget(active);
        self.bridge();
    }

    /// The encoding from which the consumer needs a key frame, if any.
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

    /// A bit for each encoding whose packets the consumer may forward.
    pub(crate) fn wanted_encodings(&self) -> u8 {
        let bit = |encoding: u8| 1u8.wrapping_shl(u32::from(encoding));
        match (self.flow, self.layers.target()) {
            (Flow::Paused | Flow::Shed, _) => 0,
            // No target is chosen: the first encoding to arrive will do.
            (Flow::Waiting, None) => u8::MAX,
            (Flow::Waiting, Some(target)) => bit(target),
            (Flow::Flowing(source), target) => bit(source.encoding) | target.map_or(0, bit),
        }
    }

    /// The source being forwarded, if any.
    pub(crate) fn source(&self) -> Option<EncodingLife> {
        match self.flow {
            Flow::Paused | Flow::Shed | Flow::Waiting => None,
            Flow::Flowing(source) => Some(source),
        }
    }

    /// The source being sent, the shift that maps its timestamps to outgoing ones, and the last outgoing
    /// timestamp; `None` before the first packet.
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

    /// Decides whether to forward one packet of the producer. `clock` returns the relation between a source's
    /// RTP timestamps and its sender's wall clock.
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

    /// The record of an outgoing packet, for sealing or retransmission.
    pub(crate) fn record(&mut self, outgoing: u32) -> Option<&mut Record> {
        self.sent.get_mut(outgoing)
    }

    /// Numbers a packet that [`Self::offer`] accepted, unless its segment is forgotten. The result is written
    /// directly to `taken`, where the caller reads it: intermediate copies would cost time.
    pub(crate) fn take(&mut self, arrival: &Arrival, ends_picture: bool, taken: &mut Vec<Taken>) {
        let Slot::Taken(place) = self.numbering.take(arrival) else { return };
        if arrival.is_key_frame() {
            self.key_frame = self.key_frame.max(place.outgoing);
        }
        let record = Record {
            outgoing: place.outgoing as u32,
            incoming: arrival.sequence as u32,
            sent: 0,
            transport_sequence: 0,
            segment: place.segment,
            ends_picture,
            padding: 0,
            retransmissions: 0,
            repeated: 0,
            fill: false,
        };
        self.sent.insert(record, arrival.at);
        let rewrite = Rewrite { source: arrival.source, shift: place.shift, record };
        taken.push(Taken { rewrite, size: self.plan.packet_len(&arrival.extent) });
    }

    /// How the packet with this outgoing number was rewritten; `None` once its record or segment is
    /// forgotten.
    pub(crate) fn rewrite(&mut self, outgoing: u32) -> Option<Rewrite> {
        let record = *self.sent.get_mut(outgoing)?;
        let segment = self.numbering.segments().get(record.segment)?;
        let rewrite = Rewrite { source: segment.source, shift: segment.shift, record };
        segment.carries(&record).then_some(rewrite)
    }

    /// The extended sequence number of an outgoing packet, from the 16 bits that a receiver names (NACK).
    pub(crate) fn extend(&self, sequence_number: u16) -> Option<u64> {
        self.numbering.extend(sequence_number)
    }

    /// Whether nothing that the consumer forwards depends on a packet that it sent before, since it left the
    /// packet's layer. Never so for audio, nor for a packet of another encoding: it may be shown until the key
    /// frame is complete to which the consumer switched. `simulcast`: spatial layers are such encodings.
    pub(crate) fn has_left(&self, source: EncodingLife, media: &Descriptor, simulcast: bool) -> bool {
        let current = match self.flow {
            _ if !self.video => return false,
            Flow::Flowing(current) => current,
            Flow::Paused | Flow::Shed | Flow::Waiting => return true,
        };
        let layers = self.layers.current(current.encoding);
        let is_above = !simulcast && media.spatial > layers.spatial
            || layers.temporal.is_some_and(|temporal| media.temporal > temporal);
        current.encoding == source.encoding && is_above
    }

    /// Whether no key frame was sent after a packet.
    pub(crate) fn is_since_key_frame(&self, outgoing: u64) -> bool {
        outgoing >= self.key_frame
    }

    /// The incoming packet for which this outgoing number is reserved; the number itself was never sent.
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
                // A picture without its lowest spatial layer cannot be decoded: the whole picture is dropped.
                let whole_picture = media.is_some_and(|media| media.spatial == 0);
                let slot = self.numbering.leave_out(arrival, whole_picture);
                let offer = self.fill(arrival, slot);
                if offer == Offer::Ignore && self.layers.awaits_key_picture() {
                    Offer::NeedKeyFrame
                } else {
                    offer
                }
            }
        }
    }

    /// A late packet of a source that was forwarded before the last switches.
    fn offer_late(&mut self, arrival: &Arrival) -> Offer {
        match &arrival.media {
            Some(_) => Offer::Take { ends_picture: false },
            None => {
                let slot = self.numbering.take(arrival);
                self.fill(arrival, slot)
            }
        }
    }

    /// Remembers that padding takes the slot of a packet that is not forwarded.
    fn fill(&mut self, arrival: &Arrival, slot: Slot) -> Offer {
        let Slot::Taken(Place { outgoing, segment, .. }) = slot else { return Offer::Ignore };
        let record = Record {
            outgoing: outgoing as u32,
            incoming: arrival.sequence as u32,
            sent: 0,
            transport_sequence: 0,
            segment,
            ends_picture: false,
            padding: 0,
            retransmissions: 0,
            repeated: 0,
            fill: true,
        };
        self.sent.insert(record, arrival.at);
        Offer::Fill { outgoing }
    }
}

/// How the packets of a producer carry spatial layers.
fn form(simulcast: bool, codec: Codec) -> Form {
    let is_layered = match codec {
        Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::Vp8 => false,
        Codec::Vp9 | Codec::H264 | Codec::Av1 => true,
    };
    match (simulcast, is_layered) {
        (true, _) => Form::Simulcast,
        (false, true) => Form::Layered,
        (false, false) => Form::Plain,
    }
}

/// The initial state of a consumer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) paused: bool,
    pub(crate) simulcast: bool,
    pub(crate) preferred: Option<Layers>,
    pub(crate) kind: VideoKind,
    pub(crate) sequence: u16,
    pub(crate) rtx_sequence: u16,
}

/// Limit, in packets: about two seconds of video at 5 Mbit/s.
const VIDEO_RECORDS: usize = 1024;
/// Limit, in packets: about two seconds of audio.
const AUDIO_RECORDS: usize = 128;

/// Retransmissions of one packet after which a receiver has to ask for a key frame.
pub(crate) const MAX_RETRANSMISSIONS: u8 = 10;
