//! The messages between the shards of one router, so that a call can use more than one SFU.
//!
//! A producer's own shard (to which its client is connected) receives its packets and relays them to the
//! shards that have consumers for it, in one batch shared by all. Each of these shards stores, renumbers and
//! seals the packets for its own clients. The merged requests of consumers (layers, key frames, packets lost
//! between shards) travel in the other direction. The messages are values: a shell passes them between
//! threads in memory, and could pass them between hosts.

use crate::allocation::Prices;
use crate::arrival::{Arrival, Captured, Carried, Content, EncodingLife, SenderClock};
use crate::codec::{Codec, Descriptor};
use crate::config::DataConsumerParameters;
use crate::format::Formats;
use crate::history::Stored;
use crate::id::{DataProducerId, ProducerId, RouterId, ShardId};
use crate::ortc::{MediaKind, ProducerKind, RtpParameters};
use crate::sctp::Payload;
use crate::speaker::Activity;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A message from one shard of a router to another. Messages between the same two shards must arrive in the
/// order sent, except media, whose order to other messages may change.
#[derive(Debug, Clone)]
pub struct Relay {
    pub router: RouterId,
    pub(crate) message: Message,
}

/// How a full queue treats a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayClass {
    /// Must not be dropped.
    Control,
    /// Media packets of audio: dropped after video.
    Audio,
    Video,
    /// A data-channel message of this many bytes. If it is dropped, its [`Relay::loss`] must be sent instead.
    Data(usize),
    /// Feedback that is repeated if it is still needed.
    Feedback,
}

/// Data-channel messages that did not reach another shard. It must be notified, once for any number of
/// messages, because reliable data consumers there have to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataLoss {
    router: RouterId,
    producer: DataProducerId,
}

#[derive(Debug, Clone)]
pub(crate) enum Message {
    Producer(ProducerId, ProducerMessage),
    DataProducer(DataProducerId, DataMessage),
    /// The speech activity of a shard's producers, which the home shard ranks.
    Voices(Vec<(ProducerId, Activity)>),
    VoiceEnded(ProducerId),
    /// The dominant speaker, from the home shard to the one that receives the speaker's packets; `None` when the floor
    /// goes to another shard or to nobody.
    Floor(Option<ProducerId>),
}

#[derive(Debug, Clone)]
pub(crate) enum ProducerMessage {
    Packets(Arc<RelayBatch>),
    /// The producer's state; replaces the previous state.
    State(ProducerState),
    Closed,
    /// Subscribes to these encodings (a bit each); replaces the previous subscription.
    Subscribe(u8),
    Unsubscribe,
    /// A request for a key frame of this encoding.
    KeyFrame(u8),
    /// A request for packets lost between shards, by extended sequence number.
    Missing(EncodingLife, Vec<u64>),
}

#[derive(Debug, Clone)]
pub(crate) enum DataMessage {
    Payload(Payload),
    /// Payloads were dropped between the shards.
    Lost,
    Closed,
    Subscribe,
    Unsubscribe,
}

/// The description of a producer that another shard needs to create consumers for it.
#[derive(Debug, Clone)]
pub struct RelayedProducer {
    pub(crate) id: ProducerId,
    pub(crate) shard: ShardId,
    pub(crate) kind: MediaKind,
    pub(crate) producer_kind: ProducerKind,
    pub(crate) codec: Codec,
    pub(crate) formats: Formats,
    pub(crate) consumable: RtpParameters,
    pub(crate) encodings: usize,
    pub(crate) state: ProducerState,
}

/// As [`RelayedProducer`], for a data producer.
#[derive(Debug, Clone)]
pub struct RelayedDataProducer {
    pub(crate) id: DataProducerId,
    pub(crate) shard: ShardId,
    pub(crate) offer: DataConsumerParameters,
}

/// The part of a producer's description that can change.
#[derive(Debug, Clone)]
pub(crate) struct ProducerState {
    pub(crate) paused: bool,
    /// A bit for each encoding being sent.
    pub(crate) active: u8,
    /// Our wall clock minus the sending client's, in 2^-32 s.
    pub(crate) clock_offset: Option<i64>,
    /// The clocks from sender reports, per source.
    pub(crate) clocks: Vec<(EncodingLife, SenderClock)>,
    /// The same on the server's clock, for recordings.
    pub(crate) captured: Vec<(EncodingLife, Captured)>,
    /// What each layer of a video costs that is sent.
    pub(crate) prices: Prices,
    /// It comes from the dominant speaker.
    pub(crate) has_floor: bool,
}

/// Packets of one producer, with their payloads: written once, then read by every shard that wants them.
#[derive(Debug)]
pub(crate) struct RelayBatch {
    kind: MediaKind,
    /// `fresh` has a bit for each encoding with packets that arrived in order, `late` for each with other
    /// packets.
    pub(crate) fresh: u8,
    pub(crate) late: u8,
    packets: Vec<RelayedPacket>,
    bytes: Vec<u8>,
}

