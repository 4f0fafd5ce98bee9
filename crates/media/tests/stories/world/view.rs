//! One consumer's stream as its client receives it.

use super::decoder::Decoder;
use super::dependency;
use super::encoder::Codec;
use super::gaps::{Gaps, Repair};
use super::playback::Playback;
use super::stamp::Stamp;
use bytes::Bytes;
use rtc_rtp::codec::vp8::Vp8Packet;
use rtc_rtp::codec::vp9::Vp9Packet;
use rtc_rtp::packetizer::Depacketizer;
use rtcp::reception_report::ReceptionReport;
use rtcp::sender_report::SenderReport;
use std::collections::BTreeMap;
use std::time::Instant;
use switchyard_media::ConsumerParameters;
use switchyard_media::ortc::{HeaderExtensionUri, RtpParameters};

pub struct View {
    pub codec: Codec,
    pub ssrc: u32,
    pub parameters: RtpParameters,
    /// Received packets by extended sequence number.
    pub packets: BTreeMap<u64, Arrived>,
    pub sender_reports: Vec<(Instant, SenderReport)>,
    /// The numbers of packets that arrived as retransmissions, and of packets that arrived more than once.
    pub repaired: usize,
    pub duplicates: usize,
    /// Packets that do not hold what was sent.
    pub damaged: usize,
    /// Audio levels in the order of arrival.
    pub levels: Vec<u8>,
    pub decoder: Decoder,
    pub gaps: Gaps,
    /// The client is like a browser: it asks for a key frame when it cannot decode, and drops what is damaged.
    is_browsers: bool,
    reception: Reception,
}

/// What the last reception report said.
#[derive(Debug, Default)]
struct Reception {
    /// Packets that came without having been asked for.
    originals: u64,
    reported_originals: u64,
    reported_expected: u64,
}

#[derive(Debug, Clone)]
pub struct Arrived {
    pub at: Instant,
    pub timestamp: u32,
    pub marker: bool,
    /// `None` is padding in place of a packet.
    pub stamp: Option<Stamp>,
    /// Octets of payload.
    pub octets: usize,
    pub ids: Option<Ids>,
}

/// Picture id and TL0PICIDX, where the codec has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    pub picture: u16,
    pub tl0: u8,
}

impl View {
    pub fn new(codec: Codec, parameters: &ConsumerParameters) -> Self {
        let parameters = parameters.rtp_parameters.clone();
        Self {
            codec,
            ssrc: parameters.encodings[0].ssrc.unwrap(),
            parameters,
            packets: BTreeMap::new(),
            sender_reports: Vec::new(),
            repaired: 0,
            duplicates: 0,
            damaged: 0,
            levels: Vec::new(),
            decoder: Decoder::default(),
            gaps: Gaps::new(Repair::QUICK),
            is_browsers: false,
            reception: Reception::default(),
        }
    }

    pub fn carries(&self, ssrc: u32) -> bool {
        ssrc == self.ssrc || Some(ssrc) == self.rtx_ssrc()
    }

    /// Handles a packet and returns its transport-wide sequence number.
    pub fn handle_packet(&mut self, now: Instant, packet: &rtc_rtp::Packet) -> Option<u16> {
        let header = &packet.header;
        let mid = self.extension(packet, HeaderExtensionUri::Mid).expect("a packet without MID");
        assert_eq!(mid, self.parameters.mid.as_ref().unwrap().as_bytes());
        let rtx = Some(header.ssrc) == self.rtx_ssrc();
        let codec = &self.parameters.codecs[usize::from(rtx)];
        assert_eq!(header.payload_type, codec.payload_type, "another payload type than negotiated");
        let sequence = self.extension(packet, HeaderExtensionUri::TransportWideCc);
        let sequence = sequence.map(|value| u16::from_be_bytes(value[..].try_into().unwrap()));
        if rtx && packet.payload.is_empty() {
            // A probe.
            return sequence;
        }
        let (number, payload) = if rtx {
            let number = u16::from_be_bytes(packet.payload[..2].try_into().unwrap());
            (number, packet.payload.slice(2..))
        } else {
            (header.sequence_number, packet.payload.clone())
        };
        self.levels.extend(self.extension(packet, HeaderExtensionUri::AudioLevel).map(|value| value[0]));
        if self.codec == Codec::Av1 && !payload.is_empty() {
            let descriptor = self.extension(packet, HeaderExtensionUri::DependencyDescriptor);
            dependency::assert_describes(
                &descriptor.expect("AV1 without a descriptor"),
                &Stamp::of(&payload),
            );
        }
        self.take(now, header, number, &payload, rtx);
        sequence
    }

