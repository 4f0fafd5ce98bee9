//! What an endpoint or a router can send and receive.

use super::lenient::null_as_default;
use super::{CodecFmtp, MediaKind, MimeType, RtcpFeedback};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCapabilities {
    #[serde(default, deserialize_with = "null_as_default")]
    pub codecs: Vec<RtpCodecCapability>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub header_extensions: Vec<RtpHeaderExtension>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecCapability {
    /// Repeats the first half of `mime_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    pub mime_type: MimeType,
    /// 0–127.
    pub preferred_payload_type: u8,
    /// In hertz.
    pub clock_rate: u32,
    /// Audio only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub parameters: CodecFmtp,
    #[serde(default, deserialize_with = "null_as_default")]
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpHeaderExtension {
    /// Not used for matching: browsers list an extension that audio and video share only as video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MediaKind>,
    pub uri: String,
    /// 1–255, except 15.
    pub preferred_id: u8,
    #[serde(default, deserialize_with = "null_as_default")]
    pub preferred_encrypt: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub direction: ExtensionDirection,
}

/// In which direction an extension may be sent, from the view of the endpoint that lists it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtensionDirection {
    #[default]
    Sendrecv,
    Sendonly,
    Recvonly,
    Inactive,
}

impl ExtensionDirection {
    pub(super) fn sends(self) -> bool {
        match self {
            Self::Sendrecv | Self::Sendonly => true,
            Self::Recvonly | Self::Inactive => false,
        }
    }
}
