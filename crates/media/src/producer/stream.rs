//! One encoding of a producer as it comes in.

use crate::clock::{NtpTime, duration_ticks};
use crate::codec::{Codec, DependencyReader, Descriptor, describe};
use crate::consumer::Source;
use crate::counters::Counters;
use crate::nack::NackGenerator;
use crate::ortc::MediaKind;
use crate::producer::arrival::{Arrival, SenderClock};
use crate::producer::history::{Carried, Content, Incoming, MAX_PAYLOAD, PacketHistory};
use crate::producer::key_frames::KeyFrameRequests;
use crate::producer::reception::Reception;
use crate::rtp::{Header, SequenceUnwrapper, Ssrc};
use rtcp::reception_report::ReceptionReport;
use std::time::{Duration, Instant};

/// What one SSRC brought: its packets, and what is owed to its sender in reports, repairs and key-frame requests.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    /// Told apart from the encoding's other lives: rises when sequence or time begin anew.
    pub(crate) source: Source,
    pub(crate) history: PacketHistory,
    pub(crate) nack: Option<NackGenerator>,
    pub(crate) key_frames: KeyFrameRequests,
    codec: Codec,
    clock_rate: u32,
    unwrapper: SequenceUnwrapper,
    reception: Reception,
    dependency: DependencyReader,
    clock: Option<SenderClock>,
    last: Last,
    /// How long after its NACK the last retransmission came.
    repair_delay: Option<Duration>,
}

/// The newest packet, and what a jump away from it would have to continue with.
#[derive(Debug)]
struct Last {
    sequence: u64,
    timestamp: u32,
    at: Instant,
    /// After an implausible sequence number: the one that would confirm a restart (RFC 3550 A.1).
    restart_at: Option<u16>,
}

/// The media of one packet, freed of its RTX wrapping and padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Media<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    /// Value of the dependency descriptor extension.
    pub(crate) dependency: Option<&'a [u8]>,
    pub(crate) carried: Carried,
    /// It came as a retransmission (RFC 4588).
    pub(crate) recovered: bool,
}

impl Stream {
    /// Begins with the first packet's header.
    pub(crate) fn new(
        codec: Codec,
        clock_rate: u32,
        source: Source,
        nack: bool,
        header: &Header,
        now: Instant,
    ) -> Self {
        let mut unwrapper = SequenceUnwrapper::default();
        let sequence = unwrapper.unwrap(header.sequence_number);
        let (packets, limit) = if codec.kind() == MediaKind::Video { VIDEO_HISTORY } else { AUDIO_HISTORY };
        Self {
            ssrc: header.ssrc,
            source,
            history: PacketHistory::new(packets, limit, now),
            nack: nack.then(NackGenerator::default),
            key_frames: KeyFrameRequests::default(),
            codec,
            clock_rate,
            unwrapper,
            reception: Reception::new(header.ssrc.0, clock_rate, sequence, now),
            dependency: DependencyReader::default(),
            clock: None,
            last: Last { sequence: sequence - 1, timestamp: header.timestamp, at: now, restart_at: None },
            repair_delay: None,
        }
    }

    /// A measure of the round trip for senders that give no better one.
    pub(crate) fn take_repair_delay(&mut self) -> Option<Duration> {
        self.repair_delay.take()
    }

    pub(crate) fn clock(&self) -> Option<SenderClock> {
        self.clock
    }

    pub(crate) fn last_arrival(&self) -> Instant {
        self.last.at
    }

    /// The packets that came before this one but follow it.
    pub(crate) fn arrived_after(&self, arrival: &Arrival) -> impl Iterator<Item = Arrival> {
        (arrival.sequence + 1..=self.last.sequence).filter_map(|sequence| {
            let (stored, _) = self.history.get(sequence)?;
            let (timestamp, media) = (stored.timestamp, Some(stored.descriptor));
            Some(Arrival { sequence, timestamp, media, ..*arrival })
        })
    }

    /// The newest packet's media time and when it came.
    pub(crate) fn media_time(&self) -> (u32, Instant) {
        (self.last.timestamp, self.last.at)
    }

    /// The extended sequence number nearest to the newest with these low 32 bits.
    pub(crate) fn extend(&self, sequence: u32) -> u64 {
        let behind = (self.last.sequence as u32).wrapping_sub(sequence) as i32;
        self.last.sequence.wrapping_add_signed(-i64::from(behind))
    }

    pub(crate) fn sender_report(&mut self, ntp: NtpTime, timestamp: u32, now: Instant) {
        self.reception.sender_report(ntp, now);
        self.clock = Some(SenderClock { ntp, timestamp, rate: self.clock_rate });
    }

    pub(crate) fn report(&mut self, now: Instant) -> ReceptionReport {
        self.reception.report(now)
    }

