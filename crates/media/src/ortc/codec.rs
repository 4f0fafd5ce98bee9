//! Codec names, and the rules by which two descriptions match.

use super::{CodecFmtp, RtpCodecCapability, RtpCodecParameters};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    Audio,
    Video,
}

/// The codecs that Switchyard knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    Av1,
    /// Retransmissions (RFC 4588) of the codec whose payload type `apt` names.
    Rtx,
}

impl Codec {
    fn from_subtype(subtype: &str) -> Option<Self> {
        SUBTYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(subtype)).map(|(_, codec)| *codec)
    }
}

/// A codec's media type, such as `video/VP8`: kept as written, compared without regard to case (RFC 6838 §4.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MimeType(pub String);

impl MimeType {
    /// `None` when it is neither audio nor video.
    pub fn kind(&self) -> Option<MediaKind> {
        let (kind, subtype) = self.0.split_once('/')?;
        if subtype.is_empty() {
            return None;
        }
        if kind.eq_ignore_ascii_case("audio") {
            Some(MediaKind::Audio)
        } else if kind.eq_ignore_ascii_case("video") {
            Some(MediaKind::Video)
        } else {
            None
        }
    }

    /// `None` when the codec is unknown.
    pub fn codec(&self) -> Option<Codec> {
        let (_, subtype) = self.0.split_once('/')?;
        Codec::from_subtype(subtype)
    }

    pub fn is_rtx(&self) -> bool {
        self.codec() == Some(Codec::Rtx)
    }
}

impl PartialEq for MimeType {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for MimeType {}

/// The fields of a codec's description that identify the codec.
#[derive(Debug, Clone, Copy)]
pub struct CodecRef<'a> {
    mime_type: &'a MimeType,
    clock_rate: u32,
    channels: Option<u8>,
    parameters: &'a CodecFmtp,
}

impl CodecRef<'_> {
    /// The number of audio channels, 1 if not given. Meaningless for video.
    fn channels(&self) -> u8 {
        match self.mime_type.kind() {
            Some(MediaKind::Audio) => self.channels.unwrap_or(1),
            Some(MediaKind::Video) | None => 0,
        }
    }
}

impl<'a> From<&'a RtpCodecCapability> for CodecRef<'a> {
    fn from(codec: &'a RtpCodecCapability) -> Self {
        Self {
            mime_type: &codec.mime_type,
            clock_rate: codec.clock_rate,
            channels: codec.channels,
            parameters: &codec.parameters,
        }
    }
}

impl<'a> From<&'a RtpCodecParameters> for CodecRef<'a> {
    fn from(codec: &'a RtpCodecParameters) -> Self {
        Self {
            mime_type: &codec.mime_type,
            clock_rate: codec.clock_rate,
            channels: codec.channels,
            parameters: &codec.parameters,
        }
    }
}

/// Whether a stream of codec `a` can be decoded by codec `b`. The relation is symmetric.
pub fn match_codecs<'a>(a: impl Into<CodecRef<'a>>, b: impl Into<CodecRef<'a>>) -> bool {
    let (a, b) = (a.into(), b.into());
    a.mime_type == b.mime_type
        && a.clock_rate == b.clock_rate
        && a.channels() == b.channels()
        && profiles_match(a.mime_type.codec(), a.parameters, b.parameters)
}

fn profiles_match(codec: Option<Codec>, a: &CodecFmtp, b: &CodecFmtp) -> bool {
    match codec {
        Some(Codec::H264) => same_number(a, b, "packetization-mode") && same_h264_profile(a, b),
        Some(Codec::Vp9) => same_number(a, b, "profile-id"),
        Some(Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::Vp8 | Codec::Av1 | Codec::Rtx) | None => true,
    }
}

fn same_number(a: &CodecFmtp, b: &CodecFmtp, key: &str) -> bool {
    a.number(key).unwrap_or(0) == b.number(key).unwrap_or(0)
}

/// Compares profiles, not levels (RFC 6184 §8.2.2). Without `profile-level-id`, Constrained Baseline 3.1 is
/// assumed.
fn same_h264_profile(a: &CodecFmtp, b: &CodecFmtp) -> bool {
    let (a, b) = (a.text("profile-level-id"), b.text("profile-level-id"));
    h264_profile_level_id::is_same_profile(a.as_deref(), b.as_deref()).is_some()
}

const SUBTYPES: [(&str, Codec); 8] = [
    ("opus", Codec::Opus),
    ("PCMU", Codec::Pcmu),
    ("PCMA", Codec::Pcma),
    ("VP8", Codec::Vp8),
    ("VP9", Codec::Vp9),
    ("H264", Codec::H264),
    ("AV1", Codec::Av1),
    ("rtx", Codec::Rtx),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn names_differ_only_in_case_and_still_match() {
        assert!(matches(json!({"mimeType": "video/vp8"}), json!({"mimeType": "VIDEO/VP8"})));
        assert!(!matches(json!({"mimeType": "video/VP8"}), json!({"mimeType": "video/VP9"})));
    }

    #[test]
    fn audio_without_channels_is_mono_and_video_has_none() {
        assert!(matches(json!({"mimeType": "audio/PCMU"}), json!({"mimeType": "audio/PCMU", "channels": 1})));
        assert!(!matches(
            json!({"mimeType": "audio/opus"}),
            json!({"mimeType": "audio/opus", "channels": 2})
        ));
        assert!(matches(json!({"mimeType": "video/VP8"}), json!({"mimeType": "video/VP8", "channels": 2})));
    }

    #[test]
    fn vp9_profiles_must_agree_and_absent_means_zero() {
        let vp9 = |parameters: Value| json!({"mimeType": "video/VP9", "parameters": parameters});
        assert!(matches(vp9(json!({})), vp9(json!({"profile-id": 0}))));
        assert!(matches(vp9(json!({"profile-id": "2"})), vp9(json!({"profile-id": 2}))));
        assert!(!matches(vp9(json!({"profile-id": 2})), vp9(json!({}))));
    }

    #[test]
    fn h264_matches_on_profile_and_packetization_but_not_on_level() {
        let h264 = |profile: Value, mode: Value| json!({"mimeType": "video/H264", "parameters": {"profile-level-id": profile, "packetization-mode": mode}});
        let ours = || h264(json!("42e01f"), json!(1));
        assert!(matches(ours(), h264(json!("42e034"), json!("1"))));
        assert!(matches(ours(), h264(Value::Null, json!(1))), "absent is constrained baseline");
        assert!(!matches(ours(), h264(json!("42e01f"), json!(0))));
        assert!(!matches(ours(), h264(json!("4d001f"), json!(1))));
        assert!(!matches(ours(), h264(json!("zz"), json!(1))));
        assert!(
            matches(h264(json!("420029"), json!(1)), h264(json!(420029), json!(1))),
            "a number reads as its digits"
        );
    }

    fn matches(a: Value, b: Value) -> bool {
        match_codecs(&codec(a), &codec(b))
    }

    fn codec(mut value: Value) -> RtpCodecParameters {
        value["payloadType"] = json!(100);
        value["clockRate"] = json!(90000);
        serde_json::from_value(value).unwrap()
    }
}
