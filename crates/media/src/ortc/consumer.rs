//! Derives one consumer's parameters from its producer's.

use super::producer::first_scalability_mode;
use super::{
    HeaderExtensionUri, MediaKind, OrtcError, ReceiverCapabilities, RtcpFeedback, RtpCodecCapability,
    RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpParameters, RtxParameters,
    ScalabilityMode, match_codecs,
};

/// The values that identify a consumer on its transport. No value is reused in the transport's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerIdentity {
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    /// At most 8 ASCII characters, for which packets reserve room.
    pub mid: String,
}

/// Whether a receiver with these capabilities can decode what [`super::consumable_parameters`] describes.
pub fn can_consume(consumable: &RtpParameters, receiver: &ReceiverCapabilities) -> bool {
    media_codec(consumable, receiver).is_some()
}

/// The consumer's parameters: the codecs the receiver can decode, with the router's payload types; the header
/// extensions it supports, with the router's ids; and one stream, however many the producer has.
///
/// Audio is not retransmitted, so its NACK feedback is left out.
///
/// # Errors
/// [`OrtcError::CannotConsume`] when no codec matches.
pub fn consumer_parameters(
    consumable: &RtpParameters,
    receiver: &ReceiverCapabilities,
    identity: ConsumerIdentity,
) -> Result<RtpParameters, OrtcError> {
    let (first, _) = media_codec(consumable, receiver).ok_or(OrtcError::CannotConsume)?;
    let retransmit = first.mime_type.kind() == Some(MediaKind::Video);
    let mut codecs = receivable_codecs(consumable, receiver, retransmit);
    let header_extensions = receivable_extensions(consumable, receiver);
    keep_one_bandwidth_feedback(&mut codecs, &header_extensions);
    let rtx = codecs
        .iter()
        .any(|codec| codec.mime_type.is_rtx())
        .then_some(RtxParameters { ssrc: identity.rtx_ssrc });
    Ok(RtpParameters {
        mid: Some(identity.mid),
        codecs,
        header_extensions,
        encodings: vec![RtpEncodingParameters {
            ssrc: Some(identity.ssrc),
            rtx,
            scalability_mode: consumer_scalability_mode(&consumable.encodings),
            max_bitrate: consumable.encodings.iter().filter_map(|encoding| encoding.max_bitrate).max(),
            ..RtpEncodingParameters::default()
        }],
        rtcp: consumable.rtcp.clone(),
        msid: consumable.msid.clone(),
    })
}

/// The producer's first codec that the receiver can decode, with the receiver's description of this codec.
fn media_codec<'a>(
    consumable: &'a RtpParameters,
    receiver: &'a ReceiverCapabilities,
) -> Option<(&'a RtpCodecParameters, &'a RtpCodecCapability)> {
    let media = consumable.codecs.iter().filter(|codec| !codec.mime_type.is_rtx());
    media.into_iter().find_map(|codec| Some((codec, decoder_of(codec, receiver)?)))
}

fn decoder_of<'a>(
    codec: &RtpCodecParameters,
    receiver: &'a ReceiverCapabilities,
) -> Option<&'a RtpCodecCapability> {
    receiver.codecs.iter().find(|known| match_codecs(codec, *known))
}

fn receivable_codecs(
    consumable: &RtpParameters,
    receiver: &ReceiverCapabilities,
    retransmit: bool,
) -> Vec<RtpCodecParameters> {
    let mut codecs = Vec::new();
    for media in consumable.codecs.iter().filter(|codec| !codec.mime_type.is_rtx()) {
        let Some(decoder) = decoder_of(media, receiver) else {
            continue;
        };
        let mut feedback = decoder.rtcp_feedback.clone();
        if !retransmit {
            feedback.retain(|listed| !listed.is("nack", ""));
        }
        codecs.push(RtpCodecParameters { rtcp_feedback: feedback, ..media.clone() });
        if retransmit {
            codecs.extend(receivable_rtx(media, decoder, consumable, receiver));
        }
    }
    codecs
}

/// The producer's RTX codec for `media`, if the receiver has one for its `decoder` too.
fn receivable_rtx(
    media: &RtpCodecParameters,
    decoder: &RtpCodecCapability,
    consumable: &RtpParameters,
    receiver: &ReceiverCapabilities,
) -> Option<RtpCodecParameters> {
    let ours = consumable
        .codecs
        .iter()
        .find(|codec| codec.mime_type.is_rtx() && codec.parameters.apt() == Some(media.payload_type))?;
    let theirs = receiver.codecs.iter().find(|codec| {
        codec.mime_type.is_rtx() && codec.parameters.apt() == Some(decoder.preferred_payload_type)
    })?;
    Some(RtpCodecParameters { rtcp_feedback: theirs.rtcp_feedback.clone(), ..ours.clone() })
}

