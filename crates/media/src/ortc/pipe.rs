//! The parameters of a producer that one router relays to another.

use super::producer::ssrcs_from;
use super::{
    HeaderExtensionUri, RtcpFeedback, RtpCapabilities, RtpCodecParameters, RtpEncodingParameters,
    RtpHeaderExtensionParameters, RtpParameters,
};

/// All streams of the producer, without MID, bandwidth estimation and retransmission, which are negotiated
/// per hop. The dependency descriptor is kept, because the other router selects layers by it. SSRCs count up
/// from `first_ssrc`.
pub fn pipe_consumer_parameters(
    consumable: &RtpParameters,
    router: &RtpCapabilities,
    first_ssrc: u32,
) -> RtpParameters {
    let media = consumable.codecs.iter().filter(|codec| !codec.mime_type.is_rtx());
    RtpParameters {
        mid: None,
        codecs: media.map(pipe_codec).collect(),
        header_extensions: pipe_extensions(consumable, router),
        encodings: ssrcs_from(first_ssrc)
            .zip(&consumable.encodings)
            .map(|(ssrc, encoding)| RtpEncodingParameters { ssrc: Some(ssrc), rtx: None, ..encoding.clone() })
            .collect(),
        rtcp: consumable.rtcp.clone(),
        msid: consumable.msid.clone(),
    }
}

fn pipe_codec(codec: &RtpCodecParameters) -> RtpCodecParameters {
    let asks_for_key_frame =
        |feedback: &&RtcpFeedback| feedback.is("nack", "pli") || feedback.is("ccm", "fir");
    let rtcp_feedback = codec.rtcp_feedback.iter().filter(asks_for_key_frame).cloned().collect();
    RtpCodecParameters { rtcp_feedback, ..codec.clone() }
}

fn pipe_extensions(
    consumable: &RtpParameters,
    router: &RtpCapabilities,
) -> Vec<RtpHeaderExtensionParameters> {
    let mut extensions: Vec<RtpHeaderExtensionParameters> = Vec::new();
    for listed in &router.header_extensions {
        let extension = RtpHeaderExtensionParameters::from(listed);
        let passes = match HeaderExtensionUri::from_uri(&listed.uri) {
            Some(HeaderExtensionUri::DependencyDescriptor) => true,
            Some(
                HeaderExtensionUri::Mid
                | HeaderExtensionUri::AbsSendTime
                | HeaderExtensionUri::TransportWideCc,
            ) => false,
            Some(
                HeaderExtensionUri::Rid
                | HeaderExtensionUri::RepairedRid
                | HeaderExtensionUri::AudioLevel
                | HeaderExtensionUri::VideoOrientation
                | HeaderExtensionUri::AbsCaptureTime
                | HeaderExtensionUri::PlayoutDelay
                | HeaderExtensionUri::TransmissionOffset
                | HeaderExtensionUri::VideoLayersAllocation,
            )
            | None => consumable.header_extensions.contains(&extension),
        };
        if passes && !extensions.contains(&extension) {
            extensions.push(extension);
        }
    }
    extensions
}
