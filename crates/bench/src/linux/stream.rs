//! The tracks that are forwarded: valid packets with meaningless media.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use rtc_rtp::{Header, Packet};
use serde_json::json;
use switchyard_media::allocation::VideoKind;
use switchyard_media::ortc::{MediaKind, RtpParameters, router_rtp_capabilities};
use switchyard_media::{ConsumeOptions, ProduceOptions, ProducerId};
use switchyard_peer::Transport;

/// The shape of a burst: packets of one frame that are sent together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Bytes of payload in each packet.
    pub(crate) payload: usize,
    /// Packets per burst: `k`.
    pub(crate) burst: usize,
}

/// What one publisher sends.
pub(crate) struct Tracks {
    pub(crate) audio: Track,
    pub(crate) video: Track,
    transport_sequence: u16,
}

/// The sending state of a track.
pub(crate) struct Track {
    kind: MediaKind,
    sequence: u16,
    /// Frames or audio packets so far.
    frames: u32,
}

impl Tracks {
    pub(crate) fn new() -> Self {
        let track = |kind| Track { kind, sequence: 1, frames: 0 };
        Self { audio: track(MediaKind::Audio), video: track(MediaKind::Video), transport_sequence: 0 }
    }

    /// The sealed packets of the next frame; the first frame of video is a key frame.
    pub(crate) fn seal(
        &mut self,
        kind: MediaKind,
        shape: Shape,
        transport: &mut Transport,
    ) -> Result<Vec<Bytes>> {
        let track = match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        };
        track.frames += 1;
        for index in 0..shape.burst {
            transport.send_rtp(&track.packet(shape, index, self.transport_sequence)?)?;
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
        }
        Ok(std::iter::from_fn(|| transport.poll_transmit()).collect())
    }
}

impl Track {
    pub(crate) fn produce_options(&self) -> Result<ProduceOptions> {
        let codec = match self.kind {
            MediaKind::Audio => json!({
                "mimeType": "audio/opus", "payloadType": AUDIO_TYPE, "clockRate": 48_000, "channels": 2,
                "rtcpFeedback": [{ "type": "transport-cc" }],
            }),
            MediaKind::Video => json!({
                "mimeType": "video/VP8", "payloadType": VIDEO_TYPE, "clockRate": 90_000,
                "rtcpFeedback": [{ "type": "nack" }, { "type": "nack", "parameter": "pli" }, { "type": "transport-cc" }],
            }),
        };
        let extensions: Vec<_> =
            EXTENSIONS.into_iter().map(|(uri, id)| json!({ "uri": uri, "id": id })).collect();
        let parameters: RtpParameters = serde_json::from_value(json!({
            "mid": self.mid(), "codecs": [codec], "headerExtensions": extensions,
            "encodings": [{ "ssrc": self.ssrc() }], "rtcp": { "cname": "bench" },
        }))?;
        Ok(ProduceOptions { kind: self.kind, rtp_parameters: parameters, paused: false })
    }

    fn packet(&mut self, shape: Shape, index: usize, transport_sequence: u16) -> Result<Packet> {
        let (clock_step, payload_type) = match self.kind {
            MediaKind::Audio => (960, AUDIO_TYPE),
            MediaKind::Video => (3_000, VIDEO_TYPE),
        };
        let mut header = Header {
            version: 2,
            marker: index + 1 == shape.burst,
            payload_type,
            sequence_number: self.sequence,
            timestamp: self.frames * clock_step,
            ssrc: self.ssrc(),
            ..Header::default()
        };
        let values = [
            Bytes::from_static(self.mid().as_bytes()),
            Bytes::from_static(&[0; 3]),
            Bytes::copy_from_slice(&transport_sequence.to_be_bytes()),
        ];
        for ((_, id), value) in EXTENSIONS.into_iter().zip(values) {
            header.set_extension(id, value).map_err(|error| anyhow!("header extension {id}: {error}"))?;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let payload = match self.kind {
            MediaKind::Audio => vec![0x5a; shape.payload],
            MediaKind::Video => vp8(shape.payload, self.frames as u16, index == 0, self.frames == 1),
        };
        Ok(Packet { header, payload: payload.into() })
    }

    fn mid(&self) -> &'static str {
        match self.kind {
            MediaKind::Audio => "0",
            MediaKind::Video => "1",
        }
    }

    fn ssrc(&self) -> u32 {
        match self.kind {
            MediaKind::Audio => 0x1000,
            MediaKind::Video => 0x2000,
        }
    }
}

/// Options of a consumer with all features that a browser supports.
pub(crate) fn consume_options(producer: ProducerId) -> ConsumeOptions {
    let whole = router_rtp_capabilities().clone().try_into();
    let rtp_capabilities = Arc::new(whole.expect("the router's own capabilities are valid"));
    ConsumeOptions {
        producer,
        rtp_capabilities,
        paused: false,
        preferred_layers: None,
        video: VideoKind::Camera,
    }
}

/// A payload descriptor (RFC 7741 §4.2) with a 15-bit picture id, a frame tag (RFC 6386 §9.1), and filler
/// bytes.
fn vp8(len: usize, picture_id: u16, first: bool, is_key: bool) -> Vec<u8> {
    let [high, low] = picture_id.to_be_bytes();
    let mut payload = vec![if first { 0x90 } else { 0x80 }, 0x80, 0x80 | high, low];
    if first {
        payload.extend([if is_key { 0x10 } else { 0x11 }, 0, 0]);
    }
    if first && is_key {
        payload.extend([0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
    }
    payload.resize(len.max(payload.len()), 0x5a);
    payload
}

const EXTENSIONS: [(&str, u8); 3] = [
    ("urn:ietf:params:rtp-hdrext:sdes:mid", 4),
    ("http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", 2),
    ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", 3),
];
const AUDIO_TYPE: u8 = 111;
const VIDEO_TYPE: u8 = 96;
