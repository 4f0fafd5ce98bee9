//! The RTP capabilities of every router of this server.

use super::{
    CodecFmtp, ExtensionDirection, HeaderExtensionUri, MediaKind, MimeType, RtcpFeedback, RtpCapabilities,
    RtpCodecCapability, RtpHeaderExtension,
};
use std::sync::LazyLock;

/// The same for every call, so that a client may load its device before it joins a call. Codecs are listed in
/// order of preference: a client that does not choose sends the first codec of a kind.
pub fn router_rtp_capabilities() -> &'static RtpCapabilities {
    &ROUTER_RTP_CAPABILITIES
}

static ROUTER_RTP_CAPABILITIES: LazyLock<RtpCapabilities> =
    LazyLock::new(|| RtpCapabilities { codecs: codecs(), header_extensions: header_extensions() });

fn codecs() -> Vec<RtpCodecCapability> {
    let mut codecs = vec![
        audio("audio/opus", 100, 48_000, 2, &[("nack", ""), ("transport-cc", "")]),
        audio("audio/PCMU", 0, 8_000, 1, &[("transport-cc", "")]),
        audio("audio/PCMA", 8, 8_000, 1, &[("transport-cc", "")]),
    ];
    codecs.extend(video_with_rtx("video/VP8", 101, CodecFmtp::default()));
    codecs.extend(video_with_rtx("video/VP9", 103, CodecFmtp::from([("profile-id", 0.into())])));
    codecs.extend(video_with_rtx("video/H264", 105, h264(CONSTRAINED_BASELINE)));
    codecs.extend(video_with_rtx("video/AV1", 107, CodecFmtp::default()));
    // Behind all others, so that no client sends them unless it is told to or has nothing else: some receivers decode
    // Constrained Baseline only.
    codecs.extend(video_with_rtx("video/H264", 109, h264(MAIN)));
    codecs.extend(video_with_rtx("video/H264", 111, h264(HIGH)));
    codecs
}

fn h264(profile_level_id: &str) -> CodecFmtp {
    CodecFmtp::from([
        ("level-asymmetry-allowed", 1.into()),
        ("packetization-mode", 1.into()),
        ("profile-level-id", profile_level_id.into()),
    ])
}

fn audio(
    mime_type: &str,
    payload_type: u8,
    clock_rate: u32,
    channels: u8,
    feedback: &[(&str, &str)],
) -> RtpCodecCapability {
    RtpCodecCapability {
        kind: Some(MediaKind::Audio),
        mime_type: MimeType(mime_type.to_owned()),
        preferred_payload_type: payload_type,
        clock_rate,
        channels: Some(channels),
        parameters: CodecFmtp::default(),
        rtcp_feedback: rtcp_feedback(feedback),
    }
}

/// A video codec, followed by its retransmission codec on the next payload type.
fn video_with_rtx(mime_type: &str, payload_type: u8, parameters: CodecFmtp) -> [RtpCodecCapability; 2] {
    let video = |mime_type: &str, preferred_payload_type, parameters, feedback| RtpCodecCapability {
        kind: Some(MediaKind::Video),
        mime_type: MimeType(mime_type.to_owned()),
        preferred_payload_type,
        clock_rate: VIDEO_CLOCK_RATE,
        channels: None,
        parameters,
        rtcp_feedback: rtcp_feedback(feedback),
    };
    let apt = CodecFmtp::from([("apt", u32::from(payload_type).into())]);
    [
        video(mime_type, payload_type, parameters, VIDEO_FEEDBACK),
        video("video/rtx", payload_type + 1, apt, &[]),
    ]
}

fn rtcp_feedback(listed: &[(&str, &str)]) -> Vec<RtcpFeedback> {
    listed.iter().map(|(feedback_type, parameter)| RtcpFeedback::new(feedback_type, parameter)).collect()
}

fn header_extensions() -> Vec<RtpHeaderExtension> {
    HEADER_EXTENSIONS
        .iter()
        .map(|(preferred_id, extension, kind, direction)| RtpHeaderExtension {
            kind: Some(*kind),
            uri: extension.uri().to_owned(),
            preferred_id: *preferred_id,
            preferred_encrypt: false,
            direction: *direction,
        })
        .collect()
}

