//! The packets of one encoding, as forwarding sees them.

use crate::arrival::{Arrival, Content, EncodingLife, Extent};
use crate::history::{Incoming, PacketHistory};
use crate::ortc::MediaKind;
use std::time::{Duration, Instant};

/// The packets of an encoding, with extended sequence numbers, from a client or another shard.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Its generation rises when sequence numbers or timestamps restart.
    pub(crate) source: EncodingLife,
    pub(crate) history: PacketHistory,
    newest: Newest,
}

/// The newest packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newest {
    /// Extended sequence number.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) at: Instant,
}

impl Stream {
    /// Begins with the packet that has this extended sequence number and RTP timestamp.
    pub(crate) fn new(
        kind: MediaKind,
        source: EncodingLife,
        sequence: u64,
        timestamp: u32,
        now: Instant,
    ) -> Self {
        let (packets, limit) = if kind == MediaKind::Video { VIDEO_HISTORY } else { AUDIO_HISTORY };
        Self {
            source,
            history: PacketHistory::new(packets, limit, now),
            // One less than the packet's number, so that the packet itself counts as newer.
            newest: Newest { sequence: sequence.saturating_sub(1), timestamp, at: now },
        }
    }

    pub(crate) fn newest(&self) -> Newest {
        self.newest
    }

    /// Whether a packet is useless: a newer one took its place, or it is too late for any receiver.
    pub(crate) fn is_too_old(&self, sequence: u64) -> bool {
        self.history.is_past(sequence) || sequence + MAX_REORDER < self.newest.sequence
    }

    /// Notes a packet's number and time, if it is the newest.
    pub(crate) fn advance(&mut self, sequence: u64, timestamp: u32, now: Instant) {
        if sequence > self.newest.sequence {
            self.newest = Newest { sequence, timestamp, at: now };
        }
    }

    pub(crate) fn store(&mut self, packet: Incoming, content: Content<'_>, now: Instant) -> Arrival {
        self.history.store(packet, content, now);
        let Incoming { sequence, timestamp, descriptor, carried, .. } = packet;
        let extent = Extent::new(content, carried);
        Arrival { source: self.source, sequence, timestamp, media: Some(descriptor), extent, at: now }
    }

    /// A probe without media.
    pub(crate) fn probe(&self, sequence: u64, timestamp: u32, at: Instant) -> Arrival {
        Arrival { source: self.source, sequence, timestamp, media: None, extent: Extent::default(), at }
    }

    /// A stored packet, as if it arrived at `at`.
    pub(crate) fn again(&self, sequence: u64, at: Instant) -> Option<Arrival> {
        let (stored, content) = self.history.get(sequence)?;
        let extent = Extent::new(content, stored.carried);
        let (timestamp, media) = (stored.timestamp, Some(stored.descriptor));
        Some(Arrival { source: self.source, sequence, timestamp, media, extent, at })
    }

    /// Packets that arrived before this packet but have higher sequence numbers.
    pub(crate) fn arrived_after(&self, arrival: &Arrival) -> impl Iterator<Item = Arrival> {
        (arrival.sequence + 1..=self.newest.sequence).filter_map(|sequence| self.again(sequence, arrival.at))
    }

    /// The extended sequence number nearest to the newest with these low 32 bits.
    pub(crate) fn extend(&self, sequence: u32) -> u64 {
        let behind = (self.newest.sequence as u32).wrapping_sub(sequence) as i32;
        self.newest.sequence.wrapping_add_signed(-i64::from(behind))
    }
}

/// An encoding without packets for this long is inactive. A camera in the dark still sends a few pictures a
/// second.
pub(crate) const INACTIVE_AFTER: Duration = Duration::from_millis(1_500);
/// Packets and bytes kept.
const VIDEO_HISTORY: (usize, usize) = (1024, 2 << 20);
const AUDIO_HISTORY: (usize, usize) = (128, 64 << 10);
const MAX_REORDER: u64 = 1_000;