/// The extensions that the receiver lists with the same id. Kinds are not compared: browsers list an
/// extension that audio and video share only once.
fn receivable_extensions(
    consumable: &RtpParameters,
    receiver: &ReceiverCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    // Browsers understand the dependency descriptor without listing it.
    let unlisted = HeaderExtensionUri::DependencyDescriptor.uri();
    let known = |extension: &&RtpHeaderExtensionParameters| {
        extension.uri == unlisted
            || receiver
                .header_extensions
                .iter()
                .any(|listed| listed.preferred_id == extension.id && listed.uri == extension.uri)
    };
    consumable.header_extensions.iter().filter(known).cloned().collect()
}

/// Keeps one kind of bandwidth feedback: transport-wide if the receiver supports it, else REMB, else none.
fn keep_one_bandwidth_feedback(
    codecs: &mut [RtpCodecParameters],
    extensions: &[RtpHeaderExtensionParameters],
) {
    let negotiated =
        |extension: HeaderExtensionUri| extensions.iter().any(|listed| listed.uri == extension.uri());
    let transport_wide = negotiated(HeaderExtensionUri::TransportWideCc);
    let remb = !transport_wide && negotiated(HeaderExtensionUri::AbsSendTime);
    let keep = |feedback: &RtcpFeedback| match feedback.feedback_type.as_str() {
        "transport-cc" => transport_wide,
        "goog-remb" => remb,
        _ => true,
    };
    for codec in codecs {
        codec.rtcp_feedback.retain(keep);
    }
}

/// Simulcast streams reach the receiver as the spatial layers of one stream.
fn consumer_scalability_mode(encodings: &[RtpEncodingParameters]) -> Option<String> {
    let mode = first_scalability_mode(encodings);
    if encodings.len() < 2 {
        return mode.map(str::to_owned);
    }
    let temporal_layers = mode.map_or(1, |mode| ScalabilityMode::parse(mode).temporal_layers);
    Some(format!("L{}T{temporal_layers}", encodings.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ortc::{RtpCapabilities, consumable_parameters, producer_mapping, router_rtp_capabilities};
    use serde_json::json;

    #[test]
    fn a_receiver_without_the_codec_cannot_consume() {
        let mut receiver = router_rtp_capabilities().clone();
        receiver.codecs.retain(|codec| codec.mime_type.0 != "video/VP8");
        let receiver = ReceiverCapabilities::try_from(receiver).unwrap();
        assert!(!can_consume(&vp8(), &receiver));
        assert_eq!(consumer_parameters(&vp8(), &receiver, identity()), Err(OrtcError::CannotConsume));
    }

    #[test]
    fn a_receiver_without_rtx_for_this_codec_gets_none() {
        let mut receiver = router_rtp_capabilities().clone();
        receiver.codecs.retain(|codec| codec.parameters.apt() != Some(101));
        let told = parameters_for(receiver);
        assert_eq!(told.codecs.len(), 1);
        assert_eq!(told.encodings[0].rtx, None);
    }

    #[test]
    fn a_receiver_without_transport_wide_feedback_reports_by_remb() {
        let mut receiver = router_rtp_capabilities().clone();
        receiver.header_extensions.retain(|listed| listed.uri != HeaderExtensionUri::TransportWideCc.uri());
        assert_eq!(bandwidth_feedback(&receiver), ["goog-remb"]);
        receiver.header_extensions.clear();
        assert_eq!(bandwidth_feedback(&receiver), [""; 0]);
        assert_eq!(bandwidth_feedback(router_rtp_capabilities()), ["transport-cc"]);
    }

    #[test]
    fn an_extension_under_another_id_is_not_sent() {
        let mut receiver = router_rtp_capabilities().clone();
        for listed in &mut receiver.header_extensions {
            listed.preferred_id += 100;
        }
        assert_eq!(parameters_for(receiver).header_extensions, []);
    }

    #[test]
    fn the_identity_is_told() {
        let told = parameters_for(router_rtp_capabilities().clone());
        assert_eq!(told.mid.as_deref(), Some("7"));
        assert_eq!(
            (told.encodings[0].ssrc, told.encodings[0].rtx),
            (Some(11), Some(RtxParameters { ssrc: 12 }))
        );
    }

    fn bandwidth_feedback(receiver: &RtpCapabilities) -> Vec<String> {
        let told = parameters_for(receiver.clone());
        let names = told.codecs[0].rtcp_feedback.iter().map(|feedback| feedback.feedback_type.clone());
        names.filter(|name| name.contains('-')).collect()
    }

    fn parameters_for(receiver: RtpCapabilities) -> RtpParameters {
        let receiver = ReceiverCapabilities::try_from(receiver).unwrap();
        consumer_parameters(&vp8(), &receiver, identity()).unwrap()
    }

    fn vp8() -> RtpParameters {
        let codec = json!({"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000});
        let sent: RtpParameters = serde_json::from_value(json!({"codecs": [codec]})).unwrap();
        let router = router_rtp_capabilities();
        let mapping = producer_mapping(MediaKind::Video, &sent, router, 1).unwrap();
        consumable_parameters(MediaKind::Video, &sent, router, &mapping)
    }

    fn identity() -> ConsumerIdentity {
        ConsumerIdentity { ssrc: 11, rtx_ssrc: 12, mid: "7".into() }
    }
}
