//! The crate's inputs, outputs, events and the errors of control calls.

use crate::ice::{IceState, Tuple};
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, ShardId, TransportId};
use crate::ortc::Layers;
use crate::paths::PathStats;
use crate::relay::Relay;
use bytes::Bytes;
use serde::Serialize;
use std::time::Instant;

/// What the shell passes to the SFU, apart from control calls.
#[derive(Debug)]
pub enum Input<'a> {
    /// A UDP payload (or one RFC 4571 frame), decrypted in place. `at` is its arrival time, not later than
    /// `now`.
    Datagram { tuple: Tuple, bytes: &'a mut [u8], at: Instant },
    /// A message from another shard.
    Relay { from: ShardId, relay: Relay },
    /// The time requested by [`Output::Timeout`] has been reached.
    Timeout,
}

/// What the shell must do for the SFU, apart from sending media packets (see [`crate::Sfu::seal_due`]).
#[derive(Debug)]
pub enum Output {
    /// Send this datagram.
    Transmit { tuple: Tuple, bytes: Bytes },
    /// Send this message to another shard.
    Relay { to: ShardId, relay: Relay },
    /// Report this event to the owner of the router.
    Event(RouterId, Event),
    /// There is nothing to do until this time (`None`: until the next input).
    Timeout(Option<Instant>),
}

/// Whether [`crate::Sfu::seal_due`] left packets behind because the batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    Done,
    More,
}

/// Something that happened in a router, reported to the router's owner.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    TransportState {
        transport: TransportId,
        ice: IceState,
        dtls: DtlsState,
    },
    /// The transport was removed, with everything on it.
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
    /// What the path to a client carries, and what is sent over it; at most once a second. All in bit/s of UDP payload.
    Bandwidth {
        transport: TransportId,
        /// What the path is thought to carry.
        estimate: u64,
        /// What the granted layers take.
        used: u64,
        /// What all wanted layers would take.
        wanted: u64,
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

/// State of a transport's DTLS handshake, named as in the W3C's RTCDtlsTransportState.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsState {
    New,
    Connecting,
    Connected,
    Failed,
    Closed,
}

/// Why a transport was closed without a control call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportCloseReason {
    /// The peer closed its DTLS association.
    DtlsClosed,
    /// A panic while handling the transport; it was removed so that the other transports continue.
    Fault,
}

/// Why a data consumer was closed without a control call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataConsumerCloseReason {
    /// Its data producer or its transport closed.
    ProducerClosed,
    /// The receiving client closed it.
    ReceiverClosed,
    /// The receiver of a reliable channel does not keep up: messages would have been lost.
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

/// A snapshot of one transport's state and traffic.
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
    /// What the path to the client carries; `None` if that is not estimated.
    pub path: Option<PathStats>,
}
