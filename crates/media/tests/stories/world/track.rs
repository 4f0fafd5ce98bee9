//! The tracks that publishers announce.

use super::dependency::Dependence;
use super::encoder::Codec;
use super::rates::Camera;
use serde_json::{Value, json};
use std::time::Duration;
use switchyard_media::ortc::{HeaderExtensionUri, MediaKind, RtpParameters};

/// A track to be published.
#[derive(Debug, Clone)]
pub struct Track {
    pub codec: Codec,
    /// Simulcast layers.
    pub encodings: u8,
    /// Spatial and temporal layers of each encoding.
    pub layers: (u8, u8),
    /// Of spatial layers on each other.
    pub dependence: Dependence,
    /// Pictures per second.
    pub rate: u32,
    pub rtx: bool,
    /// Its m-section has the MID and the transport-wide sequence number extensions; recycled sections have
    /// neither.
    pub mid: bool,
    pub transport_cc: bool,
    pub abs_send_time: bool,
    /// Target rates that it declares with key frames (video-layers-allocation).
    pub declares: Option<&'static [u8]>,
    /// Initial audio level in -dBov.
    pub level: u8,
    /// Has the rates of a camera, instead of a few packets a picture.
    pub camera: Option<Camera>,
}

/// The SSRCs and the MID of a track on its transport.
pub struct Identity {
    pub mid: Option<String>,
    pub ssrcs: Vec<(u32, Option<u32>)>,
}

impl Track {
    pub fn opus() -> Self {
        Self { rtx: false, rate: 50, ..Self::video(Codec::Opus) }
    }

    pub fn vp8() -> Self {
        Self::video(Codec::Vp8)
    }

    /// Three encodings of three temporal layers, as mediasoup-client asks browsers for.
    pub fn vp8_simulcast() -> Self {
        Self { encodings: 3, layers: (1, 3), ..Self::vp8() }
    }

    /// What the page sends: VP8 in three sizes, L1T3 each.
    pub fn camera(camera: Camera) -> Self {
        Self { camera: Some(camera), ..Self::vp8_simulcast() }
    }

    pub fn vp9_svc() -> Self {
        Self { layers: (3, 3), ..Self::video(Codec::Vp9) }
    }

    pub fn h264() -> Self {
        Self::video(Codec::H264)
    }

    pub fn av1_svc() -> Self {
        Self { layers: (3, 3), ..Self::video(Codec::Av1) }
    }

    fn video(codec: Codec) -> Self {
        Self {
            codec,
            encodings: 1,
            layers: (1, 1),
            dependence: Dependence::All,
            rate: 30,
            rtx: true,
            mid: true,
            transport_cc: true,
            abs_send_time: true,
            declares: None,
            level: 127,
            camera: None,
        }
    }

    pub fn kind(&self) -> MediaKind {
        if self.codec == Codec::Opus { MediaKind::Audio } else { MediaKind::Video }
    }

