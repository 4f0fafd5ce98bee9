//! What forwarding must know of a media payload, read from untrusted bytes without decoding them: where frames
//! and decoding can start, which layer a packet belongs to, and which ids must stay continuous for a receiver.
//! [`describe`] reads, [`patch`] rewrites in place; neither allocates.

mod av1;
mod bits;
mod dependency;
mod h264;
mod vp8;
mod vp9;

pub use dependency::{DependencyError, DependencyFrame, DependencyReader, Dti};

/// A codec that this SFU forwards. Retransmission formats are not codecs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    Av1,
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

impl Codec {
    /// Reads a mime type such as `video/VP8`, in any case; `None` for one that is not forwarded.
    pub fn from_mime_type(mime_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.mime_type().eq_ignore_ascii_case(mime_type))
    }

    /// The mime type in its registered spelling.
    pub fn mime_type(self) -> &'static str {
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

    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }

    /// RTP timestamp units per second.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => 90_000,
        }
    }

    const ALL: [Self; 7] = [Self::Opus, Self::Pcmu, Self::Pcma, Self::Vp8, Self::Vp9, Self::H264, Self::Av1];
}

/// One packet's payload as forwarding sees it. A frame is one spatial layer's part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// A decoder that has seen nothing can begin with this very packet. Set on one packet per key picture: the
    /// first of its lowest spatial layer, for H264 the one with the sequence parameter set. Always set for audio.
    pub keyframe: bool,
    /// The packet begins a frame. H264 without a dependency descriptor sets it on each packet that may: its first,
    /// and the first slice that follows parameter sets.
    pub starts_frame: bool,
    /// The payload says that the frame ends here. VP8, and H264 and AV1 without a dependency descriptor, cannot
    /// say so: their frames end with the RTP marker, which ends a frame for every video codec.
    pub ends_frame: bool,
    /// Spatial layer, 0 the lowest; 0..=7 for VP9, 0..=3 for AV1.
    pub spatial: u8,
    /// Temporal layer, 0 the lowest, 0..=7.
    pub temporal: u8,
    /// The highest temporal layer that may be forwarded from this frame on, to a receiver that has been sent every
    /// layer below this frame's own. `None` where the frame is no switching point. With several spatial layers the
    /// picture's first frame decides for the picture. VP8: the layer sync bit allows the frame's own layer.
    /// VP9: the switching up point allows all. AV1, H264: from the decode target indications.
    pub switching_up_to: Option<u8>,
    /// The frame may depend on earlier pictures (VP9: the P bit; else every frame that is not a keyframe's).
    pub inter_picture_predicted: bool,
    /// The frame depends on the spatial layer below in the same picture (VP9: the D bit; else false).
    pub inter_layer_predicted: bool,
    /// A higher spatial layer of the same picture may depend on the frame (VP9: the Z bit unset; else true).
    pub inter_layer_reference: bool,
    /// VP8, VP9: the picture's id.
    pub picture: Option<PictureId>,
    /// VP8, VP9: the running index of temporal base layer pictures.
    pub tl0_pic_idx: Option<Tl0PicIdx>,
}

/// A VP8 or VP9 picture id and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    pub value: u16,
    pub width: PictureIdWidth,
    /// Of the id's first byte in the payload.
    offset: u8,
}

/// How many bits a stream's picture ids have; they wrap there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureIdWidth {
    Bits7,
    Bits15,
}

impl PictureIdWidth {
    /// The highest picture id, which is also the mask that wraps one.
    pub fn max(self) -> u16 {
        match self {
            Self::Bits7 => 0x7f,
            Self::Bits15 => 0x7fff,
        }
    }
}

/// A VP8 or VP9 TL0PICIDX and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tl0PicIdx {
    pub value: u8,
    /// In the payload.
    offset: u8,
}

/// Reads what a decrypted payload, without RTP padding, says about itself. `dependency` is what
/// [`DependencyReader`] read from the same packet's header extension, and decides layers for AV1 and H264.
/// `None` if the payload is malformed.
pub fn describe(codec: Codec, payload: &[u8], dependency: Option<&DependencyFrame>) -> Option<Descriptor> {
    match codec {
        Codec::Opus | Codec::Pcmu | Codec::Pcma => (!payload.is_empty()).then_some(Descriptor::AUDIO),
        Codec::Vp8 => vp8::describe(payload),
        Codec::Vp9 => vp9::describe(payload),
        Codec::H264 => h264::describe(payload, dependency),
        Codec::Av1 => av1::describe(payload, dependency),
    }
}

