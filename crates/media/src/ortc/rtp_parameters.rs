//! How one track is sent: the parameters of a producer or a consumer.

use super::lenient::{null_as_default, null_as_true, rounded, yes};
use super::{CodecFmtp, HeaderExtensionUri, MimeType, RtpHeaderExtension};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    pub codecs: Vec<RtpCodecParameters>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// Never empty: a missing list is read as one encoding without properties.
    #[serde(default = "one_encoding", deserialize_with = "at_least_one_encoding")]
    pub encodings: Vec<RtpEncodingParameters>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub rtcp: RtcpParameters,
    /// `<stream id> <track id>` (RFC 8830).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msid: Option<String>,
}

impl RtpParameters {
    /// The negotiated id of this extension, if any.
    pub fn extension_id(&self, extension: HeaderExtensionUri) -> Option<u8> {
        self.header_extensions.iter().find(|listed| listed.uri == extension.uri()).map(|listed| listed.id)
    }

    pub(super) fn has_extension(&self, extension: HeaderExtensionUri) -> bool {
        self.extension_id(extension).is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecParameters {
    pub mime_type: MimeType,
    /// 0–127.
    pub payload_type: u8,
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

/// One kind of RTCP feedback a codec supports, such as `nack pli` (RFC 4585 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcpFeedback {
    #[serde(rename = "type")]
    pub feedback_type: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub parameter: String,
}

impl RtcpFeedback {
    pub fn new(feedback_type: &str, parameter: &str) -> Self {
        Self { feedback_type: feedback_type.to_owned(), parameter: parameter.to_owned() }
    }

    pub(super) fn is(&self, feedback_type: &str, parameter: &str) -> bool {
        self.feedback_type == feedback_type && self.parameter == parameter
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RtpHeaderExtensionParameters {
    pub uri: String,
    /// 1–255, except 15.
    pub id: u8,
    #[serde(default, deserialize_with = "null_as_default")]
    pub encrypt: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub parameters: CodecFmtp,
}

impl From<&RtpHeaderExtension> for RtpHeaderExtensionParameters {
    fn from(extension: &RtpHeaderExtension) -> Self {
        Self {
            uri: extension.uri.clone(),
            id: extension.preferred_id,
            encrypt: extension.preferred_encrypt,
            parameters: CodecFmtp::default(),
        }
    }
}

/// One stream of a track. A simulcast producer has several, named by rid or ssrc.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpEncodingParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec_payload_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtx: Option<RtxParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtx: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scalability_mode: Option<String>,
    /// In bit/s.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "rounded")]
    pub max_bitrate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_framerate: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_by: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtxParameters {
    pub ssrc: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtcpParameters {
    /// The CNAME of the sender (RFC 3550 §6.5.1). Chromium leaves it empty for simulcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cname: Option<String>,
    /// RFC 5506.
    #[serde(default = "yes", deserialize_with = "null_as_true")]
    pub reduced_size: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mux: Option<bool>,
}

impl Default for RtcpParameters {
    fn default() -> Self {
        Self { cname: None, reduced_size: true, mux: None }
    }
}

fn one_encoding() -> Vec<RtpEncodingParameters> {
    vec![RtpEncodingParameters::default()]
}

fn at_least_one_encoding<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<RtpEncodingParameters>, D::Error> {
    let listed = Option::<Vec<_>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(if listed.is_empty() { one_encoding() } else { listed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_reads_as_missing_and_unknown_fields_are_ignored() {
        let sparse = json!({"codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}]});
        let nulls = json!({
            "mid": null,
            "codecs": [{
                "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000,
                "channels": null, "parameters": {"x": null}, "rtcpFeedback": null, "fancy": {"deep": [1]},
            }],
            "headerExtensions": null,
            "encodings": [],
            "rtcp": {"cname": null, "reducedSize": null},
            "msid": null,
            "novelty": true,
        });
        let parsed: RtpParameters = serde_json::from_value(nulls).unwrap();
        assert_eq!(parsed, serde_json::from_value(sparse).unwrap());
        assert_eq!(parsed.encodings.len(), 1);
    }

    #[test]
    fn an_absent_optional_field_is_left_out_and_never_null() {
        let parsed: RtpParameters = serde_json::from_value(json!({"codecs": [], "encodings": [{}]})).unwrap();
        let expected =
            json!({"codecs": [], "headerExtensions": [], "encodings": [{}], "rtcp": {"reducedSize": true}});
        assert_eq!(serde_json::to_value(parsed).unwrap(), expected);
    }

    #[test]
    fn a_fractional_bitrate_is_rounded() {
        let parsed: RtpEncodingParameters = serde_json::from_value(json!({"maxBitrate": 499_999.6})).unwrap();
        assert_eq!(parsed.max_bitrate, Some(500_000));
    }
}
