//! Derives consumable parameters from a producer's parameters.

use super::{
    Codec, HeaderExtensionUri, MediaKind, OrtcError, RtcpParameters, RtpCapabilities, RtpCodecCapability,
    RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpParameters, ScalabilityMode,
    match_codecs,
};
use serde::{Deserialize, Serialize};

/// How the layers of a producer reach the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProducerKind {
    /// One stream without layers.
    Simple,
    /// One stream per spatial layer.
    Simulcast,
    /// All layers in one stream.
    Svc,
}

impl ProducerKind {
    /// The kind that the parameters announce.
    pub fn of(rtp_parameters: &RtpParameters) -> Self {
        if rtp_parameters.encodings.len() > 1 {
            return Self::Simulcast;
        }
        let mode = first_scalability_mode(&rtp_parameters.encodings).map(ScalabilityMode::parse);
        match mode {
            Some(mode) if mode.spatial_layers > 1 || mode.temporal_layers > 1 => Self::Svc,
            Some(_) | None => Self::Simple,
        }
    }
}

/// Maps a producer's payload types and SSRCs to the router's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RtpMapping {
    pub codecs: Vec<CodecMapping>,
    /// One for each of the producer's encodings, in their order.
    pub encodings: Vec<EncodingMapping>,
}

impl RtpMapping {
    pub fn mapped_payload_type(&self, payload_type: u8) -> Option<u8> {
        self.codecs
            .iter()
            .find(|codec| codec.payload_type == payload_type)
            .map(|codec| codec.mapped_payload_type)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CodecMapping {
    pub payload_type: u8,
    pub mapped_payload_type: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodingMapping {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    pub mapped_ssrc: u32,
}

/// Validates a producer's parameters and maps them onto the router's. Mapped SSRCs count up from `first_mapped_ssrc`,
/// which the caller keeps unique within the router.
///
/// # Errors
/// [`OrtcError::Invalid`] for parameters that contradict themselves, [`OrtcError::Unsupported`] for a codec that the
/// router does not have.
pub fn producer_mapping(
    kind: MediaKind,
    rtp_parameters: &RtpParameters,
    router: &RtpCapabilities,
    first_mapped_ssrc: u32,
) -> Result<RtpMapping, OrtcError> {
    rtp_parameters.validate(kind)?;
    let codecs = rtp_parameters
        .codecs
        .iter()
        .map(|codec| {
            let mapped = router_codec(codec, &rtp_parameters.codecs, router)?;
            Ok(CodecMapping {
                payload_type: codec.payload_type,
                mapped_payload_type: mapped.preferred_payload_type,
            })
        })
        .collect::<Result<_, OrtcError>>()?;
    let encodings = ssrcs_from(first_mapped_ssrc)
        .zip(&rtp_parameters.encodings)
        .map(|(mapped_ssrc, encoding)| EncodingMapping {
            ssrc: encoding.ssrc,
            rid: encoding.rid.clone(),
            mapped_ssrc,
        })
        .collect();
    Ok(RtpMapping { codecs, encodings })
}

/// The parameters from which consumers of this producer are derived: the router's payload types and extension
/// ids, the producer's own codec parameters (so that `sprop-stereo` and the like survive) and mapped SSRCs.
pub fn consumable_parameters(
    kind: MediaKind,
    rtp_parameters: &RtpParameters,
    router: &RtpCapabilities,
    mapping: &RtpMapping,
) -> RtpParameters {
    RtpParameters {
        mid: None,
        codecs: consumable_codecs(rtp_parameters, router, mapping),
        header_extensions: consumable_extensions(kind, rtp_parameters, router),
        encodings: consumable_encodings(rtp_parameters, mapping),
        rtcp: RtcpParameters { cname: rtp_parameters.rtcp.cname.clone(), reduced_size: true, mux: None },
        msid: rtp_parameters.msid.clone(),
    }
}

/// Gives all producers of a transport one CNAME, so that receivers play them in step (RFC 3550 §6.5.1): the first
/// that a client names, or else `fallback`. Chromium names none for simulcast. Only [`producer_mapping`] bounds the
/// name: a transport whose mapping fails must not keep it.
pub fn adopt_cname(
    transport_cname: &mut Option<String>,
    rtp_parameters: &mut RtpParameters,
    fallback: impl FnOnce() -> String,
) {
    let offered = rtp_parameters.rtcp.cname.take().filter(|cname| !cname.is_empty());
    let cname = transport_cname.get_or_insert_with(|| offered.unwrap_or_else(fallback));
    rtp_parameters.rtcp.cname = Some(cname.clone());
}

pub(super) fn ssrcs_from(first: u32) -> impl Iterator<Item = u32> {
    (0..).map(move |step| first.wrapping_add(step))
}

pub(super) fn first_scalability_mode(encodings: &[RtpEncodingParameters]) -> Option<&str> {
    encodings.iter().find_map(|encoding| encoding.scalability_mode.as_deref())
}

fn router_codec<'a>(
    codec: &RtpCodecParameters,
    siblings: &[RtpCodecParameters],
    router: &'a RtpCapabilities,
) -> Result<&'a RtpCodecCapability, OrtcError> {
    if !codec.mime_type.is_rtx() {
        return router
            .codecs
            .iter()
            .find(|known| match_codecs(codec, *known))
            .ok_or_else(|| OrtcError::Unsupported(format!("codec {}", codec.mime_type.0)));
    }
    let repaired = siblings
        .iter()
        .find(|media| !media.mime_type.is_rtx() && Some(media.payload_type) == codec.parameters.apt())
        .ok_or_else(|| {
            OrtcError::Invalid(format!("RTX payload type {} repairs no codec", codec.payload_type))
        })?;
    let apt = router_codec(repaired, siblings, router)?.preferred_payload_type;
    rtx_for(apt, router)
        .ok_or_else(|| OrtcError::Unsupported(format!("RTX for codec {}", repaired.mime_type.0)))
}

fn rtx_for(payload_type: u8, capabilities: &RtpCapabilities) -> Option<&RtpCodecCapability> {
    capabilities
        .codecs
        .iter()
        .find(|codec| codec.mime_type.is_rtx() && codec.parameters.apt() == Some(payload_type))
}

fn consumable_codecs(
    rtp_parameters: &RtpParameters,
    router: &RtpCapabilities,
    mapping: &RtpMapping,
) -> Vec<RtpCodecParameters> {
    let mut codecs = Vec::new();
    for codec in rtp_parameters.codecs.iter().filter(|codec| !codec.mime_type.is_rtx()) {
        let mapped = mapping.mapped_payload_type(codec.payload_type);
        let Some(known) = router.codecs.iter().find(|known| Some(known.preferred_payload_type) == mapped)
        else {
            continue;
        };
        codecs.push(RtpCodecParameters { parameters: codec.parameters.clone(), ..codec_parameters(known) });
        codecs.extend(rtx_for(known.preferred_payload_type, router).map(codec_parameters));
    }
    codecs
}

fn codec_parameters(capability: &RtpCodecCapability) -> RtpCodecParameters {
    RtpCodecParameters {
        mime_type: capability.mime_type.clone(),
        payload_type: capability.preferred_payload_type,
        clock_rate: capability.clock_rate,
        channels: capability.channels,
        parameters: capability.parameters.clone(),
        rtcp_feedback: capability.rtcp_feedback.clone(),
    }
}

/// All extensions the router sends for this kind; abs-capture-time only if the producer sends it.
fn consumable_extensions(
    kind: MediaKind,
    rtp_parameters: &RtpParameters,
    router: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    // Receivers assemble an AV1 picture of several layers by its dependency descriptors; for other codecs the
    // payload describes the layers.
    let describes = rtp_parameters.has_extension(HeaderExtensionUri::DependencyDescriptor)
        && rtp_parameters.codecs.iter().any(|codec| codec.mime_type.codec() == Some(Codec::Av1));
    let stamps_capture_time = rtp_parameters.has_extension(HeaderExtensionUri::AbsCaptureTime);
    let carried = |uri: &str| match HeaderExtensionUri::from_uri(uri) {
        Some(HeaderExtensionUri::DependencyDescriptor) => describes,
        Some(HeaderExtensionUri::AbsCaptureTime) => stamps_capture_time,
        _ => true,
    };
    router
        .header_extensions
        .iter()
        .filter(|extension| extension.kind == Some(kind) && extension.direction.sends())
        .filter(|extension| carried(&extension.uri))
        .map(RtpHeaderExtensionParameters::from)
        .collect()
}

fn consumable_encodings(rtp_parameters: &RtpParameters, mapping: &RtpMapping) -> Vec<RtpEncodingParameters> {
    rtp_parameters
        .encodings
        .iter()
        .zip(&mapping.encodings)
        .map(|(encoding, mapped)| RtpEncodingParameters {
            ssrc: Some(mapped.mapped_ssrc),
            rid: None,
            rtx: None,
            codec_payload_type: None,
            ..encoding.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_first_named_cname_becomes_that_of_the_whole_transport() {
        let mut transport = None;
        let mut first = vp8(&json!([{}]));
        first.rtcp.cname = Some("alpha".into());
        adopt_cname(&mut transport, &mut first, || unreachable!());
        let mut simulcast = vp8(&json!([{"rid": "r0"}, {"rid": "r1"}]));
        simulcast.rtcp.cname = Some(String::new());
        adopt_cname(&mut transport, &mut simulcast, || unreachable!());
        assert_eq!(simulcast.rtcp.cname.as_deref(), Some("alpha"));
    }

    #[test]
    fn a_transport_without_a_named_cname_gets_the_fallback_and_keeps_it() {
        let mut transport = None;
        let mut simulcast = vp8(&json!([{"rid": "r0"}, {"rid": "r1"}]));
        adopt_cname(&mut transport, &mut simulcast, || "made".into());
        let mut later = vp8(&json!([{}]));
        later.rtcp.cname = Some("alpha".into());
        adopt_cname(&mut transport, &mut later, || unreachable!());
        assert_eq!((simulcast.rtcp.cname, later.rtcp.cname), (Some("made".into()), Some("made".into())));
    }

    #[test]
    fn the_kind_follows_from_streams_and_mode() {
        let kind = |encodings: Value| ProducerKind::of(&vp8(&encodings));
        assert_eq!(kind(json!([])), ProducerKind::Simple);
        assert_eq!(kind(json!([{"scalabilityMode": "L1T1"}])), ProducerKind::Simple);
        assert_eq!(kind(json!([{"scalabilityMode": "L1T3"}])), ProducerKind::Svc);
        assert_eq!(kind(json!([{"scalabilityMode": "L3T3_KEY"}])), ProducerKind::Svc);
        assert_eq!(kind(json!([{"rid": "r0"}, {"rid": "r1"}])), ProducerKind::Simulcast);
        assert_eq!(serde_json::to_value(ProducerKind::Simulcast).unwrap(), json!("simulcast"));
    }

    #[test]
    fn rtx_that_repairs_nothing_is_refused() {
        let mut parameters = vp8(&json!([{}]));
        let rtx = json!({"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": {"apt": 99}});
        parameters.codecs.push(serde_json::from_value(rtx).unwrap());
        assert!(matches!(map(MediaKind::Video, &parameters), Err(OrtcError::Invalid(_))));
    }

    #[test]
    fn an_unknown_codec_is_unsupported() {
        let mut parameters = vp8(&json!([{}]));
        parameters.codecs[0].mime_type.0 = "video/H265".into();
        assert_eq!(
            map(MediaKind::Video, &parameters),
            Err(OrtcError::Unsupported("codec video/H265".into()))
        );
    }

    #[test]
    fn a_codec_of_the_other_kind_is_refused() {
        assert!(matches!(map(MediaKind::Audio, &vp8(&json!([{}]))), Err(OrtcError::Invalid(_))));
    }

    #[test]
    fn capture_time_reaches_consumers_only_if_the_producer_stamps_it() {
        let mut parameters = vp8(&json!([{}]));
        let listed = |parameters: &RtpParameters| {
            let mapping = map(MediaKind::Video, parameters).unwrap();
            let router = super::super::router_rtp_capabilities();
            consumable_parameters(MediaKind::Video, parameters, router, &mapping)
                .extension_id(HeaderExtensionUri::AbsCaptureTime)
        };
        assert_eq!(listed(&parameters), None);
        let extension = json!({"uri": HeaderExtensionUri::AbsCaptureTime.uri(), "id": 3});
        parameters.header_extensions.push(serde_json::from_value(extension).unwrap());
        assert_eq!(listed(&parameters), Some(10));
    }

    fn map(kind: MediaKind, parameters: &RtpParameters) -> Result<RtpMapping, OrtcError> {
        producer_mapping(kind, parameters, super::super::router_rtp_capabilities(), 1)
    }

    fn vp8(encodings: &Value) -> RtpParameters {
        let codec = json!({"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000});
        serde_json::from_value(json!({"codecs": [codec], "encodings": encodings})).unwrap()
    }
}
