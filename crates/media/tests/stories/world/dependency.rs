//! Dependency descriptors as an encoder writes them (AV1 RTP specification, appendix A).

use super::stamp::Stamp;

/// The descriptor of a packet. With `structure` it contains the templates: one for each layer, every frame
/// predicted from lower temporal layers of its spatial layer and from the spatial layer below.
pub fn descriptor(layers: (u8, u8), layer: (u8, u8), stamp: &Stamp, structure: bool) -> Vec<u8> {
    let (spatial_layers, temporal_layers) = layers;
    let mut bits = Bits::default();
    bits.push(u32::from(stamp.packet == 0), 1);
    bits.push(u32::from(stamp.is_last()), 1);
    bits.push(u32::from(layer.0 * temporal_layers + layer.1), 6);
    bits.push(stamp.frame & 0xffff, 16);
    if !structure {
        return bits.bytes;
    }
    bits.push(0b10000, 5);
    let targets = spatial_layers * temporal_layers;
    bits.push(0, 6);
    bits.push(u32::from(targets - 1), 5);
    let each = |layers: (u8, u8)| (0..layers.0).flat_map(move |s| (0..layers.1).map(move |t| (s, t)));
    for (spatial, temporal) in each(layers) {
        let next = match (temporal + 1 == temporal_layers, spatial + 1 == spatial_layers) {
            (false, _) => 1,
            (true, false) => 2,
            (true, true) => 3,
        };
        bits.push(next, 2);
    }
    for template in each(layers) {
        each(layers).for_each(|target| bits.push(indication(template, target, temporal_layers), 2));
    }
    // No frame differences, no chains, no resolutions.
    bits.push(0, targets.into());
    bits.push(0, (u32::from(targets) + 1).ilog2());
    bits.push(0, 1);
    bits.bytes
}

/// The descriptor arrived on the packet that it was written for.
pub fn assert_describes(descriptor: &[u8], stamp: &Stamp) {
    let (first, last) = (descriptor[0] & 0x80 != 0, descriptor[0] & 0x40 != 0);
    assert_eq!((first, last), (stamp.packet == 0, stamp.is_last()));
    assert_eq!(u32::from(u16::from_be_bytes([descriptor[1], descriptor[2]])), stamp.frame & 0xffff);
    let opens = stamp.key && stamp.spatial == 0 && stamp.packet == 0;
    assert_eq!(descriptor.len() > 3, opens, "only a key frame's first packet has the structure");
}

fn indication(template: (u8, u8), target: (u8, u8), temporal_layers: u8) -> u32 {
    let (not_present, discardable, switch, required) = (0, 1, 2, 3);
    if template.0 > target.0 || template.1 > target.1 {
        not_present
    } else if template.0 < target.0 {
        required
    } else if template.1 > 0 && template.1 + 1 == temporal_layers {
        discardable
    } else {
        switch
    }
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn push(&mut self, value: u32, width: u32) {
        for shift in (0..width).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value.checked_shr(shift).unwrap_or(0) & 1) as u8;
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.len % 8);
            self.len += 1;
        }
    }
}
