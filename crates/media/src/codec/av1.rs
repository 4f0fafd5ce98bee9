use super::{DependencyFrame, Descriptor};

/// Reads the aggregation header and the first OBU's type (AV1 RTP specification §4.4).
///
/// A keyframe is the first packet of a coded video sequence, as the aggregation header says, or a dependency
/// descriptor with a template structure, which only such a packet carries. Layers are known from the dependency
/// descriptor only.
pub(super) fn describe(payload: &[u8], dependency: Option<&DependencyFrame>) -> Option<Descriptor> {
    let aggregation = payload.first()?;
    let continues = aggregation & CONTINUES != 0;
    let starts_sequence = aggregation & STARTS_SEQUENCE != 0;
    if continues && starts_sequence {
        return None;
    }
    let first_element = elements(payload).next()??;
    let starts_frame = !continues && may_start_frame(first_element);
    let keyframe =
        starts_sequence || dependency.is_some_and(|frame| frame.has_structure && frame.start_of_frame);
    let descriptor = Descriptor::video(keyframe, starts_frame || starts_sequence);
    Some(dependency.map_or(descriptor, |frame| descriptor.placed(frame)))
}

/// The elements of a payload: OBUs, or pieces of them. The first may be the rest of one, the last the beginning of
/// one ([`ends_in_fragment`]). An item is `None` if the payload is malformed there. Only the last of a counted number of
/// elements has no length in front.
pub(crate) fn elements(payload: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let (aggregation, mut rest) = payload.split_first().unwrap_or((&0, &[]));
    let mut counted = aggregation >> 4 & 0x03;
    let has_count = counted > 0;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            // A promised element is not there.
            return (std::mem::take(&mut counted) > 0).then_some(None);
        }
        let element = if has_count && counted == 1 {
            Some(std::mem::take(&mut rest))
        } else if has_count && counted == 0 {
            rest = &[];
            None
        } else {
            leb128(rest).and_then(|(len, after)| {
                let (element, behind) = after.split_at_checked(len)?;
                rest = behind;
                Some(element)
            })
        };
        counted = counted.saturating_sub(1);
        if element.is_none() {
            (rest, counted) = (&[], 0);
        }
        Some(element.filter(|element| !element.is_empty()))
    })
}

/// Whether the last element of a payload is continued in the next packet (Y), and the first one continues (Z).
pub(crate) fn ends_in_fragment(payload: &[u8]) -> (bool, bool) {
    let aggregation = payload.first().copied().unwrap_or(0);
    (aggregation & CONTINUED != 0, aggregation & CONTINUES != 0)
}

/// Whether an OBU can be the first of a frame: any type that does not continue a frame already begun.
fn may_start_frame(obu: &[u8]) -> bool {
    obu.first().is_some_and(|header| !matches!(header >> 3 & 0x0f, TILE_GROUP | REDUNDANT_FRAME_HEADER))
}

/// A length of seven bits a byte, least significant first (AV1 bitstream specification §4.10.5).
pub(crate) fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(MAX_LEB128_LEN) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Z, Y and N of the aggregation header.
const CONTINUES: u8 = 0x80;
const CONTINUED: u8 = 0x40;
const STARTS_SEQUENCE: u8 = 0x08;
/// OBU types (AV1 bitstream specification §6.2.2).
const TILE_GROUP: u8 = 4;
const REDUNDANT_FRAME_HEADER: u8 = 7;
/// Enough for any length inside a datagram.
const MAX_LEB128_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::codec::DependencyFrame;

    #[test]
    fn a_coded_video_sequence_begins_where_the_aggregation_header_says() {
        let first = describe(&[0x28, 2, SEQUENCE_HEADER, 0, FRAME, 0], None).unwrap();
        assert!(first.keyframe && first.starts_frame && first.switching_up);
        let delta = describe(&[0x10, FRAME, 0], None).unwrap();
        assert!(!delta.keyframe && delta.starts_frame && delta.inter_picture_predicted);
    }

    #[test]
    fn continued_obus_and_later_tile_groups_start_no_frame() {
        assert!(!describe(&[0x90, FRAME, 0], None).unwrap().starts_frame);
        assert!(!describe(&[0x10, TILES, 0], None).unwrap().starts_frame);
    }

    #[test]
    fn lengths_that_overrun_or_never_end_are_malformed() {
        assert_eq!(describe(&[], None), None);
        assert_eq!(describe(&[0x10], None), None, "no OBU at all");
        assert_eq!(describe(&[0x20, 3, FRAME, 0], None), None);
        assert_eq!(describe(&[0x00, 0, FRAME], None), None, "an empty OBU");
        assert_eq!(describe(&[0x00, 0x80, 0x80, 0x80, 0x80, 0], None), None);
        assert_eq!(describe(&[0x98, FRAME, 0], None), None, "a sequence cannot begin in mid-OBU");
        let two_byte_length = [[0x00, 0x80, 0x01].as_slice(), &[FRAME; 128]].concat();
        assert!(describe(&two_byte_length, None).unwrap().starts_frame);
    }

    #[test]
    fn the_dependency_descriptor_decides_layer_start_end_and_keyframe() {
        let frame = DependencyFrame {
            spatial: 1,
            temporal: 2,
            start_of_frame: true,
            switching_up: true,
            ..DependencyFrame::default()
        };
        let read = describe(&[0x10, TILES, 0], Some(&frame)).unwrap();
        assert_eq!((read.spatial, read.temporal, read.switching_up), (1, 2, true));
        assert!(read.starts_frame && !read.ends_frame && !read.keyframe);

        let key = DependencyFrame { has_structure: true, switching_up: false, ..frame };
        let read = describe(&[0x10, FRAME, 0], Some(&key)).unwrap();
        assert!(read.keyframe && read.switching_up);
        let late = DependencyFrame { start_of_frame: false, ..key };
        assert!(!describe(&[0x90, FRAME, 0], Some(&late)).unwrap().keyframe, "not its first packet");
    }

    const SEQUENCE_HEADER: u8 = 1 << 3;
    const FRAME: u8 = 6 << 3;
    const TILES: u8 = super::TILE_GROUP << 3;
}
