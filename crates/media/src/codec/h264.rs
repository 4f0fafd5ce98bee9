use super::{DependencyFrame, Descriptor};

/// Reads the NAL unit types of a single NAL unit, STAP-A or FU-A packet: those of packetization mode 1
/// (RFC 6184 §5.4, §6.3).
///
/// A keyframe is where a sequence parameter set stands, not the IDR slice after it: a decoder that begins at
/// the slice lacks the set. Browsers send both sets in front of every IDR picture. Temporal layers are known
/// from the dependency descriptor only.
pub(super) fn describe(payload: &[u8], dependency: Option<&DependencyFrame>) -> Option<Descriptor> {
    let [indicator, body @ ..] = payload else { return None };
    let contents = match indicator & NAL_TYPE {
        1..=23 => Contents::of_nal_unit(payload),
        STAP_A => aggregate(body)?,
        FU_A => fragment(body)?,
        _ => return None,
    };
    let descriptor = Descriptor::video(contents.has_parameter_set, contents.may_start_frame);
    Some(dependency.map_or(descriptor, |frame| descriptor.placed(frame)))
}

struct Contents {
    has_parameter_set: bool,
    may_start_frame: bool,
}

impl Contents {
    fn of_nal_unit(unit: &[u8]) -> Self {
        let nal_type = unit.first().map_or(0, |header| header & NAL_TYPE);
        Self::new(nal_type, unit.get(1))
    }

    /// `first_byte` is the first after the NAL unit header. In a slice it begins with `first_mb_in_slice`,
    /// whose value 0 is coded as a single 1 bit (ITU-T H.264 §7.3.3, §9.1).
    fn new(nal_type: u8, first_byte: Option<&u8>) -> Self {
        let may_start_frame = match nal_type {
            SLICE | IDR_SLICE => first_byte.is_some_and(|byte| byte & 0x80 != 0),
            SEI | SPS | ACCESS_UNIT_DELIMITER => true,
            _ => false,
        };
        Self { has_parameter_set: nal_type == SPS, may_start_frame }
    }
}

/// Single-time aggregation: 16-bit sizes before complete NAL units, at least one.
fn aggregate(body: &[u8]) -> Option<Contents> {
    let (first, mut rest) = split_unit(body)?;
    let mut contents = Contents::of_nal_unit(first);
    while !rest.is_empty() {
        let (unit, after) = split_unit(rest)?;
        contents.has_parameter_set |= Contents::of_nal_unit(unit).has_parameter_set;
        rest = after;
    }
    Some(contents)
}

/// Splits a NAL unit off an aggregate; empty ones are malformed.
pub(crate) fn split_unit(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    let size = usize::from(u16::from_be_bytes(*size));
    if size == 0 {
        return None;
    }
    rest.split_at_checked(size)
}

/// A fragment of a NAL unit; only the first fragment shows how the unit begins.
fn fragment(body: &[u8]) -> Option<Contents> {
    let [header, fragment @ ..] = body else { return None };
    if fragment.is_empty() {
        return None;
    }
    if header & FRAGMENT_START == 0 {
        return Some(Contents { has_parameter_set: false, may_start_frame: false });
    }
    Some(Contents::new(header & NAL_TYPE, fragment.first()))
}

const NAL_TYPE: u8 = 0x1f;
const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FRAGMENT_START: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::codec::DependencyFrame;

    #[test]
    fn decoding_begins_at_the_sequence_parameter_set_not_at_the_idr_slice() {
        let sps = describe(&[0x67, 0x42, 0xe0], None).unwrap();
        assert!(sps.keyframe && sps.starts_frame);
        let pps = describe(&[0x68, 0xce], None).unwrap();
        assert!(!pps.keyframe && !pps.starts_frame);
        let idr = describe(&[0x65, 0x88], None).unwrap();
        assert!(!idr.keyframe);
    }

    #[test]
    fn an_aggregate_is_a_keyframe_wherever_its_parameter_set_stands() {
        let sps_pps = [0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68];
        assert!(describe(&sps_pps, None).unwrap().keyframe);
        let delimiter_sps = [0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x67, 0x42];
        let read = describe(&delimiter_sps, None).unwrap();
        assert!(read.keyframe && read.starts_frame);
        let sei_slice = [0x78, 0, 1, 0x06, 0, 2, 0x41, 0x9a];
        assert!(!describe(&sei_slice, None).unwrap().keyframe);
    }

    #[test]
    fn only_the_first_fragment_of_a_first_slice_starts_a_frame() {
        let first = describe(&[0x7c, 0x80 | 1, 0x9a, 0], None).unwrap();
        assert!(first.starts_frame && !first.keyframe);
        let middle = describe(&[0x7c, 1, 0x9a, 0], None).unwrap();
        assert!(!middle.starts_frame);
        let second_slice = describe(&[0x7c, 0x80 | 1, 0x4a, 0], None).unwrap();
        assert!(!second_slice.starts_frame);
        assert!(describe(&[0x7c, 0x80 | 7, 0x42], None).unwrap().keyframe, "a fragmented parameter set");
        assert!(!describe(&[0x7c, 7, 0x42], None).unwrap().keyframe);
    }

    #[test]
    fn sizes_that_overrun_and_types_of_other_modes_are_malformed() {
        assert_eq!(describe(&[], None), None);
        assert_eq!(describe(&[0x78], None), None, "an aggregate of nothing");
        assert_eq!(describe(&[0x78, 0, 3, 0x67, 0x42], None), None);
        assert_eq!(describe(&[0x78, 0, 0, 0, 1, 0x67], None), None);
        assert_eq!(describe(&[0x78, 0, 1, 0x67, 0], None), None);
        assert_eq!(describe(&[0x7c, 0x85], None), None, "an empty fragment");
        for other in [0, 25, 26, 27, 29, 30, 31] {
            assert_eq!(describe(&[other, 0, 1, 0x67], None), None, "type {other}");
        }
    }

    #[test]
    fn the_dependency_descriptor_places_the_packet() {
        let frame = DependencyFrame { temporal: 2, end_of_frame: true, ..DependencyFrame::default() };
        let read = describe(&[0x41, 0x9a], Some(&frame)).unwrap();
        assert_eq!(read.temporal, 2);
        assert!(read.ends_frame && !read.starts_frame);
    }
}