/// Puts other ids into a VP8 or VP9 payload, in the width it has; ids that the payload lacks stay absent.
/// `descriptor` must be what [`describe`] read from this payload or from a copy of it.
pub fn patch(payload: &mut [u8], descriptor: &Descriptor, picture_id: u16, tl0_pic_idx: u8) {
    if let Some(picture) = descriptor.picture {
        let [high, low] = (picture_id & picture.width.max()).to_be_bytes();
        let field = payload.get_mut(usize::from(picture.offset)..).unwrap_or_default();
        match (picture.width, field) {
            (PictureIdWidth::Bits7, [byte, ..]) => *byte = low,
            (PictureIdWidth::Bits15, [first, second, ..]) => {
                [*first, *second] = [WIDE_PICTURE_ID_FLAG | high, low];
            }
            (PictureIdWidth::Bits7 | PictureIdWidth::Bits15, _) => {}
        }
    }
    if let Some(tl0) = descriptor.tl0_pic_idx
        && let Some(byte) = payload.get_mut(usize::from(tl0.offset))
    {
        *byte = tl0_pic_idx;
    }
}

impl Descriptor {
    /// Every audio packet stands alone.
    const AUDIO: Self = Self {
        keyframe: true,
        starts_frame: true,
        ends_frame: true,
        spatial: 0,
        temporal: 0,
        switching_up_to: None,
        inter_picture_predicted: false,
        inter_layer_predicted: false,
        inter_layer_reference: false,
        picture: None,
        tl0_pic_idx: None,
    };

    /// A video packet of a stream without layers or ids.
    fn video(keyframe: bool, starts_frame: bool) -> Self {
        Self {
            keyframe,
            starts_frame,
            ends_frame: false,
            switching_up_to: keyframe.then_some(MAX_TEMPORAL),
            inter_picture_predicted: !keyframe,
            inter_layer_reference: true,
            ..Self::AUDIO
        }
    }

    /// The same packet, placed by its dependency descriptor.
    fn placed(self, frame: &DependencyFrame) -> Self {
        Self {
            starts_frame: frame.start_of_frame,
            ends_frame: frame.end_of_frame,
            spatial: frame.spatial,
            temporal: frame.temporal,
            switching_up_to: self.switching_up_to.or(frame.switching_up_to),
            ..self
        }
    }
}

/// Reads the one- or two-byte picture id that VP8 and VP9 share (RFC 7741 §4.2, RFC 9628 §4.2) at `offset`,
/// and the offset behind it.
fn picture_id(payload: &[u8], offset: usize) -> Option<(PictureId, usize)> {
    let field = payload.get(offset..)?;
    let (value, width, len) = match *field {
        [first, second, ..] if first & WIDE_PICTURE_ID_FLAG != 0 => {
            (u16::from_be_bytes([first & 0x7f, second]), PictureIdWidth::Bits15, 2)
        }
        [first, ..] if first & WIDE_PICTURE_ID_FLAG == 0 => (first.into(), PictureIdWidth::Bits7, 1),
        _ => return None,
    };
    Some((PictureId { value, width, offset: offset.try_into().ok()? }, offset + len))
}

fn tl0_pic_idx(payload: &[u8], offset: usize) -> Option<(Tl0PicIdx, usize)> {
    let &value = payload.get(offset)?;
    Some((Tl0PicIdx { value, offset: offset.try_into().ok()? }, offset + 1))
}

/// M: the picture id has 15 bits.
const WIDE_PICTURE_ID_FLAG: u8 = 0x80;
/// The highest temporal layer that any of the formats can name.
const MAX_TEMPORAL: u8 = 7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mime_types_are_read_in_any_case_and_tell_kind_and_clock() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_mime_type(codec.mime_type()), Some(codec));
        }
        assert_eq!(Codec::from_mime_type("VIDEO/vp8"), Some(Codec::Vp8));
        assert_eq!(Codec::from_mime_type("video/rtx"), None);
        assert_eq!((Codec::Opus.kind(), Codec::Opus.clock_rate()), (MediaKind::Audio, 48_000));
        assert_eq!((Codec::Pcma.kind(), Codec::Pcma.clock_rate()), (MediaKind::Audio, 8_000));
        assert_eq!((Codec::Av1.kind(), Codec::Av1.clock_rate()), (MediaKind::Video, 90_000));
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
                picture: before.picture.map(|p| PictureId { value: picture_id & p.width.max(), ..p }),
                tl0_pic_idx: before.tl0_pic_idx.map(|tl0| Tl0PicIdx { value: tl0_pic_idx, ..tl0 }),
                ..before
            };
            prop_assert_eq!(after, expected);
            patch(&mut patched, &after, before.picture.map_or(0, |p| p.value), before.tl0_pic_idx.map_or(0, |t| t.value));
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