    /// Takes a packet in: numbered, checked, described and stored. `None` if nobody is to see it (counted).
    pub(crate) fn receive(
        &mut self,
        media: &Media<'_>,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<Arrival> {
        let sequence = self.number(media, now, counters)?;
        if self.history.contains(sequence) {
            counters.rtp_duplicate += 1;
            return None;
        }
        if self.history.is_past(sequence) || sequence + MAX_REORDER < self.last.sequence {
            counters.rtp_too_old += 1;
            return None;
        }
        if !media.recovered {
            self.reception.received(sequence, media.header.timestamp, now);
        }
        let delay = self.nack.as_mut().and_then(|nack| nack.received(sequence, now));
        self.repair_delay = delay.filter(|_| media.recovered).or(self.repair_delay);
        self.note_time(sequence, media.header.timestamp, now, counters);
        if media.payload.is_empty() {
            counters.padding_received += 1;
            return Some(self.arrival(sequence, media, None, now));
        }
        let descriptor = self.describe(media, counters)?;
        if descriptor.keyframe && self.codec.kind() == MediaKind::Video {
            self.key_frames.satisfied();
            if let Some(nack) = &mut self.nack {
                nack.expire_before(sequence);
            }
        }
        let Header { timestamp, marker, .. } = media.header;
        let packet = Incoming { sequence, timestamp, marker, descriptor, carried: media.carried };
        self.history.store(packet, self.content(media), now);
        Some(self.arrival(sequence, media, Some(descriptor), now))
    }

    /// The extended sequence number. A jump too far to be loss is believed only when the next packet follows it.
    fn number(&mut self, media: &Media<'_>, now: Instant, counters: &mut Counters) -> Option<u64> {
        let number = media.header.sequence_number;
        let highest = self.unwrapper.highest().unwrap_or(0);
        let distance = number.wrapping_sub(highest as u16) as i16;
        if (-MAX_MISORDER..=MAX_DROPOUT).contains(&distance) {
            self.last.restart_at = None;
            return Some(self.unwrapper.unwrap(number));
        }
        if media.recovered || self.last.restart_at.replace(number.wrapping_add(1)) != Some(number) {
            counters.rtp_too_old += 1;
            return None;
        }
        counters.stream_restarts += 1;
        let source = Source { generation: self.source.generation.wrapping_add(1), ..self.source };
        let fresh = Self::new(self.codec, self.clock_rate, source, self.nack.is_some(), &media.header, now);
        let before = std::mem::replace(self, fresh);
        self.key_frames = before.key_frames;
        self.unwrapper.highest()
    }

    /// Media time that leaves arrival time behind means that the sender began anew.
    fn note_time(&mut self, sequence: u64, timestamp: u32, now: Instant, counters: &mut Counters) {
        if sequence <= self.last.sequence {
            return;
        }
        let elapsed = duration_ticks(now.saturating_duration_since(self.last.at), self.clock_rate);
        let off = timestamp.wrapping_sub(self.last.timestamp.wrapping_add(elapsed)) as i32;
        if off.unsigned_abs() > self.clock_rate * MAX_TIME_JUMP_SECONDS {
            counters.stream_restarts += 1;
            self.source.generation = self.source.generation.wrapping_add(1);
            self.clock = None;
        }
        self.last = Last { sequence, timestamp, at: now, restart_at: None };
    }

    fn describe(&mut self, media: &Media<'_>, counters: &mut Counters) -> Option<Descriptor> {
        let content = self.content(media);
        if content.payload.len() + content.dependency.len() > MAX_PAYLOAD {
            counters.payload_oversized += 1;
            return None;
        }
        let dependency = media.dependency.and_then(|value| self.dependency.read(value).ok());
        let descriptor = describe(self.codec, media.payload, dependency.as_ref());
        if descriptor.is_none() {
            counters.payload_malformed += 1;
        }
        descriptor
    }

    /// What is kept of a packet. Receivers want dependency descriptors of AV1 alone.
    fn content<'a>(&self, media: &Media<'a>) -> Content<'a> {
        let dependency = media.dependency.filter(|_| self.codec == Codec::Av1).unwrap_or_default();
        Content { payload: media.payload, dependency }
    }

    fn arrival(&self, sequence: u64, packet: &Media<'_>, media: Option<Descriptor>, at: Instant) -> Arrival {
        Arrival { source: self.source, sequence, timestamp: packet.header.timestamp, media, at }
    }
}

/// Retransmissions come as a stream of their own, which is owed reports too.
#[derive(Debug)]
pub(crate) struct RtxStream {
    pub(crate) ssrc: Ssrc,
    unwrapper: SequenceUnwrapper,
    reception: Reception,
}

impl RtxStream {
    pub(crate) fn new(header: &Header, clock_rate: u32, now: Instant) -> Self {
        let mut unwrapper = SequenceUnwrapper::default();
        let sequence = unwrapper.unwrap(header.sequence_number);
        Self {
            ssrc: header.ssrc,
            unwrapper,
            reception: Reception::new(header.ssrc.0, clock_rate, sequence, now),
        }
    }

    pub(crate) fn receive(&mut self, header: &Header, now: Instant) {
        let sequence = self.unwrapper.unwrap(header.sequence_number);
        self.reception.received(sequence, header.timestamp, now);
    }

    pub(crate) fn report(&mut self, now: Instant) -> ReceptionReport {
        self.reception.report(now)
    }
}

/// An encoding that sent nothing for this long is off; a camera in the dark still sends a few pictures a second.
pub(crate) const INACTIVE_AFTER: Duration = Duration::from_millis(1_500);
/// Packets and bytes kept.
const VIDEO_HISTORY: (usize, usize) = (1024, 2 << 20);
const AUDIO_HISTORY: (usize, usize) = (128, 64 << 10);
/// RFC 3550 A.1.
const MAX_DROPOUT: i16 = 3_000;
const MAX_MISORDER: i16 = 1_000;
const MAX_REORDER: u64 = 1_000;
/// Muted senders may stop their clock for a while, capture hiccups take seconds; a new clock is off by anything.
const MAX_TIME_JUMP_SECONDS: u32 = 10;
