use super::{Descriptor, Ids};

/// Reads the VP9 payload descriptor, which precedes every packet's payload (RFC 9628 §4.2).
///
/// A keyframe is the first packet of a spatial base layer frame that is not inter-picture predicted.
pub(super) fn describe(payload: &[u8]) -> Option<Descriptor> {
    let &flags = payload.first()?;
    let has = |flag| flags & flag != 0;
    let Fields { ids, layer, spatial_layers, end } = Fields::read(payload)?;
    if payload.len() <= end {
        return None;
    }
    let keyframe = has(START_OF_FRAME) && !has(INTER_PICTURE_PREDICTED) && layer.spatial == 0;
    Some(ids.describe(Descriptor {
        ends_frame: has(END_OF_FRAME),
        spatial: layer.spatial,
        temporal: layer.temporal,
        switching_up: layer.switching_up || !has(INTER_PICTURE_PREDICTED),
        inter_picture_predicted: has(INTER_PICTURE_PREDICTED),
        inter_layer_predicted: layer.inter_layer_predicted,
        spared: if has(NO_REFERENCE_FOR_UPPER_LAYERS) { !1 << layer.spatial } else { 0 },
        spatial_layers,
        ..Descriptor::video(keyframe, has(START_OF_FRAME))
    }))
}

/// The payload behind the descriptor.
pub(super) fn frame_bytes(payload: &[u8]) -> Option<&[u8]> {
    payload.get(Fields::read(payload)?.end..)
}

/// The values behind the first byte.
struct Fields {
    ids: Ids,
    layer: Layer,
    /// Of the scalability structure; 0 without one.
    spatial_layers: u8,
    /// Offset of the byte after the descriptor, which may lie outside the payload.
    end: usize,
}

impl Fields {
    fn read(payload: &[u8]) -> Option<Self> {
        let &flags = payload.first()?;
        let has = |flag| flags & flag != 0;
        let mut end = 1;
        let mut ids = Ids::default();
        if has(PICTURE_ID_PRESENT) {
            end = ids.read_picture_id(payload, end)?;
        } else if has(FLEXIBLE_MODE) {
            return None;
        }
        let mut layer = Layer::default();
        if has(LAYER_PRESENT) {
            layer = Layer::parse(*payload.get(end)?);
            end += 1;
            if !has(FLEXIBLE_MODE) {
                end = ids.read_tl0_pic_idx(payload, end)?;
            }
        }
        if has(FLEXIBLE_MODE) && has(INTER_PICTURE_PREDICTED) {
            end = skip_reference_indices(payload, end)?;
        }
        let mut spatial_layers = 0;
        if has(SCALABILITY_STRUCTURE_PRESENT) {
            spatial_layers = (payload.get(end)? >> 5) + 1;
            end = skip_scalability_structure(payload, end)?;
        }
        Some(Self { ids, layer, spatial_layers, end })
    }
}

/// The layer indices: TID, U, SID and D.
#[derive(Default)]
struct Layer {
    temporal: u8,
    switching_up: bool,
    spatial: u8,
    inter_layer_predicted: bool,
}

impl Layer {
    fn parse(byte: u8) -> Self {
        Self {
            temporal: byte >> 5,
            switching_up: byte & 0x10 != 0,
            spatial: byte >> 1 & 0x07,
            inter_layer_predicted: byte & 0x01 != 0,
        }
    }
}

/// Skips one to three P_DIFF, each saying in its lowest bit whether another follows.
fn skip_reference_indices(payload: &[u8], start: usize) -> Option<usize> {
    for end in start..start + MAX_REFERENCES {
        if payload.get(end)? & 0x01 == 0 {
            return Some(end + 1);
        }
    }
    None
}

/// Skips the scalability structure; returns the offset behind it, which may lie outside the payload.
fn skip_scalability_structure(payload: &[u8], start: usize) -> Option<usize> {
    let &structure = payload.get(start)?;
    let mut end = start + 1;
    if structure & RESOLUTIONS_PRESENT != 0 {
        let spatial_layers = usize::from(structure >> 5) + 1;
        end += 4 * spatial_layers;
    }
    if structure & PICTURE_GROUP_PRESENT != 0 {
        let &pictures = payload.get(end)?;
        end += 1;
        for _ in 0..pictures {
            let references = usize::from(payload.get(end)? >> 2 & 0x03);
            end += 1 + references;
        }
    }
    Some(end)
}

