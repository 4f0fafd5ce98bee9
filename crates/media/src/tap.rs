//! Recording one producer: relay messages go in, whole samples with their capture times come out.
//!
//! A recorder is one more shard of a router, which has no consumers: it subscribes to producers like every other
//! shard. A [`Tap`] is its side of one producer. It opens no file and reads no clock.

use crate::id::{ProducerId, RouterId, ShardId};
use crate::relay::{Relay, RelayedProducer};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A producer to record, as [`crate::Sfu::describe_producer`] describes it.
#[derive(Debug, Clone)]
pub struct Tapped {
    pub router: RouterId,
    pub producer: RelayedProducer,
}

/// How a producer is recorded.
#[derive(Debug, Clone, Copy)]
pub struct TapOptions {
    pub layer: RecordedLayer,
    /// A key frame is requested when none came for this time.
    pub key_frame_interval: Duration,
}

/// The highest layer that is recorded: of three, the first, the second or the third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordedLayer {
    Low,
    Medium,
    High,
}

/// What a tap asks of its owner.
#[derive(Debug)]
pub enum TapOutput {
    /// Send this message to the producer's shard.
    Relay {
        to: ShardId,
        relay: Relay,
    },
    /// The next sample begins a new part of the track, that is: a file with this format.
    Format(TrackFormat),
    Sample(Sample),
    Notice(TapNotice),
}

/// What a player must know before it decodes the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFormat {
    pub codec: RecordedCodec,
    /// The codec's initialization data (Matroska's CodecPrivate); empty if the codec needs none.
    pub private: Bytes,
    /// Width and height in pixels of the first picture; `None` for audio.
    pub size: Option<(u16, u16)>,
    /// Clockwise rotation in degrees that shows the pictures upright: 0, 90, 180 or 270.
    pub rotation: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedCodec {
    Opus,
    /// PCMU and PCMA, expanded to 16 bits, little-endian, 8 kHz, mono.
    Pcm,
    Vp8,
    Vp9,
    H264,
    Av1,
}

/// A picture with all its layers, or an audio packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it was captured, on the server's clock; rises strictly from sample to sample. The times of audio follow
    /// the number of samples, so that audio has no gaps.
    pub at: Instant,
    /// How long audio lasts; zero for a picture.
    pub duration: Duration,
    /// A decoder can begin here. True for all audio.
    pub key_frame: bool,
    pub payload: Bytes,
}

/// What a track's record tells beside the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapNotice {
    /// The producer sends (`true`) or is paused, from this time on.
    Sending(bool, Instant),
    /// Pictures are missing between these times.
    Hole { from: Instant, to: Instant },
    /// No key frame came within 10 s of the first packet.
    NoKeyFrame,
    /// The client's clock was set; capture times continue without a step.
    ClockSet(Instant),
    /// The producer ended; no output follows.
    Ended,
}

/// Totals of one tap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TapCounts {
    /// Packets that never came.
    pub packets_lost: u64,
    /// Audio that was filled with silence.
    pub concealed: Duration,
    /// Time without pictures, while the producer sent, because pictures were damaged.
    pub held: Duration,
    /// Payloads that were no valid pictures.
    pub malformed: u64,
}

/// One producer as a recorder sees it.
#[derive(Debug)]
pub struct Tap {
    id: ProducerId,
}

impl Tap {
    /// Subscribes to the producer and requests a key frame.
    #[must_use]
    pub fn new(tapped: Tapped, _options: TapOptions, _now: Instant) -> Self {
        Self { id: tapped.producer.id }
    }

    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.id
    }

    /// Handles a message of the producer's shard.
    pub fn handle_relay(&mut self, _now: Instant, _relay: Relay) {}

    /// Call this at [`Tap::next_timeout`].
    pub fn handle_timeout(&mut self, _now: Instant) {}

    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Samples could not be kept: no sample follows before a key frame, which is requested.
    pub fn start_over(&mut self, _now: Instant) {}

    /// Unsubscribes, and gives out the samples that are complete.
    pub fn close(&mut self, _now: Instant) {}

    pub fn poll_output(&mut self) -> Option<TapOutput> {
        None
    }

    #[must_use]
    pub fn counts(&self) -> TapCounts {
        TapCounts::default()
    }
}