    /// The time from one picture to the next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate
    }

    pub fn payload_types(&self) -> (u8, u8) {
        match self.codec {
            Codec::Opus => (111, 112),
            Codec::Vp8 => (96, 97),
            Codec::Vp9 => (98, 99),
            Codec::H264 => (125, 124),
            Codec::Av1 => (45, 46),
        }
    }

    /// As mediasoup-client would send it.
    pub fn rtp_parameters(&self, identity: &Identity) -> RtpParameters {
        let parameters = json!({
            "mid": identity.mid,
            "codecs": self.codecs(),
            "headerExtensions": self.header_extensions(),
            "encodings": self.encodings(identity),
            "rtcp": {"cname": "client", "reducedSize": true},
        });
        serde_json::from_value(parameters).unwrap()
    }

    fn codecs(&self) -> Vec<Value> {
        let (payload_type, rtx) = self.payload_types();
        let (mime_type, parameters) = match self.codec {
            Codec::Opus => ("audio/opus", json!({"useinbandfec": 1})),
            Codec::Vp8 => ("video/VP8", json!({})),
            Codec::Vp9 => ("video/VP9", json!({"profile-id": 0})),
            Codec::H264 => (
                "video/H264",
                json!({"level-asymmetry-allowed": 1, "packetization-mode": 1, "profile-level-id": "42e01f"}),
            ),
            Codec::Av1 => ("video/AV1", json!({})),
        };
        let feedback = json!([
            {"type": "nack"}, {"type": "nack", "parameter": "pli"}, {"type": "ccm", "parameter": "fir"},
            {"type": "transport-cc"}, {"type": "goog-remb"},
        ]);
        let mut codecs = vec![json!({
            "mimeType": mime_type, "payloadType": payload_type, "clockRate": self.codec.clock_rate(),
            "channels": (self.codec == Codec::Opus).then_some(2), "parameters": parameters, "rtcpFeedback": feedback,
        })];
        if self.rtx {
            let parameters = json!({"apt": payload_type});
            codecs.push(json!({
                "mimeType": "video/rtx", "payloadType": rtx, "clockRate": 90_000, "parameters": parameters,
            }));
        }
        codecs
    }

    fn header_extensions(&self) -> Vec<Value> {
        use HeaderExtensionUri as Uri;
        let mut listed = Vec::new();
        if self.abs_send_time {
            listed.push((ids::ABS_SEND_TIME, Uri::AbsSendTime));
        }
        if self.codec == Codec::Opus {
            listed.push((ids::AUDIO_LEVEL, Uri::AudioLevel));
        }
        if self.codec == Codec::Av1 {
            listed.push((ids::DEPENDENCY_DESCRIPTOR, Uri::DependencyDescriptor));
        }
        if self.declares.is_some() {
            listed.push((ids::LAYERS_ALLOCATION, Uri::VideoLayersAllocation));
        }
        if self.mid {
            listed.push((ids::MID, Uri::Mid));
        }
        if self.encodings > 1 {
            listed.extend([(ids::RID, Uri::Rid), (ids::REPAIRED_RID, Uri::RepairedRid)]);
        }
        if self.transport_cc {
            listed.push((ids::TRANSPORT_CC, Uri::TransportWideCc));
        }
        listed.into_iter().map(|(id, uri)| json!({"id": id, "uri": uri.uri()})).collect()
    }

    /// Simulcast encodings are named by RID, others by SSRC.
    fn encodings(&self, identity: &Identity) -> Vec<Value> {
        let (spatial, temporal) = self.layers;
        let mode = (spatial > 1 || temporal > 1).then(|| match self.dependence {
            Dependence::All => format!("L{spatial}T{temporal}"),
            Dependence::KeyPictures => format!("L{spatial}T{temporal}_KEY"),
            Dependence::None => format!("S{spatial}T{temporal}"),
        });
        let encoding = |(index, &(ssrc, rtx)): (usize, &(u32, Option<u32>))| {
            if self.encodings > 1 {
                return json!({"rid": rid(index), "scalabilityMode": mode});
            }
            let rtx = rtx.map(|ssrc| json!({"ssrc": ssrc}));
            json!({"ssrc": ssrc, "rtx": rtx, "scalabilityMode": mode})
        };
        identity.ssrcs.iter().enumerate().map(encoding).collect()
    }
}

pub fn rid(encoding: usize) -> String {
    format!("r{encoding}")
}

/// Header extension ids of this client; all differ from the router's ids.
pub mod ids {
    pub const AUDIO_LEVEL: u8 = 2;
    pub const ABS_SEND_TIME: u8 = 3;
    pub const TRANSPORT_CC: u8 = 4;
    pub const MID: u8 = 5;
    pub const RID: u8 = 10;
    pub const REPAIRED_RID: u8 = 11;
    pub const DEPENDENCY_DESCRIPTOR: u8 = 12;
    pub const LAYERS_ALLOCATION: u8 = 13;
}
