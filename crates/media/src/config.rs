//! The SFU's configuration and the options of control calls.

use crate::allocation::VideoKind;
use crate::dtls::Certificate;
use crate::id::{ProducerId, ShardId};
use crate::ortc::{
    Layers, MediaKind, ProducerKind, ReceiverCapabilities, RtpParameters, SctpStreamParameters,
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};

/// Settings of one SFU instance, fixed for its life.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host candidates announced to clients, most preferred first.
    pub candidates: Vec<SocketAddr>,
    /// The DTLS identity that all transports share.
    pub certificate: Certificate,
    /// This instance's number among the SFUs that share routers.
    pub shard: ShardId,
    /// The highest estimate, in bit/s, that is told by REMB to a sender without transport-wide congestion control.
    pub remb_cap: u64,
    /// RTP and RTCP packets that a client may send per second on one transport; a burst may hold one second's
    /// worth. RTCP feedback that requests much work counts as several packets. Packets beyond the limit are
    /// counted and dropped before decryption.
    pub max_packet_rate: u32,
    /// Whether packets are padded at all, see [`TransportOptions::padding`].
    pub padding: bool,
    /// Whether videos are limited to what each client's path carries.
    pub bandwidth: Bandwidth,
}

/// Whether videos are limited to what the path to a client carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bandwidth {
    /// Each video is sent in the layers that its client prefers, and nothing is estimated.
    #[default]
    Unlimited,
    /// What the path carries is estimated. Each video is sent in the layers that there is room for; what is not sent is
    /// probed for.
    Divided,
}

impl Config {
    /// The defaults: bitrate limited by REMB only, no limit on the packet rate, padding allowed.
    pub fn new(shard: ShardId, candidates: Vec<SocketAddr>, certificate: Certificate) -> Self {
        Self {
            candidates,
            certificate,
            shard,
            remb_cap: DEFAULT_REMB_CAP,
            max_packet_rate: u32::MAX,
            padding: true,
            bandwidth: Bandwidth::default(),
        }
    }
}

/// The direction of media on a transport, from the client's view.
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
    /// Packets to the client may be padded by a few bytes (RFC 3550 §5.1), so that one system call can send
    /// many. `false` for a client that mistakes padding for media.
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
    pub rtp_capabilities: Arc<ReceiverCapabilities>,
    pub paused: bool,
    /// `None`: the highest available layers.
    pub preferred_layers: Option<Layers>,
    /// How its layers are chosen while the path to the client does not carry all of them.
    pub video: VideoKind,
}

/// The parameters of a new consumer, for the receiving client.
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

/// The parameters of a new data consumer, for the receiving client.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConsumerParameters {
    pub sctp_stream_parameters: SctpStreamParameters,
    pub label: String,
    pub protocol: String,
}

/// Bit/s: more than three simulcast layers and a screen need, less than would flood a home uplink.
const DEFAULT_REMB_CAP: u64 = 5_000_000;