/// I, P, L, F, B, E, V and Z of the first byte.
const PICTURE_ID_PRESENT: u8 = 0x80;
const INTER_PICTURE_PREDICTED: u8 = 0x40;
const LAYER_PRESENT: u8 = 0x20;
const FLEXIBLE_MODE: u8 = 0x10;
const START_OF_FRAME: u8 = 0x08;
const END_OF_FRAME: u8 = 0x04;
const SCALABILITY_STRUCTURE_PRESENT: u8 = 0x02;
const NO_REFERENCE_FOR_UPPER_LAYERS: u8 = 0x01;
/// Y and G of the scalability structure.
const RESOLUTIONS_PRESENT: u8 = 0x10;
const PICTURE_GROUP_PRESENT: u8 = 0x08;
const MAX_REFERENCES: usize = 3;

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::codec::{PictureId, patch};

    #[test]
    fn a_key_superframe_starts_once_and_ends_each_layer() {
        // SID 0 in two packets, SIDs 1 and 2 in one each; the upper ones predicted from the layer below.
        let packets = [
            [I | L | B | V, 0x80, 5, layer(0, false, 0, false), 9, 0x00, 0xaa],
            [I | L | E, 0x80, 5, layer(0, true, 0, false), 9, 0xaa, 0xaa],
            [I | L | B | E, 0x80, 5, layer(0, true, 1, true), 9, 0xaa, 0xaa],
            [I | L | B | E | Z, 0x80, 5, layer(0, true, 2, true), 9, 0xaa, 0xaa],
        ];
        let read = packets.map(|packet| describe(&packet).unwrap());
        assert_eq!(read.map(|d| d.keyframe), [true, false, false, false]);
        assert_eq!(read.map(|d| d.starts_frame), [true, false, true, true]);
        assert_eq!(read.map(|d| d.ends_frame), [false, true, true, true]);
        assert_eq!(read.map(|d| d.spatial), [0, 0, 1, 2]);
        assert_eq!(read.map(|d| d.inter_layer_predicted), [false, false, true, true]);
        let ids = (Some(PictureId { value: 5, bits: 15 }), Some(9));
        assert!(read.iter().all(|d| (d.picture, d.tl0_pic_idx) == ids));
        assert!(read.iter().all(|d| !d.inter_picture_predicted && d.switching_up));
    }

    #[test]
    fn an_inter_picture_is_no_keyframe_and_switches_up_only_where_it_says() {
        let plain = describe(&[I | P | L | B | E, 0x85, 1, layer(1, false, 0, false), 9, 0xaa]).unwrap();
        assert!(!plain.keyframe && plain.starts_frame && plain.inter_picture_predicted);
        assert_eq!((plain.temporal, plain.switching_up), (1, false));
        let up = describe(&[I | P | L | B | E, 0x85, 1, layer(1, true, 0, false), 9, 0xaa]).unwrap();
        assert!(up.switching_up);
    }

    #[test]
    fn flexible_mode_has_references_instead_of_a_base_layer_index() {
        let packet = [I | P | L | F | B, 0x07, layer(2, false, 1, false), 3, 5, 8, 0xaa];
        let read = describe(&packet).unwrap();
        assert_eq!((read.temporal, read.spatial, read.tl0_pic_idx), (2, 1, None));
        assert_eq!(read.picture, Some(PictureId { value: 7, bits: 7 }));

        let four_references = [I | P | L | F | B, 0x07, 0, 3, 5, 7, 8, 0xaa];
        assert_eq!(describe(&four_references), None);
        assert_eq!(describe(&[L | F | B, 0, 0xaa]), None, "flexible mode needs picture ids");
    }

    #[test]
    fn a_scalability_structure_is_skipped_whole() {
        // Two spatial layers with sizes, two pictures in the group, the second with two references.
        let structure = [0b0011_1000, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0, 0b0101_1000, 1, 2];
        let mut packet = vec![I | B | V, 0x01];
        packet.extend(structure);
        assert_eq!(describe(&packet), None, "nothing follows the structure");
        packet.push(0xaa);
        assert!(describe(&packet).unwrap().keyframe);
        for len in 0..packet.len() {
            assert_eq!(describe(&packet[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_stream_without_layers_begins_at_any_intra_picture() {
        assert!(describe(&[B | E, 0xaa]).unwrap().keyframe);
        assert!(!describe(&[P | B | E, 0xaa]).unwrap().keyframe);
        assert!(!describe(&[E, 0xaa]).unwrap().keyframe, "not its first packet");
    }

    #[test]
    fn patched_ids_keep_their_width() {
        let mut wide = [I | P | L, 0x85, 1, 0x20, 9, 0xaa];
        let descriptor = describe(&wide).unwrap();
        patch(&mut wide, &descriptor, 0x7fff, 200);
        assert_eq!(wide, [I | P | L, 0xff, 0xff, 0x20, 200, 0xaa]);

        let mut narrow = [I | P | L, 0x05, 0x20, 9, 0xaa];
        let descriptor = describe(&narrow).unwrap();
        patch(&mut narrow, &descriptor, 0x80, 200);
        assert_eq!(narrow, [I | P | L, 0x00, 0x20, 200, 0xaa]);
    }

    fn layer(temporal: u8, up: bool, spatial: u8, inter_layer: bool) -> u8 {
        temporal << 5 | u8::from(up) << 4 | spatial << 1 | u8::from(inter_layer)
    }

    const I: u8 = 0x80;
    const P: u8 = 0x40;
    const L: u8 = 0x20;
    const F: u8 = 0x10;
    const B: u8 = 0x08;
    const E: u8 = 0x04;
    const V: u8 = 0x02;
    const Z: u8 = 0x01;
}
