//! What the shards of one router tell each other, so that a call can use more than one SFU.
//!
//! The shard that a producer's client is connected to receives its packets and relays them, one shared batch for all,
//! to the shards that have consumers for it; these keep, renumber and seal for their own clients. What consumers want
//! (layers, key frames, packets that were lost between shards) goes the other way, merged. The messages are values: a
//! shell carries them between threads by memory, and may carry them between hosts.

use crate::arrival::{Arrival, Carried, Content, EncodingLife, SenderClock};
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

/// A message from one shard of a router to another. Those between the same two shards must arrive in the order sent,
/// but for media, which may overtake the rest or be overtaken.
#[derive(Debug, Clone)]
pub struct Relay {
    pub router: RouterId,
    pub(crate) message: Message,
}

/// What a queue may do with a message that it has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayClass {
    /// Never to be lost.
    Control,
    /// To be kept longer than video.
    Audio,
    Video,
    /// A data-channel message of so many bytes; if it is dropped, its [`Relay::loss`] must be told.
    Data(usize),
    /// Feedback that comes again if it is still of interest.
    Feedback,
}

/// Data that did not get to another shard: whoever there was promised all of it has to be told, once for any number
/// of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataLoss {
    router: RouterId,
    producer: DataProducerId,
}

#[derive(Debug, Clone)]
pub(crate) enum Message {
    Producer(ProducerId, ProducerMessage),
    DataProducer(DataProducerId, DataMessage),
    /// How everybody on a shard speaks, for the home shard to rank.
    Voices(Vec<(ProducerId, Activity)>),
    VoiceEnded(ProducerId),
}

#[derive(Debug, Clone)]
pub(crate) enum ProducerMessage {
    Packets(Arc<RelayBatch>),
    /// How it is; replaces what was told before.
    State(ProducerState),
    Closed,
    /// These encodings (a bit each) are wanted; replaces what was wanted before.
    Subscribe(u8),
    Unsubscribe,
    /// Of this encoding.
    KeyFrame(u8),
    /// Packets that got lost between shards, by extended sequence number.
    Missing(EncodingLife, Vec<u64>),
}

#[derive(Debug, Clone)]
pub(crate) enum DataMessage {
    Payload(Payload),
    /// Payloads were dropped on the way.
    Lost,
    Closed,
    Subscribe,
    Unsubscribe,
}

/// All that another shard needs in order to have consumers for a producer.
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

/// As [`RelayedProducer`], for data.
#[derive(Debug, Clone)]
pub struct RelayedDataProducer {
    pub(crate) id: DataProducerId,
    pub(crate) shard: ShardId,
    pub(crate) offer: DataConsumerParameters,
}

/// What changes about a producer.
#[derive(Debug, Clone)]
pub(crate) struct ProducerState {
    pub(crate) paused: bool,
    /// A bit for each encoding that is being sent.
    pub(crate) active: u8,
    /// Our wall clock minus the sending client's, in 2^-32 s.
    pub(crate) clock_offset: Option<i64>,
    /// What sender reports said.
    pub(crate) clocks: Vec<(EncodingLife, SenderClock)>,
}

/// Packets of one producer, with their payloads: written once, then read by every shard that wants them.
#[derive(Debug)]
pub(crate) struct RelayBatch {
    kind: MediaKind,
    /// A bit for each encoding of which there are packets that came in order, and of which others.
    pub(crate) fresh: u8,
    pub(crate) late: u8,
    packets: Vec<RelayedPacket>,
    bytes: Vec<u8>,
}

/// One packet, whole in itself.
#[derive(Debug, Clone)]
pub(crate) struct RelayedPacket {
    pub(crate) source: EncodingLife,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    /// `None` for a probe without media.
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
            Message::Producer(..) | Message::DataProducer(..) | Message::VoiceEnded(_) => RelayClass::Control,
        }
    }

    /// Media packets that are lost with the message.
    pub fn packets(&self) -> usize {
        match &self.message {
            Message::Producer(_, ProducerMessage::Packets(batch)) => batch.packets.len(),
            Message::Producer(..)
            | Message::DataProducer(..)
            | Message::Voices(_)
            | Message::VoiceEnded(_) => 0,
        }
    }

    /// What must be told if this message is dropped.
    pub fn loss(&self) -> Option<DataLoss> {
        let Message::DataProducer(producer, DataMessage::Payload(_)) = self.message else { return None };
        Some(DataLoss { router: self.router, producer })
    }

    /// The loss that this message tells.
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
}
