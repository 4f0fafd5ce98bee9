//! Receives one SSRC: packets are checked, numbered and described; reports and NACKs to the sender are
//! prepared.

use crate::arrival::{Arrival, Carried, Content, EncodingLife};
use crate::clock::{NtpTime, duration_ticks};
use crate::codec::{Codec, DependencyReader, Descriptor, describe};
use crate::counters::Counters;
use crate::history::{Incoming, MAX_PAYLOAD};
use crate::nack::NackGenerator;
use crate::ortc::MediaKind;
use crate::producer::reception::Reception;
use crate::producer::stream::Stream;
use crate::rtp::{Header, SequenceUnwrapper, Ssrc};
use rtcp::reception_report::ReceptionReport;
use std::time::{Duration, Instant};

/// Receives the packets of one SSRC, and keeps the state for reports and NACKs to its sender.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) ssrc: Ssrc,
    pub(crate) nack: Option<NackGenerator>,
    codec: Codec,
    clock_rate: u32,
    unwrapper: SequenceUnwrapper,
    reception: Reception,
    dependency: DependencyReader,
    /// After an implausible sequence number: the one that would confirm a restart (RFC 3550 A.1).
    restart_at: Option<u16>,
    /// The time from NACK to arrival of the last retransmission.
    repair_delay: Option<Duration>,
}

/// The media of one packet, without RTX encapsulation and padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Media<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    /// Value of the dependency descriptor extension.
    pub(crate) dependency: Option<&'a [u8]>,
    pub(crate) carried: Carried,
    /// The packet was received as a retransmission (RFC 4588).
    pub(crate) recovered: bool,
}

impl Intake {
    /// Creates the intake and its stream from the first packet's header.
    pub(crate) fn new(
        codec: Codec,
        clock_rate: u32,
        source: EncodingLife,
        nack: bool,
        header: &Header,
        now: Instant,
    ) -> (Self, Stream) {
        let mut unwrapper = SequenceUnwrapper::default();
        let sequence = unwrapper.unwrap(header.sequence_number);
        let intake = Self {
            ssrc: header.ssrc,
            nack: nack.then(NackGenerator::default),
            codec,
            clock_rate,
            unwrapper,
            reception: Reception::new(header.ssrc.0, clock_rate, sequence, now),
            dependency: DependencyReader::default(),
            restart_at: None,
            repair_delay: None,
        };
        (intake, Stream::new(codec.kind(), source, sequence, header.timestamp, now))
    }

    /// Takes the time of the last repair: a round-trip estimate for senders without a better one.
    pub(crate) fn take_repair_delay(&mut self) -> Option<Duration> {
        self.repair_delay.take()
    }

    pub(crate) fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// `false` if the report comes too soon after the last one and is ignored.
    pub(crate) fn sender_report(&mut self, ntp: NtpTime, now: Instant) -> bool {
        self.reception.sender_report(ntp, now)
    }

    pub(crate) fn report(&mut self, now: Instant) -> ReceptionReport {
        self.reception.report(now)
    }

    /// Numbers, checks, describes and stores a packet. `None` if the packet is dropped (counted).
    pub(crate) fn receive(
        &mut self,
        stream: &mut Stream,
        media: &Media<'_>,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<Arrival> {
        let sequence = self.number(stream, media, now, counters)?;
        if stream.history.contains(sequence) {
            counters.rtp_duplicate += 1;
            return None;
        }
        if stream.is_too_old(sequence) {
            counters.rtp_too_old += 1;
            return None;
        }
        let Header { timestamp, marker, .. } = media.header;
        if !media.recovered {
            self.reception.received(sequence, timestamp, now);
        }
        let delay = self.nack.as_mut().and_then(|nack| nack.received(sequence, now));
        self.repair_delay = delay.filter(|_| media.recovered).or(self.repair_delay);
        self.note_time(stream, sequence, timestamp, now, counters);
        if media.payload.is_empty() {
            counters.padding_received += 1;
            return Some(stream.probe(sequence, timestamp, now));
        }
        let descriptor = self.describe(media, counters)?;
        if let Some(nack) = self.nack.as_mut().filter(|_| descriptor.keyframe)
            && self.codec.kind() == MediaKind::Video
        {
            nack.expire_before(sequence);
        }
        let packet = Incoming { sequence, timestamp, marker, descriptor, carried: media.carried };
        Some(stream.store(packet, self.content(media), now))
    }

    /// The extended sequence number. A jump too far to be loss is accepted only when the next packet
    /// continues it (RFC 3550 A.1).
    fn number(
        &mut self,
        stream: &mut Stream,
        media: &Media<'_>,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<u64> {
        let number = media.header.sequence_number;
        let highest = self.unwrapper.highest().unwrap_or(0);
        let distance = number.wrapping_sub(highest as u16) as i16;
        if (-MAX_MISORDER..=MAX_DROPOUT).contains(&distance) {
            self.restart_at = None;
            return Some(self.unwrapper.unwrap(number));
        }
        if media.recovered || self.restart_at.replace(number.wrapping_add(1)) != Some(number) {
            counters.rtp_too_old += 1;
            return None;
        }
        counters.stream_restarts += 1;
        let source = next_life(stream.source);
        let nack = self.nack.is_some();
        (*self, *stream) = Self::new(self.codec, self.clock_rate, source, nack, &media.header, now);
        self.unwrapper.highest()
    }

    /// A timestamp that differs too much from arrival time means that the sender restarted: a new source
    /// begins.
    fn note_time(
        &mut self,
        stream: &mut Stream,
        sequence: u64,
        timestamp: u32,
        now: Instant,
        counters: &mut Counters,
    ) {
        let newest = stream.newest();
        if sequence <= newest.sequence {
            return;
        }
        let elapsed = duration_ticks(now.saturating_duration_since(newest.at), self.clock_rate);
        let off = timestamp.wrapping_sub(newest.timestamp.wrapping_add(elapsed)) as i32;
        if off.unsigned_abs() > self.clock_rate * MAX_TIME_JUMP_SECONDS {
            counters.stream_restarts += 1;
            stream.source = next_life(stream.source);
        }
        self.restart_at = None;
        stream.advance(sequence, timestamp, now);
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

    /// The bytes to store of a packet. Dependency descriptors are forwarded for AV1 only.
    fn content<'a>(&self, media: &Media<'a>) -> Content<'a> {
        let dependency = media.dependency.filter(|_| self.codec == Codec::Av1).unwrap_or_default();
        Content { payload: media.payload, dependency }
    }
}

/// The SSRC of the retransmissions (RFC 4588), which needs receiver reports too.
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

pub(crate) fn next_life(source: EncodingLife) -> EncodingLife {
    EncodingLife { generation: source.generation.wrapping_add(1), ..source }
}

/// RFC 3550 A.1.
const MAX_DROPOUT: i16 = 3_000;
const MAX_MISORDER: i16 = 1_000;
/// Muted senders may stop their clock for a while, and capture may stall for seconds; the offset of a new
/// clock is arbitrary.
const MAX_TIME_JUMP_SECONDS: u32 = 10;