/// One packet with everything needed to forward it.
#[derive(Debug, Clone)]
pub(crate) struct RelayedPacket {
    pub(crate) source: EncodingLife,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    /// `None` for a padding-only probe.
    pub(crate) media: Option<Descriptor>,
    pub(crate) carried: Carried,
    pub(crate) at: Instant,
    dependency: Range<usize>,
    payload: Range<usize>,
}

impl Relay {
    pub(crate) fn new(router: RouterId, message: Message) -> Self {
        Self { router, message }
    }

    pub fn class(&self) -> RelayClass {
        match &self.message {
            Message::Producer(_, ProducerMessage::Packets(batch)) => match batch.kind {
                MediaKind::Audio => RelayClass::Audio,
                MediaKind::Video => RelayClass::Video,
            },
            Message::DataProducer(_, DataMessage::Payload(payload)) => RelayClass::Data(payload.len()),
            Message::Producer(_, ProducerMessage::Missing(..)) | Message::Voices(_) => RelayClass::Feedback,
            Message::Producer(..)
            | Message::DataProducer(..)
            | Message::VoiceEnded(_)
            | Message::Floor(_) => RelayClass::Control,
        }
    }

    /// The number of media packets in the message.
    pub fn packets(&self) -> usize {
        match &self.message {
            Message::Producer(_, ProducerMessage::Packets(batch)) => batch.packets.len(),
            Message::Producer(..)
            | Message::DataProducer(..)
            | Message::Voices(_)
            | Message::VoiceEnded(_)
            | Message::Floor(_) => 0,
        }
    }

    /// The bytes that the message's media packets take in memory. A batch that several shards share counts in full.
    pub fn bytes(&self) -> usize {
        match &self.message {
            Message::Producer(_, ProducerMessage::Packets(batch)) => batch.memory(),
            Message::Producer(..)
            | Message::DataProducer(..)
            | Message::Voices(_)
            | Message::VoiceEnded(_)
            | Message::Floor(_) => 0,
        }
    }

    /// The producer that the message is about: of a recorder's taps, the one to hand it to.
    pub fn producer(&self) -> Option<ProducerId> {
        match self.message {
            Message::Producer(id, _) => Some(id),
            Message::DataProducer(..) | Message::Voices(_) | Message::VoiceEnded(_) | Message::Floor(_) => {
                None
            }
        }
    }

    /// The loss that must be reported if this message is dropped.
    pub fn loss(&self) -> Option<DataLoss> {
        let Message::DataProducer(producer, DataMessage::Payload(_)) = self.message else { return None };
        Some(DataLoss { router: self.router, producer })
    }

    /// The loss that this message reports.
    pub fn told_loss(&self) -> Option<DataLoss> {
        let Message::DataProducer(producer, DataMessage::Lost) = self.message else { return None };
        Some(DataLoss { router: self.router, producer })
    }
}

impl From<DataLoss> for Relay {
    fn from(DataLoss { router, producer }: DataLoss) -> Self {
        Self::new(router, Message::DataProducer(producer, DataMessage::Lost))
    }
}

impl RelayBatch {
    pub(crate) fn new(kind: MediaKind) -> Self {
        Self { kind, fresh: 0, late: 0, packets: Vec::new(), bytes: Vec::new() }
    }

    pub(crate) fn clear(&mut self) {
        (self.fresh, self.late) = (0, 0);
        self.packets.clear();
        self.bytes.clear();
    }

    pub(crate) fn push(&mut self, arrival: &Arrival, late: bool, stored: Option<(&Stored, Content<'_>)>) {
        let bit = 1u8.wrapping_shl(u32::from(arrival.source.encoding));
        *(if late { &mut self.late } else { &mut self.fresh }) |= bit;
        let content = stored.map_or(Content::default(), |(_, content)| content);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(content.dependency);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(content.payload);
        self.packets.push(RelayedPacket {
            source: arrival.source,
            sequence: arrival.sequence,
            timestamp: arrival.timestamp,
            marker: stored.is_some_and(|(stored, _)| stored.marker),
            media: arrival.media,
            carried: stored.map_or(Carried::default(), |(stored, _)| stored.carried),
            at: arrival.at,
            dependency: start..middle,
            payload: middle..self.bytes.len(),
        });
    }

    /// As [`Self::push`], without a history.
    #[cfg(test)]
    pub(crate) fn put(&mut self, arrival: &Arrival, marker: bool, carried: Carried, payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(payload);
        let &Arrival { source, sequence, timestamp, media, at, .. } = arrival;
        let payload = start..self.bytes.len();
        let dependency = start..start;
        self.packets.push(RelayedPacket {
            source,
            sequence,
            timestamp,
            marker,
            media,
            carried,
            at,
            dependency,
            payload,
        });
    }

    pub(crate) fn packets(&self) -> impl Iterator<Item = (&RelayedPacket, Content<'_>)> {
        self.packets.iter().map(|packet| {
            let dependency = self.bytes.get(packet.dependency.clone()).unwrap_or_default();
            let payload = self.bytes.get(packet.payload.clone()).unwrap_or_default();
            (packet, Content { payload, dependency })
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity() + self.packets.capacity() * size_of::<RelayedPacket>()
    }
}
