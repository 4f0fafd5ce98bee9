//! A track received from a client: its encodings, identified by SSRC and RID, and its consumers.

mod encoding;
mod intake;
mod key_frames;
mod origin;

mod rates;
mod reception;
mod relays;
mod stream;

use crate::allocation::{Layer, Rung, VideoKind};
use crate::arrival::{Arrival, EncodingLife, SenderClock};
use crate::codec::Codec;
use crate::format::{Format, Formats};
use crate::id::ProducerId;
use crate::keys::{ConsumerKey, TransportKey};
use crate::ortc::{MediaKind, ProducerKind, RtpParameters};
use crate::relay::ProducerState;
use crate::rtp::{Header, PayloadType, Rid, Ssrc};
pub(crate) use encoding::{Accepted, Encoding};
use intake::{Intake, next_life};
pub(crate) use intake::{Media, RtxStream};
use key_frames::Refresh;
pub(crate) use origin::{Origin, Upstream};

pub use rates::{LayerRates, LayerStacking, RateWindow};
pub(crate) use relays::Relays;
use std::time::Instant;
pub(crate) use stream::{INACTIVE_AFTER, Newest, Stream};

#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) id: ProducerId,
    pub(crate) origin: Origin,
    pub(crate) kind: MediaKind,
    pub(crate) producer_kind: ProducerKind,
    pub(crate) codec: Codec,
    pub(crate) paused: bool,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) consumers: Vec<ConsumerKey>,
    /// Packets that have not been offered to all consumers.
    pub(crate) fresh: Vec<Arrival>,
    /// The number of consumers, from the start of `consumers`, to which `fresh` was offered.
    pub(crate) offered: usize,
    /// Other shards subscribed to the producer's packets.
    pub(crate) relays: Relays,
    /// The parameters from which consumers' parameters are derived.
    pub(crate) consumable: RtpParameters,
    pub(crate) formats: Formats,
    refresh: Refresh,
    /// What each layer of a video costs; `None` for audio.
    pub(crate) rates: Option<Box<LayerRates>>,
}

impl Producer {
    pub(crate) fn new(id: ProducerId, origin: Origin, kind: MediaKind, offer: Offered) -> Self {
        let simulcast = offer.encodings.len() > 1;
        Self {
            id,
            origin,
            kind,
            producer_kind: offer.producer_kind,
            codec: offer.codec,
            paused: offer.paused,
            encodings: offer.encodings,
            consumers: Vec::new(),
            fresh: Vec::new(),
            offered: 0,
            relays: Relays::default(),
            consumable: offer.consumable,
            formats: offer.formats,
            refresh: Refresh::default(),
            rates: (kind == MediaKind::Video).then(|| Box::new(LayerRates::new(simulcast))),
        }
    }

    /// The transport that receives the producer's packets; `None` if another shard relays them.
    pub(crate) fn transport(&self) -> Option<TransportKey> {
        match self.origin {
            Origin::Transport(transport) => Some(transport),
            Origin::Relay(_) => None,
        }
    }

    /// Whether it comes from the dominant speaker. `floor`: that speaker's transport, if it is of this shard.
    pub(crate) fn has_floor(&self, floor: Option<TransportKey>) -> bool {
        match &self.origin {
            Origin::Transport(transport) => floor == Some(*transport),
            Origin::Relay(upstream) => upstream.has_floor,
        }
    }

    pub(crate) fn forget_consumer(&mut self, key: ConsumerKey) {
        let Some(index) = self.consumers.iter().position(|&consumer| consumer == key) else { return };
        self.consumers.remove(index);
        self.offered -= usize::from(index < self.offered);
    }

    pub(crate) fn format(&self, payload_type: PayloadType) -> Option<Format> {
        if payload_type == self.formats.media {
            Some(Format::Media)
        } else {
            (self.formats.rtx == Some(payload_type)).then_some(Format::Rtx)
        }
    }

    /// Counts a packet among its layer's.
    pub(crate) fn measure(&mut self, arrival: &Arrival) {
        let simulcast = self.is_simulcast();
        let (Some(rates), Some(media)) = (&mut self.rates, arrival.media) else { return };
        let spatial = if simulcast { arrival.source.encoding } else { media.spatial };
        if !simulcast && let Some(stacking) = LayerStacking::shown_by(&media) {
            rates.stack(stacking);
        }
        let bytes = arrival.extent.payload + arrival.extent.dependency + HEADERS;
        let picture = rates.picture(arrival.source.encoding, arrival.timestamp, media.keyframe);
        rates.add(Layer { spatial, temporal: media.temporal }, picture, bytes, arrival.at);
    }

    /// What each layer that is sent costs, in ascending order; empty while that is unknown.
    pub(crate) fn rungs(&self, kind: VideoKind, out: &mut Vec<Rung>) {
        out.clear();
        match (&self.origin, &self.rates) {
            (Origin::Relay(upstream), _) => out.extend(upstream.prices.rungs(kind)),
            (Origin::Transport(_), Some(rates)) => rates.price(kind, out),
            (Origin::Transport(_), None) => {}
        }
    }

