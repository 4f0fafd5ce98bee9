//! An outgoing RTP stream: numbering, header extensions and sender reports.

use crate::signaling::{ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI};
use anyhow::{Result, anyhow};
use bytes::Bytes;
use rtc_rtp::{Header, Packet};
use rtcp::sender_report::SenderReport;
use rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

/// One track going out.
pub(crate) struct RtpStream {
    kind: StreamKind,
    ssrc: u32,
    sequence: u16,
    /// Timestamps count from here.
    started: Instant,
    first_timestamp: u32,
    packets: u32,
    octets: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Audio,
    Video,
}

/// What a packet is, beside its numbering.
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    pub(crate) marker: bool,
    /// RFC 6464, for audio: level below overload in dB, the top bit for voice.
    pub(crate) audio_level: Option<u8>,
}

impl RtpStream {
    pub(crate) fn new(kind: StreamKind, now: Instant) -> Self {
        Self {
            kind,
            ssrc: rand::random(),
            sequence: rand::random::<u16>() >> 1,
            started: now,
            first_timestamp: rand::random(),
            packets: 0,
            octets: 0,
        }
    }

    /// The next packet, captured at `captured`, with the transport's next sequence number.
    pub(crate) fn packet(
        &mut self,
        payload: Payload,
        captured: Instant,
        transport_sequence: u16,
    ) -> Result<Packet> {
        let mut header = Header {
            version: 2,
            marker: payload.marker,
            payload_type: self.kind.payload_type(),
            sequence_number: self.sequence,
            timestamp: self.timestamp(captured),
            ssrc: self.ssrc,
            ..Header::default()
        };
        let level = payload.audio_level.map(|level| (AUDIO_LEVEL_ID, Bytes::copy_from_slice(&[level])));
        let extensions = [
            (MID_ID, Bytes::from_static(self.kind.mid().as_bytes())),
            (ABS_SEND_TIME_ID, Bytes::copy_from_slice(&abs_send_time(ntp_now()))),
            (TRANSPORT_CC_ID, Bytes::copy_from_slice(&transport_sequence.to_be_bytes())),
        ];
        for (id, value) in extensions.into_iter().chain(level) {
            header.set_extension(id, value).map_err(|error| anyhow!("header extension {id}: {error}"))?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.bytes.len() as u32);
        Ok(Packet { header, payload: payload.bytes })
    }

    /// A sender report with the CNAME that ties a publisher's streams together.
    pub(crate) fn report(&self, now: Instant, cname: &str) -> Vec<Box<dyn rtcp::Packet>> {
        let report = SenderReport {
            ssrc: self.ssrc,
            ntp_time: ntp_now(),
            rtp_time: self.timestamp(now),
            packet_count: self.packets,
            octet_count: self.octets,
            ..SenderReport::default()
        };
        let text = Bytes::copy_from_slice(cname.as_bytes());
        let items = vec![SourceDescriptionItem { sdes_type: SdesType::SdesCname, text }];
        let description =
            SourceDescription { chunks: vec![SourceDescriptionChunk { source: self.ssrc, items }] };
        vec![Box::new(report), Box::new(description)]
    }

    /// The `rtpParameters` of `media:produce`.
    pub(crate) fn rtp_parameters(&self, cname: &str) -> Value {
        let extension = |(uri, id)| json!({ "uri": uri, "id": id });
        let common =
            [(MID_URI, MID_ID), (ABS_SEND_TIME_URI, ABS_SEND_TIME_ID), (TRANSPORT_CC_URI, TRANSPORT_CC_ID)];
        let level = (self.kind == StreamKind::Audio).then_some((AUDIO_LEVEL_URI, AUDIO_LEVEL_ID));
        json!({
            "mid": self.kind.mid(),
            "codecs": [self.kind.codec()],
            "headerExtensions": common.into_iter().chain(level).map(extension).collect::<Vec<_>>(),
            "encodings": [{ "ssrc": self.ssrc }],
            "rtcp": { "cname": cname, "reducedSize": true, "mux": true },
        })
    }

    fn timestamp(&self, at: Instant) -> u32 {
        let elapsed = at.saturating_duration_since(self.started);
        let ticks = elapsed.as_micros() * u128::from(self.kind.clock_rate()) / 1_000_000;
        self.first_timestamp.wrapping_add(ticks as u32)
    }
}

