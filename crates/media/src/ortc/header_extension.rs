//! The RTP header extensions (RFC 8285) that Switchyard understands.

/// A header extension, identified by its URI. Its id is negotiated per transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderExtensionUri {
    /// Names the SDP media section a packet belongs to (RFC 8843 §15).
    Mid,
    /// Names the simulcast layer of a media packet (RFC 8852).
    Rid,
    /// Names the simulcast layer that a retransmission repairs (RFC 8852).
    RepairedRid,
    /// 24-bit send time in 6.18 seconds, for receiver-side bandwidth estimation.
    AbsSendTime,
    /// 16-bit sequence number over all packets of a transport, for sender-side bandwidth estimation.
    TransportWideCc,
    /// Loudness of an audio packet in -dBov, with a voice flag (RFC 6464).
    AudioLevel,
    /// Layer structure and dependencies of a video frame (AV1 RTP specification, appendix A).
    DependencyDescriptor,
    /// How a receiver must rotate the picture (3GPP TS 26.114 §7.4.5).
    VideoOrientation,
    /// When the frame was captured, by the capturer's clock.
    AbsCaptureTime,
    /// Bounds for the receiver's playout delay.
    PlayoutDelay,
    /// Offset of transmission from the RTP timestamp (RFC 5450).
    TransmissionOffset,
    /// The target rates of all layers of a video.
    VideoLayersAllocation,
}

impl HeaderExtensionUri {
    /// `None` when the extension is unknown, which is no error: such extensions are not forwarded.
    pub fn from_uri(uri: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.uri() == uri)
    }

    pub fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportWideCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::TransmissionOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Self::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
        }
    }
}

const ALL: [HeaderExtensionUri; 12] = [
    HeaderExtensionUri::Mid,
    HeaderExtensionUri::Rid,
    HeaderExtensionUri::RepairedRid,
    HeaderExtensionUri::AbsSendTime,
    HeaderExtensionUri::TransportWideCc,
    HeaderExtensionUri::AudioLevel,
    HeaderExtensionUri::DependencyDescriptor,
    HeaderExtensionUri::VideoOrientation,
    HeaderExtensionUri::AbsCaptureTime,
    HeaderExtensionUri::PlayoutDelay,
    HeaderExtensionUri::TransmissionOffset,
    HeaderExtensionUri::VideoLayersAllocation,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_extension_is_found_by_its_uri() {
        for extension in ALL {
            assert_eq!(HeaderExtensionUri::from_uri(extension.uri()), Some(extension));
        }
        assert_eq!(HeaderExtensionUri::from_uri("urn:mediasoup:params:rtp-hdrext:packet-id"), None);
    }
}
