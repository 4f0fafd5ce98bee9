use proptest::prelude::*;

use super::*;

#[test]
fn frames_refer_to_the_templates_of_the_last_structure() {
    let mut reader = DependencyReader::default();
    let key = reader.read(&l1t3(100, 60)).unwrap();
    assert!(key.has_structure && key.start_of_frame && !key.end_of_frame);
    assert_eq!((key.spatial, key.temporal, key.frame_number), (0, 0, 100));
    assert_eq!(key.active_decode_targets, Some(0b111));
    assert!(key.switching_up);
    assert_eq!(key.decode_targets(), 3);

    // Template ids wrap at 64: 60 + 4 is id 0.
    let t2 = reader.read(&short(true, true, 63, 101)).unwrap();
    assert_eq!((t2.temporal, t2.frame_number), (2, 101));
    assert!(t2.start_of_frame && t2.end_of_frame && !t2.has_structure);
    assert_eq!((t2.active_decode_targets, t2.switching_up), (None, true));
    assert_eq!(
        [0, 1, 2, 3].map(|t| t2.dti(t)),
        [Dti::Discardable, Dti::NotPresent, Dti::NotPresent, Dti::NotPresent]
    );

    let t1 = reader.read(&short(true, false, 62, 102)).unwrap();
    assert_eq!((t1.temporal, t1.switching_up), (1, true));
    assert_eq!([t1.dti(0), t1.dti(1), t1.dti(2)], [Dti::Switch, Dti::Discardable, Dti::NotPresent]);

    assert_eq!(reader.read(&short(true, true, 0, 103)).unwrap().temporal, 2);
    assert_eq!(reader.read(&short(true, true, 1, 103)), Err(DependencyError::UnknownTemplate));
}

#[test]
fn spatial_layers_chains_and_resolutions_are_understood() {
    let mut reader = DependencyReader::default();
    let key = reader.read(&l2t1()).unwrap();
    assert_eq!((key.spatial, key.switching_up), (0, true));
    assert_eq!(key.active_decode_targets, Some(0b10), "the mask stands behind the structure");

    let upper = reader.read(&short(true, true, 3, 8)).unwrap();
    assert_eq!((upper.spatial, upper.temporal, upper.switching_up), (1, 0, true));
    let base = reader.read(&short(true, true, 2, 9)).unwrap();
    assert_eq!([base.dti(0), base.dti(1)], [Dti::Required, Dti::Switch]);
}

#[test]
fn a_frame_opens_its_layer_only_by_the_decode_targets_that_end_there() {
    let mut bits = Bits::default();
    bits.mandatory(true, true, 0, 1);
    bits.put(0b10000, 5);
    bits.put(0, 6);
    bits.put(1, 5); // two decode targets: both spatial layers, the lower alone
    for next_layer in [0, 0, 0, 2, 0, 3] {
        bits.put(next_layer, 2);
    }
    for dtis in [0b10_10, 0b10_11, 0b01_11, 0b11_01, 0b11_00, 0b01_00] {
        bits.put(dtis, 4);
    }
    bits.put(0, 6); // no frame differences
    bits.put(0, 1); // no chains: ns(3)
    bits.put(0, 1); // no resolutions
    let mut reader = DependencyReader::default();
    assert!(reader.read(&bits.bytes()).unwrap().switching_up);
    let read = [1, 2, 3, 4, 5].map(|template| reader.read(&short(true, true, template, 2)).unwrap());
    assert_eq!(read.map(|frame| frame.spatial), [0, 0, 0, 1, 1]);
    assert_eq!(read.map(|frame| frame.switching_up), [false, false, true, false, true]);
}

#[test]
fn custom_indications_and_masks_override_the_template() {
    let mut reader = DependencyReader::default();
    reader.read(&l1t3(100, 0)).unwrap();
    let mut bits = Bits::default();
    bits.mandatory(true, true, 3, 101);
    bits.put(0b01110, 5); // mask, custom DTIs and custom frame differences
    bits.put(0b011, 3);
    bits.put(0b11_01_00, 6);
    bits.put(0, 2); // no frame differences
    let frame = reader.read(&bits.bytes()).unwrap();
    assert_eq!(frame.active_decode_targets, Some(0b011));
    assert_eq!(
        [frame.dti(0), frame.dti(1), frame.dti(2)],
        [Dti::Required, Dti::Discardable, Dti::NotPresent]
    );
    assert_eq!((frame.temporal, frame.switching_up), (2, false));
}

#[test]
fn without_a_structure_a_frame_has_no_place() {
    let mut reader = DependencyReader::default();
    assert_eq!(reader.read(&short(true, true, 0, 1)), Err(DependencyError::NoStructure));
    let mut bits = Bits::default();
    bits.mandatory(true, true, 0, 1);
    bits.put(0, 5);
    assert_eq!(reader.read(&bits.bytes()), Err(DependencyError::NoStructure));
}

#[test]
fn a_late_copy_of_an_older_structure_does_not_replace_a_newer_one() {
    let mut reader = DependencyReader::default();
    reader.read(&l1t3(20, 10)).unwrap();
    assert!(reader.read(&l1t3(0xfff0, 30)).unwrap().has_structure, "36 frames before, across the wrap");
    assert!(reader.read(&short(true, true, 10, 21)).is_ok());
    assert_eq!(reader.read(&short(true, true, 30, 21)), Err(DependencyError::UnknownTemplate));

    reader.read(&l1t3(20u16.wrapping_sub(5_000), 40)).unwrap();
    assert!(reader.read(&short(true, true, 40, 1)).is_ok(), "a sender that started anew");
}

