//! How a consumer's packets are rewritten: the part that is fixed at negotiation.

use super::template::{Elements, HeaderTemplate};
use crate::arrival::{Carried, Extent};
use crate::codec::Codec;
use crate::ortc::{HeaderExtensionUri, RtpParameters};
use crate::rtp::{ExtensionForm, FixedHeader, Mid, PayloadType, Ssrc};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) codec: Codec,
    pub(crate) clock_rate: u32,
    pub(crate) payload_type: PayloadType,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx: Option<RtxPlan>,
    pub(crate) mid: Mid,
    pub(crate) extensions: OutgoingExtensions,
    pub(crate) cname: Box<str>,
    template: Option<HeaderTemplate>,
}

/// Retransmissions as a stream of their own (RFC 4588).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtxPlan {
    pub(crate) payload_type: PayloadType,
    pub(crate) ssrc: Ssrc,
}

/// The negotiated ids of the header extensions written; an extension with `None` is not written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutgoingExtensions {
    /// The shorter form that holds every element, except long dependency descriptors (see [`Plan::form`]).
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
        let (payload_type, ssrc) = (PayloadType(media.payload_type), Ssrc(encoding.ssrc?));
        let extensions = OutgoingExtensions::new(parameters, &mid);
        let fixed = FixedHeader { marker: false, payload_type, sequence_number: 0, timestamp: 0, ssrc };
        let elements = Elements {
            mid: extensions.mid.map(|id| (id, mid.as_bytes())),
            transport_cc: extensions.transport_cc,
            abs_send_time: extensions.abs_send_time,
            audio_level: extensions.audio_level,
        };
        Some(Self {
            codec,
            clock_rate: media.clock_rate,
            payload_type,
            ssrc,
            rtx,
            mid,
            template: HeaderTemplate::new(fixed, extensions.form, elements),
            extensions,
            cname: parameters.rtcp.cname.clone().unwrap_or_default().into(),
        })
    }

    /// The prepared header for packets with these values and this length of dependency descriptor; `None` if
    /// the packet needs an extension element that is not in the template.
    pub(crate) fn template(&self, carried: &Carried, dependency: usize) -> Option<&HeaderTemplate> {
        let ids = &self.extensions;
        let is_usual = ids.audio_level.is_none_or(|_| carried.audio_level.is_some())
            && ids.video_orientation.and(carried.video_orientation).is_none()
            && ids.playout_delay.and(carried.playout_delay).is_none()
            && (ids.dependency.is_none() || dependency == 0);
        self.template.as_ref().filter(|_| is_usual)
    }

    /// Length of the outgoing packet in bytes, before padding and sealing.
    pub(crate) fn packet_len(&self, Extent { payload, dependency, carried }: &Extent) -> u16 {
        self.header_len(carried, usize::from(*dependency)) as u16 + payload
    }

    fn header_len(&self, carried: &Carried, dependency: usize) -> usize {
        if let Some(template) = self.template(carried, dependency) {
            return template.len();
        }
        let ids = &self.extensions;
        let values = [
            ids.mid.map(|_| self.mid.as_bytes().len()),
            ids.transport_cc.map(|_| 2),
            ids.abs_send_time.map(|_| 3),
            ids.audio_level.and(carried.audio_level).map(|_| 1),
            ids.video_orientation.and(carried.video_orientation).map(|_| 1),
            ids.playout_delay.and(carried.playout_delay).map(|_| 3),
            ids.dependency.filter(|_| dependency > 0).map(|_| dependency),
        ];
        self.form(dependency).header_len(values.into_iter().flatten())
    }

    /// The dependency descriptor of a key picture contains the template structure, too long for a one-byte
    /// element.
    pub(crate) fn form(&self, dependency: usize) -> ExtensionForm {
        match self.extensions.dependency {
            Some(_) if dependency > MAX_ONE_BYTE_LEN => ExtensionForm::TwoByte,
            _ => self.extensions.form,
        }
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

/// Bytes (RFC 8285 §4.2).
const MAX_ONE_BYTE_LEN: usize = 16;
