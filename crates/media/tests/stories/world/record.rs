//! What went over a line, and what the stories ask about it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};
use switchyard_link::Passage;
use switchyard_media::ortc::router_rtp_capabilities;

/// Everything that was sent on a line since the record began.
pub struct Record {
    pub begin: Instant,
    pub sent: Vec<Sent>,
    /// Time, kind and bytes of everything that arrived.
    pub arrived: Vec<(Instant, Kind, usize)>,
    /// Bytes that were on a link when the client left it for another.
    pub left_behind: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub at: Instant,
    pub kind: Kind,
    pub bytes: usize,
    pub passage: Passage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Audio,
    Video,
    Retransmission,
    /// The probator's packets.
    Probe,
    Report,
    /// STUN, DTLS and data channels.
    Other,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Audio, Self::Video, Self::Retransmission, Self::Probe, Self::Report, Self::Other];

    /// The kind of a datagram from the SFU to a client.
    pub fn of(datagram: &[u8]) -> Self {
        match (datagram[0], datagram.get(1)) {
            (128..=191, Some(192..=223)) => Self::Report,
            (128..=191, Some(second)) => Self::of_payload_type(second & 0x7f),
            _ => Self::Other,
        }
    }

    fn of_payload_type(payload_type: u8) -> Self {
        if payload_type == PROBATOR {
            return Self::Probe;
        }
        let known = PAYLOAD_TYPES.iter().find(|(known, _)| *known == payload_type);
        known.expect("a payload type that the router does not have").1
    }
}

impl Record {
    pub fn new(begin: Instant) -> Self {
        Self { begin, sent: Vec::new(), arrived: Vec::new(), left_behind: None }
    }

    pub fn note_sent(&mut self, at: Instant, datagram: &[u8], passage: Passage) {
        self.sent.push(Sent { at, kind: Kind::of(datagram), bytes: datagram.len(), passage });
    }

    pub fn note_arrived(&mut self, at: Instant, datagram: &[u8]) {
        self.arrived.push((at, Kind::of(datagram), datagram.len()));
    }

    /// Bytes sent of some kinds in each interval.
    pub fn sent_per(&self, interval: Duration, kinds: &[Kind]) -> Vec<usize> {
        let sent = self.sent.iter().filter(|sent| kinds.contains(&sent.kind));
        self.binned(interval, sent.map(|sent| (sent.at, sent.bytes)))
    }

    /// Bytes of some kinds that were lost in each interval.
    pub fn lost_per(&self, interval: Duration, kinds: &[Kind]) -> Vec<usize> {
        let lost = self.sent.iter().filter(|sent| kinds.contains(&sent.kind) && sent.is_lost());
        self.binned(interval, lost.map(|sent| (sent.at, sent.bytes)))
    }

    /// Bytes of some kinds that arrived in each interval.
    pub fn arrived_per(&self, interval: Duration, kinds: &[Kind]) -> Vec<usize> {
        let arrived = self.arrived.iter().filter(|(_, kind, _)| kinds.contains(kind));
        self.binned(interval, arrived.map(|(at, _, bytes)| (*at, *bytes)))
    }

    /// Times in the queue, without the packets' own serialisation, of what was sent in a span of time since the
    /// beginning, ascending.
    pub fn waits(&self, from: Duration, until: Duration) -> Vec<Duration> {
        let span = self.begin + from..self.begin + until;
        let sent = self.sent.iter().filter(|sent| span.contains(&sent.at));
        let mut waits: Vec<Duration> = sent
            .filter_map(|sent| match sent.passage {
                Passage::Taken { waits } => Some(waits),
                // Who is turned away at a full queue would have waited longest, but did not.
                Passage::Lost(_) => None,
            })
            .collect();
        waits.sort_unstable();
        waits
    }

    fn binned(&self, interval: Duration, bytes: impl Iterator<Item = (Instant, usize)>) -> Vec<usize> {
        let mut bins = Vec::new();
        for (at, bytes) in bytes {
            let bin = ((at - self.begin).as_nanos() / interval.as_nanos()) as usize;
            bins.resize(bins.len().max(bin + 1), 0);
            bins[bin] += bytes;
        }
        bins
    }
}

impl Sent {
    pub fn is_lost(&self) -> bool {
        matches!(self.passage, Passage::Lost(_))
    }
}

/// The kinds of the router's payload types.
static PAYLOAD_TYPES: LazyLock<Vec<(u8, Kind)>> = LazyLock::new(|| {
    let codecs = &router_rtp_capabilities().codecs;
    let kind = |mime_type: &str| match mime_type {
        _ if mime_type.starts_with("audio/") => Kind::Audio,
        "video/rtx" => Kind::Retransmission,
        _ => Kind::Video,
    };
    codecs.iter().map(|codec| (codec.preferred_payload_type, kind(&codec.mime_type.0))).collect()
});
/// The payload type of mediasoup-client's probing consumer.
const PROBATOR: u8 = 127;
