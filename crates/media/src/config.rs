//! What the caller chooses: the SFU's configuration and the options of control calls.

use crate::dtls::Certificate;
use crate::id::{ProducerId, ShardId};
use crate::ortc::{Layers, MediaKind, ProducerKind, RtpCapabilities, RtpParameters, SctpStreamParameters};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Settings of one SFU instance, fixed for its life.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host candidates announced to clients, most preferred first.
    pub candidates: Vec<SocketAddr>,
    /// The DTLS identity that all transports share.
    pub certificate: Certificate,
    /// This instance's name among those that share routers.
    pub shard: ShardId,
    /// What a sender without transport-wide congestion control may send, in bit/s, told by REMB.
    pub remb_cap: u64,
    /// How many packets of media and its control a client may send on a transport in a second; a second's worth may
    /// come at once. Feedback that asks for much counts as many. What is beyond is dropped before it is decrypted, and
    /// counted.
    pub max_packet_rate: u32,
    /// Whether packets are padded at all, see [`TransportOptions::padding`].
    pub padding: bool,
}

impl Config {
    /// Nothing is limited but by REMB.
    pub fn new(shard: ShardId, candidates: Vec<SocketAddr>, certificate: Certificate) -> Self {
        Self {
            candidates,
            certificate,
            shard,
            remb_cap: DEFAULT_REMB_CAP,
            max_packet_rate: u32::MAX,
            padding: true,
        }
    }
}

/// Which way media flows on a transport, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The client sends: producers live here.
    Send,
    /// The client receives: consumers live here.
    Recv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportOptions {
    pub direction: Direction,
    /// Packets to the client may be padded by a few bytes (RFC 3550 §5.1), so that many leave at the price of one.
    /// `false` for a client that takes padding for media.
    pub padding: bool,
}

#[derive(Debug, Clone)]
pub struct ProduceOptions {
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    pub paused: bool,
}

#[derive(Debug, Clone)]
pub struct ConsumeOptions {
    pub producer: ProducerId,
    pub rtp_capabilities: RtpCapabilities,
    pub paused: bool,
    /// `None` asks for the highest layers there are.
    pub preferred_layers: Option<Layers>,
}

/// What the receiving client needs to know of a new consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerParameters {
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    pub producer_kind: ProducerKind,
    pub paused: bool,
    pub producer_paused: bool,
}

#[derive(Debug, Clone)]
pub struct DataProduceOptions {
    pub sctp_stream_parameters: SctpStreamParameters,
    pub label: String,
    pub protocol: String,
}

/// What the receiving client needs to know of a new data consumer.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConsumerParameters {
    pub sctp_stream_parameters: SctpStreamParameters,
    pub label: String,
    pub protocol: String,
}

/// Above what three simulcast layers and a screen need, below what would flood a home uplink.
const DEFAULT_REMB_CAP: u64 = 5_000_000;
