//! What a publisher sends.

use crate::codec::VideoCodec;
use std::time::Duration;

/// The media of a publisher.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendOptions {
    pub(crate) video: Option<VideoOptions>,
    pub(crate) jitter: Duration,
    /// The share of datagrams lost on the uplink, 0 to 1.
    pub(crate) loss: f64,
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct VideoOptions {
    pub(crate) codec: VideoCodec,
    /// Bits per second of RTP payload.
    pub(crate) bitrate: u64,
    /// Bytes of RTP payload per packet.
    pub(crate) packet_size: usize,
    pub(crate) fps: u32,
}
