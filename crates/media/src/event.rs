//! What crosses the crate's doors: inputs, outputs, events and the errors of control calls.

use crate::ice::{IceState, Tuple};
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, ShardId, TransportId};
use crate::ortc::Layers;
use crate::relay::Relay;
use bytes::Bytes;
use serde::Serialize;
use std::time::Instant;

/// What the shell tells the SFU beside control calls.
#[derive(Debug)]
pub enum Input<'a> {
    /// A UDP payload (or one RFC 4571 frame) as it arrived, and when, which is not after `now`; decrypted in place.
    Datagram { tuple: Tuple, bytes: &'a mut [u8], at: Instant },
    /// What another shard told this one.
    Relay { from: ShardId, relay: Relay },
    /// The time asked for by [`Output::Timeout`] has come.
    Timeout,
}

/// What the SFU asks of the shell, apart from media packets (see [`crate::Sfu::seal_due`]).
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit { tuple: Tuple, bytes: Bytes },
    /// Tell another shard.
    Relay { to: ShardId, relay: Relay },
    /// Tell the owner of this router.
    Event(RouterId, Event),
    /// Nothing more to do before this time (`None`: before the next input).
    Timeout(Option<Instant>),
}

/// Whether [`crate::Sfu::seal_due`] left packets behind because the batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    Done,
    More,
}

/// What happened in a router, for whoever runs the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    TransportState {
        transport: TransportId,
        ice: IceState,
        dtls: DtlsState,
    },
    /// The transport is gone, and with it everything on it.
    TransportClosed {
        transport: TransportId,
        reason: TransportCloseReason,
    },
    /// Its transport closed.
    ProducerClosed {
        producer: ProducerId,
    },
    /// Its producer or its transport closed.
    ConsumerClosed {
        consumer: ConsumerId,
        producer: ProducerId,
    },
    /// The layers being forwarded changed; `None` while nothing is forwarded.
    ConsumerLayers {
        consumer: ConsumerId,
        layers: Option<Layers>,
    },
    /// The dominant speaker changed.
    ActiveSpeaker {
        producer: Option<ProducerId>,
    },
    /// Smoothed levels in dBov (-127..=0) of producers above silence; sent empty once when all fall silent.
    AudioLevels {
        levels: Vec<(ProducerId, i8)>,
    },
    DataProducerClosed {
        data_producer: DataProducerId,
    },
    DataConsumerClosed {
        data_consumer: DataConsumerId,
        reason: DataConsumerCloseReason,
    },
}

/// Where the DTLS handshake of a transport stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsState {
    New,
    Connecting,
    Connected,
    Failed,
    Closed,
}

/// Why a transport ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportCloseReason {
    /// The peer closed its DTLS association.
    DtlsClosed,
    /// Working on it panicked; it was removed so that the others live on.
    Fault,
}

/// Why a data consumer ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataConsumerCloseReason {
    /// Its data producer or its transport closed.
    ProducerClosed,
    /// The receiving client closed it.
    ReceiverClosed,
    /// A reliable channel whose reader does not keep up: messages would have been lost.
    Overflow,
}

/// Why a control call was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("no such router")]
    RouterNotFound,
    #[error("no such transport")]
    TransportNotFound,
    #[error("no such producer")]
    ProducerNotFound,
    #[error("no such consumer")]
    ConsumerNotFound,
    #[error("no such data producer")]
    DataProducerNotFound,
    #[error("no such data consumer")]
    DataConsumerNotFound,
    #[error("the id is taken")]
    AlreadyExists,
    #[error("the transport is connected to another fingerprint or role")]
    AlreadyConnected,
    #[error("the transport goes the other way")]
    WrongDirection,
    #[error("invalid parameters: {0}")]
    InvalidParameters(String),
    #[error("unsupported: {0}")]
    Unsupported(String),
    #[error("the receiver cannot decode this producer")]
    CannotConsume,
    #[error("limit exceeded: {0}")]
    LimitExceeded(&'static str),
}

/// A snapshot of one transport for its owner's eyes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransportStats {
    pub ice: IceState,
    pub dtls: DtlsState,
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    /// Round-trip time in milliseconds, once measured.
    pub rtt_ms: Option<u32>,
}