    fn take(&mut self, now: Instant, header: &rtc_rtp::Header, number: u16, payload: &Bytes, rtx: bool) {
        if self.is_browsers && !payload.is_empty() && Stamp::find(payload).is_none() {
            // What a browser does with such a packet is not known: it counts as lost.
            self.damaged += 1;
            return;
        }
        let highest = self.packets.last_key_value().map(|(sequence, _)| *sequence);
        let sequence = match highest {
            None => (1 << 16) + u64::from(number),
            Some(highest) => {
                let distance = i64::from(number.wrapping_sub(highest as u16) as i16);
                highest.checked_add_signed(distance).unwrap()
            }
        };
        self.gaps.close(sequence);
        self.gaps.open(now, highest.map_or(sequence, |highest| highest + 1)..sequence);
        let stamp = (!payload.is_empty()).then(|| Stamp::of(payload));
        let ids = stamp.and_then(|_| ids(self.codec, payload));
        let (timestamp, marker) = (header.timestamp, header.marker);
        let arrived = Arrived { at: now, timestamp, marker, stamp, octets: payload.len(), ids };
        match self.packets.get(&sequence) {
            Some(known) => {
                // What comes after padding took its number is dropped by receivers.
                if stamp.is_some() == known.stamp.is_some() {
                    assert_eq!((known.stamp, known.marker), (stamp, marker));
                }
                let is_padding = stamp.is_none() || known.stamp.is_none();
                assert!(is_padding || known.timestamp == timestamp, "another timestamp");
                self.duplicates += 1;
            }
            None => {
                self.repaired += usize::from(rtx);
                self.reception.originals += u64::from(!rtx);
                self.packets.insert(sequence, arrived);
                if let Some(stamp) = stamp.filter(|_| self.codec != Codec::Opus) {
                    self.decoder.take(now, stamp);
                }
            }
        }
    }

    /// Acts as in a browser, which repairs only what was negotiated.
    pub fn be_a_browsers(&mut self) {
        let feedback = &self.parameters.codecs[0].rtcp_feedback;
        let repaired = feedback.iter().any(|it| it.feedback_type == "nack" && it.parameter.is_empty());
        self.gaps.repair = if repaired { Repair::BROWSER } else { Repair::NONE };
        self.is_browsers = true;
    }

    pub fn next_request(&self) -> Option<Instant> {
        let picture = self.decoder.next_request().filter(|_| self.is_browsers);
        picture.into_iter().chain(self.gaps.next_request()).min()
    }

    /// The packets to NACK, and whether a key frame is needed.
    pub fn requests(&mut self, now: Instant) -> (Vec<u16>, bool) {
        let (asked, hopeless) = self.gaps.requests(now);
        let picture = self.decoder.next_request().filter(|_| self.is_browsers);
        let needs_key_frame = hopeless || picture.is_some_and(|at| at <= now);
        if needs_key_frame {
            self.decoder.note_request(now);
        }
        (asked, needs_key_frame)
    }

    pub fn reception(&mut self, now: Instant) -> ReceptionReport {
        let highest = self.packets.last_key_value().map_or(0, |(highest, _)| *highest);
        let first = self.packets.first_key_value().map_or(0, |(first, _)| *first);
        let (expected, counts) = (highest + 1 - first, &mut self.reception);
        let expected_lately = expected - counts.reported_expected;
        let lost_lately = expected_lately.saturating_sub(counts.originals - counts.reported_originals);
        (counts.reported_expected, counts.reported_originals) = (expected, counts.originals);
        let last = self.sender_reports.last();
        ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: (lost_lately * 256).checked_div(expected_lately).unwrap_or(0).min(255) as u8,
            total_lost: expected.saturating_sub(counts.originals) as u32,
            last_sequence_number: highest as u32,
            last_sender_report: last.map_or(0, |(_, report)| (report.ntp_time >> 16) as u32),
            delay: last.map_or(0, |(at, _)| ((now - *at).as_micros() * 65_536 / 1_000_000) as u32),
            ..ReceptionReport::default()
        }
    }

    /// The difference in seconds between the wall-clock time that a receiver computes for a picture and its
    /// capture time.
    pub fn clock_offset(&self) -> f64 {
        let (_, report) = self.sender_reports.last().expect("no sender report");
        let playback = self.playback();
        let picture = playback.pictures.last().unwrap();
        let since = f64::from(picture.timestamp.wrapping_sub(report.rtp_time) as i32);
        let ntp = report.ntp_time as f64 / f64::from(u32::MAX);
        let origin = 1_800_000_000.0 + 2_208_988_800.0;
        (ntp - origin) + since / f64::from(self.codec.clock_rate()) - picture.captured().as_secs_f64()
    }

    pub fn playback(&self) -> Playback {
        Playback::of(self.codec, &self.packets)
    }

    /// The number of media packets, without padding-only ones.
    pub fn count(&self) -> usize {
        self.packets.values().filter(|packet| packet.stamp.is_some()).count()
    }

    fn rtx_ssrc(&self) -> Option<u32> {
        self.parameters.encodings[0].rtx.map(|rtx| rtx.ssrc)
    }

    fn extension(&self, packet: &rtc_rtp::Packet, uri: HeaderExtensionUri) -> Option<Bytes> {
        let id = self.parameters.extension_id(uri)?;
        let extension = packet.header.extensions.iter().find(|extension| extension.id == id)?;
        Some(extension.payload.clone())
    }
}

/// Reads ids with webrtc-rs's own parsers.
fn ids(codec: Codec, payload: &Bytes) -> Option<Ids> {
    match codec {
        Codec::Vp8 => {
            let mut packet = Vp8Packet::default();
            packet.depacketize(payload).expect("malformed VP8");
            Some(Ids { picture: packet.picture_id, tl0: packet.tl0_pic_idx })
        }
        Codec::Vp9 => {
            let mut packet = Vp9Packet::default();
            packet.depacketize(payload).expect("malformed VP9");
            Some(Ids { picture: packet.picture_id, tl0: packet.tl0picidx })
        }
        Codec::Opus | Codec::H264 | Codec::Av1 => None,
    }
}