#[test]
fn a_structure_cut_short_changes_nothing() {
    let mut reader = DependencyReader::default();
    reader.read(&l1t3(1, 0)).unwrap();
    let next = l1t3(2, 20);
    for len in 0..next.len() {
        let read = reader.read(&next[..len]);
        assert!(
            matches!(read, Err(DependencyError::Truncated | DependencyError::UnknownTemplate)),
            "{len} bytes"
        );
    }
    assert!(reader.read(&short(true, true, 0, 2)).is_ok(), "the first structure still holds");
}

#[test]
fn more_layers_or_templates_than_allowed_are_refused() {
    for (next_layer, count) in [(1, 8), (2, 4), (0, 64)] {
        let mut bits = Bits::default();
        bits.mandatory(true, true, 0, 1);
        bits.put(0b10000, 5);
        bits.put(0, 6 + 5);
        for _ in 0..count {
            bits.put(next_layer, 2);
        }
        bits.put(0xffff_ffff, 32);
        let read = DependencyReader::default().read(&bits.bytes());
        assert_eq!(read, Err(DependencyError::InvalidStructure), "{count} steps of {next_layer}");
    }
}

#[test]
fn thirty_two_decode_targets_fit() {
    let mut bits = Bits::default();
    bits.mandatory(true, true, 0, 1);
    bits.put(0b10000, 5);
    bits.put(0, 6);
    bits.put(31, 5);
    bits.put(3, 2); // one template
    for _ in 0..32 {
        bits.put(2, 2);
    }
    bits.put(0, 1); // no frame differences
    bits.put(0, 5); // no chains: ns(33)
    bits.put(0, 1); // no resolutions
    let frame = DependencyReader::default().read(&bits.bytes()).unwrap();
    assert_eq!(frame.active_decode_targets, Some(u32::MAX));
    assert_eq!((frame.decode_targets(), frame.dti(31), frame.dti(32)), (32, Dti::Switch, Dti::NotPresent));
}

proptest! {
    #[test]
    fn no_descriptor_panics_or_leaves_its_ranges(
        descriptors in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 1..6),
    ) {
        let mut reader = DependencyReader::default();
        reader.read(&l1t3(0, 0)).unwrap();
        for descriptor in descriptors {
            if let Ok(frame) = reader.read(&descriptor) {
                prop_assert!(frame.spatial <= 3 && frame.temporal <= 7);
                prop_assert!((1..=32).contains(&frame.decode_targets()));
            }
        }
    }
}

/// One spatial and three temporal layers with one chain (example A.6.1 of the specification), templates 0 to 4,
/// as the first packet of a key frame.
fn l1t3(frame_number: u16, template_id_offset: u8) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.mandatory(true, false, template_id_offset, frame_number);
    bits.put(0b10000, 5);
    bits.put(template_id_offset.into(), 6);
    bits.put(2, 5); // three decode targets
    for next_layer in [0, 1, 1, 0, 3] {
        bits.put(next_layer, 2);
    }
    for dtis in [0b10_10_10, 0b10_10_10, 0b10_01_00, 0b01_00_00, 0b01_00_00] {
        bits.put(dtis, 6);
    }
    for difference in [None, Some(4), Some(2), Some(1), Some(1)] {
        bits.differences(difference);
    }
    bits.put(0b01, 2); // one chain: ns(4)
    bits.put(0, 3); // it protects all three targets: ns(2) each
    for chain_difference in [0, 4, 2, 1, 3] {
        bits.put(chain_difference, 4);
    }
    bits.put(0, 1); // no resolutions
    bits.bytes()
}

/// Two spatial layers, two chains, resolutions and a mask (example A.6.2 without its occasional switch),
/// templates 1 to 3, frame 7.
fn l2t1() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.mandatory(true, true, 1, 7);
    bits.put(0b11000, 5);
    bits.put(1, 6);
    bits.put(1, 5); // two decode targets: HD, VGA
    for next_layer in [0, 2, 3] {
        bits.put(next_layer, 2);
    }
    for dtis in [0b10_10, 0b11_10, 0b10_00] {
        bits.put(dtis, 4);
    }
    for difference in [None, Some(2), Some(1)] {
        bits.differences(difference);
    }
    bits.put(0b11, 2); // two chains: ns(3)
    bits.put(0b10, 2); // HD is protected by chain 1: ns(3)
    bits.put(0b0, 1); // VGA by chain 0: ns(3)
    for chain_difference in [0, 0, 2, 1, 1, 1] {
        bits.put(chain_difference, 4);
    }
    bits.put(1, 1);
    for (width, height) in [(640, 360), (1280, 720)] {
        bits.put(width - 1, 16);
        bits.put(height - 1, 16);
    }
    bits.put(0b10, 2); // active decode targets
    bits.bytes()
}

/// A descriptor without an extended part.
fn short(start: bool, end: bool, template_id: u8, frame_number: u16) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.mandatory(start, end, template_id, frame_number);
    bits.bytes()
}

/// Writes numbers bit by bit, the most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 != 0));
    }

    fn mandatory(&mut self, start: bool, end: bool, template_id: u8, frame_number: u16) {
        self.put(start.into(), 1);
        self.put(end.into(), 1);
        self.put(template_id.into(), 6);
        self.put(frame_number.into(), 16);
    }

    fn differences(&mut self, difference: Option<u32>) {
        if let Some(difference) = difference {
            self.put(1, 1);
            self.put(difference - 1, 4);
        }
        self.put(0, 1);
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .chunks(8)
            .map(|byte| byte.iter().zip(0..).fold(0, |sum, (bit, i)| sum | u8::from(*bit) << (7 - i)))
            .collect()
    }
}