    pub(crate) fn is_simulcast(&self) -> bool {
        self.encodings.len() > 1
    }

    /// The encoding a packet with an SSRC not seen before belongs to: by its RID (of RTX: the repaired one) or by the
    /// announced SSRC.
    pub(crate) fn encoding_for(&self, header: &Header, format: Format, rid: Option<Rid>) -> Option<usize> {
        let by_rid = rid.and_then(|rid| self.encodings.iter().position(|encoding| encoding.rid == Some(rid)));
        let announced = |encoding: &Encoding| encoding.announced(format) == Some(header.ssrc);
        by_rid.or_else(|| self.encodings.iter().position(announced))
    }

    /// The index of the only encoding, if it has no RID. A packet that is not `named` (its MID does not name
    /// the producer) matches only if no SSRC was announced.
    pub(crate) fn only_encoding(&self, format: Format, named: bool) -> Option<usize> {
        let [only] = &self.encodings[..] else { return None };
        (only.rid.is_none() && (named || only.announced(format).is_none())).then_some(0)
    }

    /// Assigns this packet's SSRC to an encoding. Returns the SSRC it had before, if any: the stream
    /// restarted.
    pub(crate) fn latch(
        &mut self,
        index: usize,
        format: Format,
        header: &Header,
        now: Instant,
    ) -> Option<Ssrc> {
        let Formats { clock_rate, nack, .. } = self.formats;
        let encoding = self.encodings.get_mut(index)?;
        match format {
            Format::Rtx => {
                let fresh = RtxStream::new(header, clock_rate, now);
                encoding.rtx.replace(fresh).map(|old| old.ssrc)
            }
            Format::Media => {
                let first = EncodingLife { encoding: index as u8, generation: 0 };
                let source = encoding.stream.as_ref().map_or(first, |old| next_life(old.source));
                let (intake, stream) = Intake::new(self.codec, clock_rate, source, nack, header, now);
                encoding.stream = Some(stream);
                encoding.key_frames.forget_last();
                self.refresh = Refresh::default();
                encoding.intake.replace(intake).map(|old| old.ssrc)
            }
        }
    }

    pub(crate) fn announces(&self, ssrc: Ssrc) -> bool {
        self.encodings.iter().any(|encoding| encoding.ssrc == Some(ssrc) || encoding.rtx_ssrc == Some(ssrc))
    }

    pub(crate) fn stream(&self, source: EncodingLife) -> Option<&Stream> {
        self.encodings.get(usize::from(source.encoding))?.stream.as_ref()
    }

    /// Packets of the same source that arrived before this packet but have higher sequence numbers.
    pub(crate) fn arrived_after(&self, arrival: &Arrival) -> impl Iterator<Item = Arrival> {
        let stream = self.stream(arrival.source).filter(|stream| stream.source == arrival.source);
        stream.into_iter().flat_map(|stream| stream.arrived_after(arrival))
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.encodings.iter().filter_map(|encoding| encoding.stream.as_ref())
    }

    /// Adopts the state that the producer's own shard sent.
    pub(crate) fn adopt(&mut self, state: ProducerState) {
        let Origin::Relay(upstream) = &mut self.origin else { return };
        (upstream.active, upstream.clock_offset) = (state.active, state.clock_offset);
        (upstream.prices, upstream.has_floor) = (state.prices, state.has_floor);
        self.paused = state.paused;
        for (source, clock) in state.clocks {
            if let Some(encoding) = self.encodings.get_mut(usize::from(source.encoding)) {
                encoding.clock = Some((source, clock));
            }
        }
    }

    /// The relation between a source's RTP timestamps and its sender's wall clock, once known.
    pub(crate) fn clock(&self, source: EncodingLife) -> Option<SenderClock> {
        let (of, clock) = self.encodings.get(usize::from(source.encoding))?.clock?;
        (of == source).then_some(clock)
    }

    /// A bit for each encoding being sent. A single encoding counts even without packets, as for a still
    /// screen: no other encoding can replace it, and its sender still answers key-frame requests.
    pub(crate) fn active(&self, now: Instant) -> u8 {
        if let Origin::Relay(upstream) = &self.origin {
            return upstream.active;
        }
        let fresh = |stream: &&Stream| {
            !self.is_simulcast() || now.saturating_duration_since(stream.newest().at) < INACTIVE_AFTER
        };
        self.streams()
            .filter(fresh)
            .fold(0, |mask, stream| mask | 1u8.wrapping_shl(u32::from(stream.source.encoding)))
    }
}

/// A producer's parsed parameters.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) codec: Codec,
    pub(crate) producer_kind: ProducerKind,
    pub(crate) formats: Formats,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) consumable: RtpParameters,
    pub(crate) paused: bool,
}

/// Bytes of an outgoing packet besides payload and dependency descriptor: RTP header, extensions and SRTP tag.
const HEADERS: u16 = 44;
/// More simulcast layers than any browser sends.
pub(crate) const MAX_ENCODINGS: usize = 8;
