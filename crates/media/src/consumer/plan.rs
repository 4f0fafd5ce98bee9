//! How a consumer's packets are rewritten, decided once at negotiation.

use crate::codec::Codec;
use crate::ortc::{HeaderExtensionUri, RtpParameters};
use crate::rtp::{ExtensionForm, Mid, PayloadType, Ssrc};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) codec: Codec,
    pub(crate) clock_rate: u32,
    pub(crate) payload_type: PayloadType,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx: Option<RtxPlan>,
    pub(crate) mid: Mid,
    pub(crate) extensions: OutgoingExtensions,
    pub(crate) cname: String,
}

/// Retransmissions as a stream of their own (RFC 4588).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtxPlan {
    pub(crate) payload_type: PayloadType,
    pub(crate) ssrc: Ssrc,
}

/// The receiver's ids of the header extensions written; `None` is not written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutgoingExtensions {
    /// The form that every element fits, but for long dependency descriptors.
    pub(crate) form: ExtensionForm,
    pub(crate) mid: Option<u8>,
    pub(crate) abs_send_time: Option<u8>,
    pub(crate) transport_cc: Option<u8>,
    pub(crate) audio_level: Option<u8>,
    pub(crate) video_orientation: Option<u8>,
    pub(crate) playout_delay: Option<u8>,
    pub(crate) dependency: Option<u8>,
}

impl Plan {
    /// Reads negotiated parameters; `None` if they lack what a plan needs.
    pub(crate) fn new(codec: Codec, parameters: &RtpParameters) -> Option<Self> {
        let media = parameters.codecs.first()?;
        let encoding = parameters.encodings.first()?;
        let rtx_codec = parameters.codecs.iter().find(|codec| codec.mime_type.is_rtx());
        let rtx = rtx_codec.zip(encoding.rtx).map(|(codec, rtx)| RtxPlan {
            payload_type: PayloadType(codec.payload_type),
            ssrc: Ssrc(rtx.ssrc),
        });
        let mid = Mid::parse(parameters.mid.as_deref()?.as_bytes())?;
        Some(Self {
            codec,
            clock_rate: media.clock_rate,
            payload_type: PayloadType(media.payload_type),
            ssrc: Ssrc(encoding.ssrc?),
            rtx,
            mid,
            extensions: OutgoingExtensions::new(parameters, &mid),
            cname: parameters.rtcp.cname.clone().unwrap_or_default(),
        })
    }
}

impl OutgoingExtensions {
    fn new(parameters: &RtpParameters, value: &Mid) -> Self {
        let id = |extension| parameters.extension_id(extension);
        let mid = id(HeaderExtensionUri::Mid);
        let abs_send_time = id(HeaderExtensionUri::AbsSendTime);
        let transport_cc = id(HeaderExtensionUri::TransportWideCc);
        let audio_level = id(HeaderExtensionUri::AudioLevel);
        let video_orientation = id(HeaderExtensionUri::VideoOrientation);
        let playout_delay = id(HeaderExtensionUri::PlayoutDelay);
        let dependency = id(HeaderExtensionUri::DependencyDescriptor);
        let elements = [
            (mid, value.as_bytes().len()),
            (abs_send_time, 3),
            (transport_cc, 2),
            (audio_level, 1),
            (video_orientation, 1),
            (playout_delay, 3),
            (dependency, 3),
        ];
        let form = ExtensionForm::holding(elements.into_iter().filter_map(|(id, len)| Some((id?, len))));
        Self {
            form,
            mid,
            abs_send_time,
            transport_cc,
            audio_level,
            video_orientation,
            playout_delay,
            dependency,
        }
    }
}
