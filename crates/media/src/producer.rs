//! A track coming in: its encodings, told apart by SSRC and RID, and who gets it.

mod arrival;
mod history;
mod key_frames;
mod reception;
mod stream;

use crate::codec::Codec;
use crate::consumer::Source;
use crate::id::ProducerId;
use crate::ortc::{MediaKind, ProducerKind, RtpParameters};
use crate::router::{ConsumerKey, TransportKey};
use crate::rtp::{Header, PayloadType, Rid, Ssrc};
pub(crate) use arrival::{Arrival, SenderClock};
pub(crate) use history::{Carried, Content, MAX_PAYLOAD, Stored};
use std::time::Instant;
pub(crate) use stream::{INACTIVE_AFTER, Media, RtxStream, Stream};

#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) id: ProducerId,
    pub(crate) transport: TransportKey,
    pub(crate) kind: MediaKind,
    pub(crate) producer_kind: ProducerKind,
    pub(crate) codec: Codec,
    pub(crate) paused: bool,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) consumers: Vec<ConsumerKey>,
    /// What consumers' parameters are derived from.
    pub(crate) consumable: RtpParameters,
    formats: Formats,
}

/// The payload types a producer announced, and what they are good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formats {
    pub(crate) media: PayloadType,
    pub(crate) rtx: Option<PayloadType>,
    pub(crate) clock_rate: u32,
    /// The codec's feedback has generic NACK.
    pub(crate) nack: bool,
}

/// One of a producer's encodings: announced by RID or SSRC, alive once packets came.
#[derive(Debug, Default)]
pub(crate) struct Encoding {
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: Option<Ssrc>,
    pub(crate) rtx_ssrc: Option<Ssrc>,
    pub(crate) stream: Option<Stream>,
    pub(crate) rtx: Option<RtxStream>,
}

/// What a packet is to its producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Media,
    Rtx,
}

impl Encoding {
    fn announced(&self, format: Format) -> Option<Ssrc> {
        match format {
            Format::Media => self.ssrc,
            Format::Rtx => self.rtx_ssrc,
        }
    }
}

impl Producer {
    pub(crate) fn new(id: ProducerId, transport: TransportKey, kind: MediaKind, offer: Offered) -> Self {
        Self {
            id,
            transport,
            kind,
            producer_kind: offer.producer_kind,
            codec: offer.codec,
            paused: offer.paused,
            encodings: offer.encodings,
            consumers: Vec::new(),
            consumable: offer.consumable,
            formats: offer.formats,
        }
    }

    pub(crate) fn format(&self, payload_type: PayloadType) -> Option<Format> {
        if payload_type == self.formats.media {
            Some(Format::Media)
        } else {
            (self.formats.rtx == Some(payload_type)).then_some(Format::Rtx)
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

    /// The only encoding, if it has no RID. A packet that does not name the producer is told by nothing else, so it
    /// is taken for this one's only if no SSRC was announced.
    pub(crate) fn only_encoding(&self, format: Format, named: bool) -> Option<usize> {
        let [only] = &self.encodings[..] else { return None };
        (only.rid.is_none() && (named || only.announced(format).is_none())).then_some(0)
    }

    /// Gives an encoding the SSRC of this packet. One it had before began anew elsewhere: its SSRC is returned.
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
                let generation =
                    encoding.stream.as_ref().map_or(0, |old| old.source.generation.wrapping_add(1));
                let source = Source { encoding: index as u8, generation };
                let mut fresh = Stream::new(self.codec, clock_rate, source, nack, header, now);
                let old = encoding.stream.take();
                if let Some(old) = &old
                    && old.key_frames.next_timeout(now, std::time::Duration::ZERO).is_some()
                {
                    fresh.key_frames.wish();
                }
                encoding.stream = Some(fresh);
                old.map(|old| old.ssrc)
            }
        }
    }

    pub(crate) fn announces(&self, ssrc: Ssrc) -> bool {
        self.encodings.iter().any(|encoding| encoding.ssrc == Some(ssrc) || encoding.rtx_ssrc == Some(ssrc))
    }

    pub(crate) fn stream(&self, source: Source) -> Option<&Stream> {
        self.encodings.get(usize::from(source.encoding))?.stream.as_ref()
    }

    /// The packets of the same source that came before this one but follow it.
    pub(crate) fn arrived_after(&self, arrival: &Arrival) -> impl Iterator<Item = Arrival> {
        self.stream(arrival.source).into_iter().flat_map(|stream| stream.arrived_after(arrival))
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.encodings.iter().filter_map(|encoding| encoding.stream.as_ref())
    }

    pub(crate) fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.encodings.iter_mut().filter_map(|encoding| encoding.stream.as_mut())
    }

    /// A bit for each encoding that is being sent. An only one counts even while it is silent, as a screen is on
    /// which nothing moves: there is nothing to replace it by, and its sender still answers key-frame requests.
    pub(crate) fn active(&self, now: Instant) -> u8 {
        let fresh = |stream: &&Stream| {
            !self.is_simulcast() || now.saturating_duration_since(stream.last_arrival()) < INACTIVE_AFTER
        };
        self.streams()
            .filter(fresh)
            .fold(0, |mask, stream| mask | 1u8.wrapping_shl(u32::from(stream.source.encoding)))
    }
}

/// A producer's parameters, read.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) codec: Codec,
    pub(crate) producer_kind: ProducerKind,
    pub(crate) formats: Formats,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) consumable: RtpParameters,
    pub(crate) paused: bool,
}

/// More simulcast layers than any browser sends.
pub(crate) const MAX_ENCODINGS: usize = 8;