/// Payload types stay below 127, which clients keep for probing their receive transports. Ids stay below 15, so that
/// the one-byte form of RFC 8285 holds them. The server reads `recvonly` extensions and does not forward
/// them.
const HEADER_EXTENSIONS: &[(u8, HeaderExtensionUri, MediaKind, ExtensionDirection)] = {
    use ExtensionDirection::{Recvonly, Sendrecv};
    use HeaderExtensionUri as Uri;
    use MediaKind::{Audio, Video};
    &[
        (1, Uri::Mid, Audio, Sendrecv),
        (1, Uri::Mid, Video, Sendrecv),
        (2, Uri::Rid, Video, Recvonly),
        (3, Uri::RepairedRid, Video, Recvonly),
        (4, Uri::AbsSendTime, Audio, Sendrecv),
        (4, Uri::AbsSendTime, Video, Sendrecv),
        (5, Uri::TransportWideCc, Audio, Sendrecv),
        (5, Uri::TransportWideCc, Video, Sendrecv),
        (6, Uri::AudioLevel, Audio, Sendrecv),
        (7, Uri::DependencyDescriptor, Video, Sendrecv),
        (8, Uri::VideoOrientation, Video, Sendrecv),
        (10, Uri::AbsCaptureTime, Audio, Sendrecv),
        (10, Uri::AbsCaptureTime, Video, Sendrecv),
        (11, Uri::PlayoutDelay, Audio, Sendrecv),
        (11, Uri::PlayoutDelay, Video, Sendrecv),
        (12, Uri::VideoLayersAllocation, Video, Recvonly),
    ]
};

const VIDEO_FEEDBACK: &[(&str, &str)] =
    &[("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", ""), ("transport-cc", "")];

/// H.264 profiles, each at level 3.1 (RFC 6184 §8.1).
const CONSTRAINED_BASELINE: &str = "42e01f";
const MAIN: &str = "4d001f";
const HIGH: &str = "64001f";

/// Hertz, for every video payload format (RFC 3551 §5).
const VIDEO_CLOCK_RATE: u32 = 90_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ortc::{RtpParameters, can_consume, consumable_parameters, producer_mapping};
    use serde_json::json;
    use std::collections::HashSet;

    #[test]
    fn payload_types_are_unique_and_leave_the_probator_alone() {
        let types: Vec<u8> =
            router_rtp_capabilities().codecs.iter().map(|codec| codec.preferred_payload_type).collect();
        assert_eq!(types, [100, 0, 8, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112]);
        assert!(!types.contains(&127));
    }

    #[test]
    fn every_video_codec_is_followed_by_its_retransmission_codec() {
        let codecs = &router_rtp_capabilities().codecs;
        let video: Vec<_> = codecs.iter().filter(|codec| codec.kind == Some(MediaKind::Video)).collect();
        for pair in video.chunks(2) {
            assert!(!pair[0].mime_type.is_rtx());
            assert!(pair[1].mime_type.is_rtx());
            assert_eq!(pair[1].parameters.apt(), Some(pair[0].preferred_payload_type));
        }
    }

    #[test]
    fn an_extension_has_one_id_that_fits_the_one_byte_form() {
        let extensions = &router_rtp_capabilities().header_extensions;
        let pairs: HashSet<_> =
            extensions.iter().map(|listed| (listed.preferred_id, listed.uri.as_str())).collect();
        let ids: HashSet<_> = pairs.iter().map(|(id, _)| *id).collect();
        assert_eq!(pairs.len(), ids.len());
        assert!(ids.iter().all(|id| (1..=14).contains(id)));
    }

    #[test]
    fn a_client_that_chooses_nothing_or_just_h264_sends_what_it_sent_before_there_were_profiles() {
        let video: Vec<_> = router_rtp_capabilities()
            .codecs
            .iter()
            .filter(|codec| codec.kind == Some(MediaKind::Video) && !codec.mime_type.is_rtx())
            .map(|codec| (codec.mime_type.0.as_str(), codec.preferred_payload_type))
            .collect();
        assert_eq!(
            video[..4],
            [("video/VP8", 101), ("video/VP9", 103), ("video/H264", 105), ("video/AV1", 107)]
        );
    }

    #[test]
    fn each_h264_profile_is_sent_to_those_who_decode_it_and_to_nobody_else() {
        let router = router_rtp_capabilities();
        let profiles = [CONSTRAINED_BASELINE, MAIN, HIGH];
        for sent in profiles {
            let sender = sender_of_h264(sent);
            let mapping = producer_mapping(MediaKind::Video, &sender, router, 1).unwrap();
            let consumable = consumable_parameters(MediaKind::Video, &sender, router, &mapping);
            for decoded in profiles {
                let decoder = router
                    .codecs
                    .iter()
                    .filter(|codec| codec.parameters.text("profile-level-id").as_deref() == Some(decoded));
                let receiver =
                    RtpCapabilities { codecs: decoder.cloned().collect(), header_extensions: Vec::new() };
                let receiver = receiver.try_into().unwrap();
                assert_eq!(can_consume(&consumable, &receiver), sent == decoded, "{sent} to {decoded}");
            }
        }
    }

    fn sender_of_h264(profile_level_id: &str) -> RtpParameters {
        serde_json::from_value(json!({
            "codecs": [{
                "mimeType": "video/H264", "payloadType": 96, "clockRate": VIDEO_CLOCK_RATE,
                "parameters": h264(profile_level_id),
            }],
            "encodings": [{"ssrc": 1}],
        }))
        .unwrap()
    }

    #[test]
    fn they_pass_their_own_validation() {
        assert_eq!(router_rtp_capabilities().validate(), Ok(()));
    }
}
