use super::{Descriptor, Ids};

/// Reads the VP8 payload descriptor, and in a frame's first packet the payload header (RFC 7741 §4.2, §4.3).
pub(super) fn describe(payload: &[u8]) -> Option<Descriptor> {
    let &required = payload.first()?;
    let fields = Fields::read(payload)?;
    let &first_byte = payload.get(fields.end)?;
    let starts_frame = required & START_OF_PARTITION != 0 && required & PARTITION_INDEX == 0;
    let keyframe = starts_frame && first_byte & INTER_FRAME == 0;
    Some(fields.ids.describe(Descriptor {
        temporal: fields.temporal,
        switching_up: keyframe || fields.layer_sync,
        ..Descriptor::video(keyframe, starts_frame)
    }))
}

/// The payload behind the descriptor.
pub(super) fn frame_bytes(payload: &[u8]) -> Option<&[u8]> {
    payload.get(Fields::read(payload)?.end..)
}

/// The values of the optional part of the payload descriptor.
#[derive(Default)]
struct Fields {
    ids: Ids,
    temporal: u8,
    layer_sync: bool,
    /// Offset of the byte after the descriptor.
    end: usize,
}

impl Fields {
    fn read(payload: &[u8]) -> Option<Self> {
        let mut fields = Self { end: 1, ..Self::default() };
        if payload.first()? & EXTENDED != 0 {
            fields.read_extension(payload)?;
        }
        Some(fields)
    }

    fn read_extension(&mut self, payload: &[u8]) -> Option<()> {
        let &present = payload.get(self.end)?;
        self.end += 1;
        if present & PICTURE_ID_PRESENT != 0 {
            self.end = self.ids.read_picture_id(payload, self.end)?;
        }
        if present & TL0_PRESENT != 0 {
            self.end = self.ids.read_tl0_pic_idx(payload, self.end)?;
        }
        // One byte carries both TID with Y and KEYIDX; each counts only if its own bit is set.
        if present & (TID_PRESENT | KEYIDX_PRESENT) != 0 {
            let &layer = payload.get(self.end)?;
            self.end += 1;
            if present & TID_PRESENT != 0 {
                self.temporal = layer >> 6;
                self.layer_sync = layer & LAYER_SYNC != 0;
            }
        }
        Some(())
    }
}

/// X, S and PID of the required byte.
const EXTENDED: u8 = 0x80;
const START_OF_PARTITION: u8 = 0x10;
const PARTITION_INDEX: u8 = 0x07;
/// I, L, T and K of the extension byte.
const PICTURE_ID_PRESENT: u8 = 0x80;
const TL0_PRESENT: u8 = 0x40;
const TID_PRESENT: u8 = 0x20;
const KEYIDX_PRESENT: u8 = 0x10;
/// Y: the frame depends only on the base layer.
const LAYER_SYNC: u8 = 0x20;
/// P of the payload header.
const INTER_FRAME: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::codec::{PictureId, patch};

    #[test]
    fn a_bare_descriptor_tells_key_and_inter_frames_apart() {
        let key = describe(&[0x10, 0x00, 1, 2]).unwrap();
        assert!(key.keyframe && key.starts_frame && !key.ends_frame);
        assert!(key.switching_up);
        assert_eq!((key.picture, key.tl0_pic_idx), (None, None));

        let inter = describe(&[0x10, 0x01, 1, 2]).unwrap();
        assert!(!inter.keyframe && inter.starts_frame && inter.inter_picture_predicted);
        assert!(!inter.switching_up);
    }

    #[test]
    fn only_the_start_of_the_first_partition_starts_a_frame() {
        for required in [0x00, 0x11, 0x01] {
            let packet = describe(&[required, 0x00, 1]).unwrap();
            assert!(!packet.keyframe && !packet.starts_frame, "{required:#x}");
        }
    }

    #[test]
    fn all_extension_fields_are_read_in_order() {
        let packet = describe(&[0x90, 0xf0, 0x92, 0x34, 7, 0b1010_0011, 0x01]).unwrap();
        assert_eq!(packet.picture, Some(PictureId { value: 0x1234, bits: 15 }));
        assert_eq!((packet.tl0_pic_idx, packet.temporal, packet.switching_up), (Some(7), 2, true));
        assert!(!packet.keyframe);
    }

    #[test]
    fn a_frame_without_layer_sync_is_no_switching_point() {
        let packet = describe(&[0x90, 0xe0, 0x05, 7, 0b0100_0000, 0x01]).unwrap();
        assert_eq!((packet.temporal, packet.switching_up), (1, false));
        assert_eq!(packet.picture, Some(PictureId { value: 5, bits: 7 }));
    }

    #[test]
    fn a_key_index_alone_says_nothing_of_layers() {
        let inter = describe(&[0x90, 0x10, 0xff, 0x01]).unwrap();
        assert_eq!((inter.temporal, inter.switching_up), (0, false));
        assert!(describe(&[0x90, 0x10, 0xff, 0x00]).unwrap().keyframe, "the payload begins behind it");
    }

    #[test]
    fn a_descriptor_without_payload_behind_it_is_malformed() {
        let whole = [0x90, 0xf0, 0x92, 0x34, 7, 0xa0, 0x01];
        for len in 0..whole.len() {
            assert_eq!(describe(&whole[..len]), None, "{len} bytes");
        }
        assert!(describe(&whole).is_some());
    }

    #[test]
    fn patched_ids_keep_their_width() {
        let mut wide = [0x90, 0xe0, 0x92, 0x34, 7, 0x20, 0x01, 0xee];
        let descriptor = describe(&wide).unwrap();
        patch(&mut wide, &descriptor, 0x8001, 9);
        assert_eq!(wide, [0x90, 0xe0, 0x80, 0x01, 9, 0x20, 0x01, 0xee]);

        let mut narrow = [0x90, 0xc0, 0x12, 7, 0x01, 0xee];
        let descriptor = describe(&narrow).unwrap();
        patch(&mut narrow, &descriptor, 0x0181, 9);
        assert_eq!(narrow, [0x90, 0xc0, 0x01, 9, 0x01, 0xee]);
    }
}
