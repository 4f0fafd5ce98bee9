//! What forwarding needs to know about a media payload, read from untrusted bytes without decoding: where
//! frames and decoding can start, which layer a packet belongs to, and which ids must stay continuous for a
//! receiver. [`describe`] reads, [`patch`] rewrites in place; neither allocates.

mod av1;
mod bits;
mod dependency;
mod h264;
mod vp8;
mod vp9;

pub(crate) use av1::{elements, ends_in_fragment, leb128};
pub(crate) use bits::BitReader;
pub(crate) use dependency::{DependencyFrame, DependencyReader};
pub(crate) use h264::split_unit;

use crate::ortc::MediaKind;

/// A codec that this SFU forwards. Retransmission formats are not codecs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    Opus,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    Av1,
}

impl Codec {
    /// Reads a mime type such as `video/VP8`, in any case; `None` for one that is not forwarded.
    pub(crate) fn from_mime_type(mime_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.mime_type().eq_ignore_ascii_case(mime_type))
    }

    /// The mime type in its registered spelling.
    pub(crate) fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Pcmu => "audio/PCMU",
            Self::Pcma => "audio/PCMA",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
            Self::H264 => "video/H264",
            Self::Av1 => "video/AV1",
        }
    }

    pub(crate) fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }

    const ALL: [Self; 7] = [Self::Opus, Self::Pcmu, Self::Pcma, Self::Vp8, Self::Vp9, Self::H264, Self::Av1];
}

/// One packet's payload as forwarding sees it. A frame is one spatial layer's part of a picture.
///
/// The default describes a packet without payload: every flag is false, every id absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// A decoder that has seen nothing can begin with this very packet. Set on one packet per key picture: the
    /// first of its lowest spatial layer, for H264 the one with the sequence parameter set. Always set for audio.
    pub(crate) keyframe: bool,
    /// The packet begins a frame. H264 without a dependency descriptor sets it on each packet that may: its first,
    /// and the first slice that follows parameter sets.
    pub(crate) starts_frame: bool,
    /// The payload says that the frame ends here. VP8, and H264 and AV1 without a dependency descriptor, cannot
    /// say so: their frames end with the RTP marker, which ends a frame for every video codec.
    pub(crate) ends_frame: bool,
    /// Spatial layer, 0 the lowest; 0..=7 for VP9, 0..=3 for AV1.
    pub(crate) spatial: u8,
    /// Temporal layer, 0 the lowest, 0..=7.
    pub(crate) temporal: u8,
    /// Forwarding of the frame's temporal layer may begin here, for a receiver that has been sent the layer just
    /// below it. VP8: the layer sync bit. VP9: the switching up point, as browsers set it. AV1, H264: from the
    /// decode target indications. Always set with `keyframe`.
    pub(crate) switching_up: bool,
    /// The frame may depend on earlier pictures (VP9: the P bit; other codecs: every frame but keyframes).
    pub(crate) inter_picture_predicted: bool,
    /// The frame depends on the spatial layer below in the same picture (VP9: the D bit; else false).
    pub(crate) inter_layer_predicted: bool,
    /// Bit s: who receives spatial layer s, and none above, does not need the frame (VP9: the Z bit, which is also set
    /// on the highest layer; AV1: from the decode target indications).
    pub(crate) spared: u8,
    /// The number of spatial layers sent from here on, where a packet says it (VP9: the scalability structure; AV1: the
    /// active decode targets); else 0.
    pub(crate) spatial_layers: u8,
    /// VP8, VP9: the picture's id.
    pub(crate) picture: Option<PictureId>,
    /// With a dependency descriptor: the number of the frame, over all layers.
    pub(crate) frame_number: Option<u16>,
    /// VP8, VP9: the running index of temporal base layer pictures.
    pub(crate) tl0_pic_idx: Option<u8>,
    /// Where the ids stand in the payload; meaningless for an id that is absent.
    pub(crate) picture_id_offset: u8,
    pub(crate) tl0_pic_idx_offset: u8,
}

/// The id of a VP8 or VP9 picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureId {
    pub(crate) value: u16,
    /// 7 or 15: how wide the stream's ids are, and where they wrap.
    pub(crate) bits: u8,
}

/// Reads what a decrypted payload, without RTP padding, says about itself. `dependency` is what
/// [`DependencyReader`] read from the same packet's header extension, and decides layers for AV1 and H264.
/// `None` if the payload is malformed.
pub(crate) fn describe(
    codec: Codec,
    payload: &[u8],
    dependency: Option<&DependencyFrame>,
) -> Option<Descriptor> {
    match codec {
        Codec::Opus | Codec::Pcmu | Codec::Pcma => (!payload.is_empty()).then(Descriptor::audio),
        Codec::Vp8 => vp8::describe(payload),
        Codec::Vp9 => vp9::describe(payload),
        Codec::H264 => h264::describe(payload, dependency),
        Codec::Av1 => av1::describe(payload, dependency),
    }
}

/// The part of a VP8 or VP9 payload behind its descriptor: bytes of the frame. `None` if it is malformed.
pub(crate) fn frame_bytes(codec: Codec, payload: &[u8]) -> Option<&[u8]> {
    match codec {
        Codec::Vp8 => vp8::frame_bytes(payload),
        Codec::Vp9 => vp9::frame_bytes(payload),
        Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::H264 | Codec::Av1 => Some(payload),
    }
}

