//! What a client can receive, reduced to what a consumer's parameters are derived from.

use super::{
    OrtcError, RtpCapabilities, RtpCodecCapability, RtpHeaderExtension, match_codecs, router_rtp_capabilities,
};
use serde::Deserialize;

/// The part of a client's [`RtpCapabilities`] that the router can use. A client may list more, in up to a
/// megabyte; this has at most one entry for each codec and extension of the router, and is valid.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RtpCapabilities")]
pub struct ReceiverCapabilities {
    /// The first match of each codec of the router, followed by its RTX codec if the client has one.
    pub(super) codecs: Vec<RtpCodecCapability>,
    pub(super) header_extensions: Vec<RtpHeaderExtension>,
}

impl TryFrom<RtpCapabilities> for ReceiverCapabilities {
    type Error = OrtcError;

    /// # Errors
    /// [`OrtcError::Invalid`] when the capabilities break a bound.
    fn try_from(told: RtpCapabilities) -> Result<Self, OrtcError> {
        Self::of(&told, router_rtp_capabilities())
    }
}

impl ReceiverCapabilities {
    pub(super) fn of(told: &RtpCapabilities, router: &RtpCapabilities) -> Result<Self, OrtcError> {
        told.validate()?;
        let mut codecs = Vec::new();
        for ours in router.codecs.iter().filter(|codec| !codec.mime_type.is_rtx()) {
            let Some(decoder) = told.codecs.iter().find(|codec| match_codecs(ours, *codec)) else { continue };
            codecs.push(reduced(decoder, ours));
            codecs.extend(rtx_of(decoder, told).map(|rtx| reduced(rtx, ours)));
        }
        let mut header_extensions: Vec<RtpHeaderExtension> = Vec::new();
        for listed in &told.header_extensions {
            let is_known = router.header_extensions.iter().any(|ours| is_same(ours, listed));
            if is_known && !header_extensions.iter().any(|kept| is_same(kept, listed)) {
                header_extensions.push(listed.clone());
            }
        }
        Ok(Self { codecs, header_extensions })
    }
}

fn is_same(one: &RtpHeaderExtension, other: &RtpHeaderExtension) -> bool {
    one.preferred_id == other.preferred_id && one.uri == other.uri
}

fn rtx_of<'a>(decoder: &RtpCodecCapability, told: &'a RtpCapabilities) -> Option<&'a RtpCodecCapability> {
    told.codecs.iter().find(|codec| {
        codec.mime_type.is_rtx() && codec.parameters.apt() == Some(decoder.preferred_payload_type)
    })
}

/// The client's description without the parameters that nothing reads, and without the feedback that the
/// router does not understand.
fn reduced(told: &RtpCodecCapability, ours: &RtpCodecCapability) -> RtpCodecCapability {
    let mut codec = told.clone();
    codec.parameters.keep(&READ_PARAMETERS);
    codec.rtcp_feedback.retain(|listed| ours.rtcp_feedback.contains(listed));
    codec
}

/// The parameters by which codecs are compared.
const READ_PARAMETERS: [&str; 4] = ["apt", "packetization-mode", "profile-id", "profile-level-id"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn receiver(told: &Value) -> Result<ReceiverCapabilities, serde_json::Error> {
        serde_json::from_value(told.clone())
    }

    #[test]
    fn what_the_router_has_no_use_for_is_not_kept() {
        let fmtp: serde_json::Map<_, _> =
            (0..32).map(|n| (format!("x-{n}"), Value::from("y".repeat(512)))).collect();
        let feedback: Vec<_> = (0..16).map(|n| json!({"type": format!("x-{n}")})).collect();
        let codec = |mime_type: &str, payload_type: usize| {
            json!({
                "mimeType": mime_type, "preferredPayloadType": payload_type, "clockRate": 90_000,
                "parameters": fmtp, "rtcpFeedback": feedback,
            })
        };
        let mut codecs: Vec<_> = (0..32).map(|n| codec("video/VP8", n)).collect();
        codecs.extend((32..64).map(|n| codec("video/unheard-of", n)));
        let extensions: Vec<_> =
            (16..48).map(|n| json!({"uri": "u".repeat(256), "preferredId": n})).collect();
        let told = json!({"codecs": codecs, "headerExtensions": extensions});
        assert!(told.to_string().len() > 1_000_000);

        let kept = receiver(&told).unwrap();
        assert_eq!(kept.codecs.len(), 1, "the first of its kind");
        assert_eq!(kept.codecs[0].preferred_payload_type, 0);
        assert!(format!("{kept:?}").len() < 1_000, "{kept:?}");
    }

    #[test]
    fn the_capabilities_of_the_router_itself_are_kept_whole() {
        let router = router_rtp_capabilities();
        let kept = ReceiverCapabilities::try_from(router.clone()).unwrap();
        assert_eq!(kept.codecs.len(), router.codecs.len());
        for listed in &router.header_extensions {
            assert!(kept.header_extensions.iter().any(|kept| is_same(kept, listed)), "{}", listed.uri);
        }
    }

    #[test]
    fn capabilities_out_of_bounds_are_refused_when_they_are_read() {
        let codec = json!({"mimeType": "video/VP8", "preferredPayloadType": 96, "clockRate": 90_000});
        for bad in [
            json!({"codecs": vec![codec; 65]}),
            json!({"codecs": [{"mimeType": "x".repeat(65), "preferredPayloadType": 96, "clockRate": 1}]}),
            json!({"headerExtensions": vec![json!({"uri": "urn:x", "preferredId": 1}); 33]}),
        ] {
            assert!(receiver(&bad).is_err());
        }
    }
}