impl StreamKind {
    /// The name of the kind on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Audio => "mic",
            Self::Video => "camera",
        }
    }

    fn mid(self) -> &'static str {
        match self {
            Self::Audio => "0",
            Self::Video => "1",
        }
    }

    fn payload_type(self) -> u8 {
        match self {
            Self::Audio => 111,
            Self::Video => 96,
        }
    }

    fn clock_rate(self) -> u32 {
        match self {
            Self::Audio => 48_000,
            Self::Video => 90_000,
        }
    }

    /// Without generic NACK: the generator keeps no packets to send again.
    fn codec(self) -> Value {
        let (payload_type, clock_rate) = (self.payload_type(), self.clock_rate());
        match self {
            Self::Audio => json!({
                "mimeType": "audio/opus", "payloadType": payload_type, "clockRate": clock_rate, "channels": 2,
                "parameters": { "minptime": 10, "useinbandfec": 1 },
                "rtcpFeedback": [{ "type": "transport-cc", "parameter": "" }],
            }),
            Self::Video => json!({
                "mimeType": "video/VP8", "payloadType": payload_type, "clockRate": clock_rate,
                "parameters": {},
                "rtcpFeedback": [
                    { "type": "transport-cc", "parameter": "" },
                    { "type": "ccm", "parameter": "fir" },
                    { "type": "nack", "parameter": "pli" },
                ],
            }),
        }
    }
}

/// Seconds since 1900 as 32.32 fixed point (RFC 3550 §4).
fn ntp_now() -> u64 {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since_1900 = unix + Duration::from_secs(2_208_988_800);
    (since_1900.as_secs() << 32) | ((u64::from(since_1900.subsec_nanos()) << 32) / 1_000_000_000)
}

/// 6.18 fixed point seconds, 24 bits.
fn abs_send_time(ntp: u64) -> [u8; 3] {
    let [.., a, b, c] = ((ntp >> 14) as u32).to_be_bytes();
    [a, b, c]
}

/// Ids differ between browsers and sessions; these are as good as any.
const MID_ID: u8 = 4;
const ABS_SEND_TIME_ID: u8 = 2;
const TRANSPORT_CC_ID: u8 = 3;
const AUDIO_LEVEL_ID: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_shared::marshal::{Marshal, Unmarshal};

    #[test]
    fn packets_are_numbered_in_order_and_timed_by_the_media_clock() {
        let start = Instant::now();
        let mut stream = RtpStream::new(StreamKind::Video, start);
        let first = stream.packet(payload(None), start, 7).unwrap();
        let second = stream.packet(payload(None), start + Duration::from_millis(100), 8).unwrap();
        assert_eq!(second.header.sequence_number, first.header.sequence_number + 1);
        assert_eq!(second.header.timestamp.wrapping_sub(first.header.timestamp), 9_000);
    }

    #[test]
    fn extensions_survive_the_wire() {
        let mut stream = RtpStream::new(StreamKind::Audio, Instant::now());
        let packet = stream.packet(payload(Some(0x80 | 30)), Instant::now(), 0x1234).unwrap();
        let parsed = Packet::unmarshal(&mut packet.marshal().unwrap()).unwrap();
        assert_eq!(parsed.header.get_extension(TRANSPORT_CC_ID).unwrap()[..], [0x12, 0x34]);
        assert_eq!(parsed.header.get_extension(AUDIO_LEVEL_ID).unwrap()[..], [0x80 | 30]);
        assert_eq!(parsed.header.get_extension(MID_ID).unwrap()[..], *b"0");
        assert_eq!(parsed.payload, packet.payload);
    }

    #[test]
    fn a_report_counts_what_was_sent() {
        let mut stream = RtpStream::new(StreamKind::Audio, Instant::now());
        stream.packet(payload(None), Instant::now(), 0).unwrap();
        let packets = stream.report(Instant::now(), "someone");
        let report = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!((report.packet_count, report.octet_count), (1, 3));
    }

    fn payload(audio_level: Option<u8>) -> Payload {
        Payload { bytes: Bytes::from_static(&[1, 2, 3]), marker: true, audio_level }
    }
}