/// Overwrites the ids in a VP8 or VP9 payload, keeping their widths; ids that the payload lacks stay absent.
/// `descriptor` must be what [`describe`] read from this payload or from a copy of it.
pub(crate) fn patch(payload: &mut [u8], descriptor: &Descriptor, picture_id: u16, tl0_pic_idx: u8) {
    if let Some(PictureId { bits, .. }) = descriptor.picture {
        let [high, low] = picture_id.to_be_bytes();
        match (bits, payload.get_mut(usize::from(descriptor.picture_id_offset)..).unwrap_or_default()) {
            (15, [first, second, ..]) => [*first, *second] = [WIDE_PICTURE_ID_FLAG | high, low],
            (7, [byte, ..]) => *byte = low & !WIDE_PICTURE_ID_FLAG,
            _ => {}
        }
    }
    if descriptor.tl0_pic_idx.is_some()
        && let Some(byte) = payload.get_mut(usize::from(descriptor.tl0_pic_idx_offset))
    {
        *byte = tl0_pic_idx;
    }
}

impl Descriptor {
    /// Every audio packet stands alone.
    fn audio() -> Self {
        Self { keyframe: true, starts_frame: true, ends_frame: true, ..Self::default() }
    }

    /// A video packet of a stream without layers or ids.
    fn video(keyframe: bool, starts_frame: bool) -> Self {
        Self {
            keyframe,
            starts_frame,
            switching_up: keyframe,
            inter_picture_predicted: !keyframe,
            ..Self::default()
        }
    }

    /// The same packet, placed by its dependency descriptor.
    fn placed(self, frame: &DependencyFrame) -> Self {
        Self {
            starts_frame: frame.start_of_frame,
            ends_frame: frame.end_of_frame,
            spatial: frame.spatial,
            temporal: frame.temporal,
            switching_up: self.keyframe || frame.switching_up,
            spared: frame.spared,
            spatial_layers: frame.spatial_layers,
            frame_number: Some(frame.frame_number),
            ..self
        }
    }
}

/// The ids of a payload descriptor, read one after another.
#[derive(Default)]
struct Ids {
    picture: Option<PictureId>,
    picture_id_offset: u8,
    tl0_pic_idx: Option<u8>,
    tl0_pic_idx_offset: u8,
}

impl Ids {
    /// Reads the one- or two-byte picture id that VP8 and VP9 share (RFC 7741 §4.2, RFC 9628 §4.2), and returns
    /// the offset behind it.
    fn read_picture_id(&mut self, payload: &[u8], offset: usize) -> Option<usize> {
        let (value, bits, len) = match *payload.get(offset..)? {
            [first, ..] if first & WIDE_PICTURE_ID_FLAG == 0 => (first.into(), 7, 1),
            [first, second, ..] => (u16::from_be_bytes([first & !WIDE_PICTURE_ID_FLAG, second]), 15, 2),
            _ => return None,
        };
        self.picture = Some(PictureId { value, bits });
        self.picture_id_offset = offset.try_into().ok()?;
        Some(offset + len)
    }

    fn read_tl0_pic_idx(&mut self, payload: &[u8], offset: usize) -> Option<usize> {
        self.tl0_pic_idx = Some(*payload.get(offset)?);
        self.tl0_pic_idx_offset = offset.try_into().ok()?;
        Some(offset + 1)
    }

    fn describe(self, descriptor: Descriptor) -> Descriptor {
        let Self { picture, picture_id_offset, tl0_pic_idx, tl0_pic_idx_offset } = self;
        Descriptor { picture, picture_id_offset, tl0_pic_idx, tl0_pic_idx_offset, ..descriptor }
    }
}

/// M: the picture id has 15 bits.
const WIDE_PICTURE_ID_FLAG: u8 = 0x80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mime_types_are_read_in_any_case_and_tell_the_kind() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_mime_type(codec.mime_type()), Some(codec));
        }
        assert_eq!(Codec::from_mime_type("VIDEO/vp8"), Some(Codec::Vp8));
        assert_eq!(Codec::from_mime_type("video/rtx"), None);
        assert_eq!(Codec::Opus.kind(), MediaKind::Audio);
        assert_eq!(Codec::Av1.kind(), MediaKind::Video);
    }

    #[test]
    fn every_audio_packet_is_a_place_to_begin() {
        let descriptor = describe(Codec::Opus, &[0xfc], None).unwrap();
        assert!(descriptor.keyframe && descriptor.starts_frame && descriptor.ends_frame);
        assert_eq!(describe(Codec::Opus, &[], None), None);
    }

    proptest! {
        #[test]
        fn no_payload_panics_and_patched_ids_read_back_with_nothing_else_changed(
            codec in prop::sample::select(&Codec::ALL[..]),
            payload in prop::collection::vec(any::<u8>(), 0..64),
            picture_id in any::<u16>(),
            tl0_pic_idx in any::<u8>(),
        ) {
            let Some(before) = describe(codec, &payload, None) else { return Ok(()) };
            let mut patched = payload.clone();
            patch(&mut patched, &before, picture_id, tl0_pic_idx);
            let after = describe(codec, &patched, None).unwrap();

            let expected = Descriptor {
                picture: before.picture.map(|p| PictureId { value: picture_id & ((1 << p.bits) - 1), ..p }),
                tl0_pic_idx: before.tl0_pic_idx.map(|_| tl0_pic_idx),
                ..before
            };
            prop_assert_eq!(after, expected);
            let original = (before.picture.map_or(0, |p| p.value), before.tl0_pic_idx.unwrap_or(0));
            patch(&mut patched, &after, original.0, original.1);
            prop_assert_eq!(patched, payload);
        }

        #[test]
        fn patching_another_payload_than_described_never_panics(
            codec in prop::sample::select(&[Codec::Vp8, Codec::Vp9][..]),
            described in prop::collection::vec(any::<u8>(), 0..32),
            mut other in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            if let Some(descriptor) = describe(codec, &described, None) {
                let len = other.len();
                patch(&mut other, &descriptor, 1, 2);
                prop_assert_eq!(other.len(), len);
            }
        }
    }
}
