//! Dependency descriptors as an encoder writes them (AV1 RTP specification, appendix A).

use super::stamp::Stamp;

/// In which pictures each spatial layer refers to the one below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependence {
    /// L modes.
    All,
    /// KEY modes.
    KeyPictures,
    /// S modes.
    None,
}

impl Dependence {
    pub fn holds_in(self, key: bool) -> bool {
        self == Self::All || self == Self::KeyPictures && key
    }
}

/// A template of the structure. `key`: for key pictures only.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Template {
    layer: (u8, u8),
    key: bool,
}

/// The descriptor of a packet. With `structure` it contains the templates: one for each layer, every frame predicted
/// from lower temporal layers of its spatial layer, and as `dependence` says from the spatial layer below. Where key
/// pictures depend on other layers than the rest, they have templates of their own.
pub fn descriptor(
    dependence: Dependence,
    layers: (u8, u8),
    layer: (u8, u8),
    stamp: &Stamp,
    structure: bool,
) -> Vec<u8> {
    let templates = templates(dependence, layers);
    let key = stamp.key && dependence == Dependence::KeyPictures;
    let index = templates.iter().position(|template| *template == Template { layer, key }).unwrap();
    let mut bits = Bits::default();
    bits.push(u32::from(stamp.packet == 0), 1);
    bits.push(u32::from(stamp.is_last()), 1);
    bits.push(index as u32, 6);
    bits.push(stamp.frame & 0xffff, 16);
    if !structure {
        return bits.bytes;
    }
    bits.push(0b10000, 5);
    let targets = each(layers);
    bits.push(0, 6);
    bits.push(targets.len() as u32 - 1, 5);
    for (index, template) in templates.iter().enumerate() {
        let next = match templates.get(index + 1) {
            None => 3,
            Some(next) if next.layer.0 > template.layer.0 => 2,
            Some(next) => u32::from(next.layer.1 > template.layer.1),
        };
        bits.push(next, 2);
    }
    for template in &templates {
        for target in &targets {
            let depends = dependence == Dependence::All || template.key;
            bits.push(indication(template.layer, *target, layers.1, depends), 2);
        }
    }
    // No frame differences, no chains, no resolutions.
    bits.push(0, templates.len());
    bits.push(0, (targets.len() as u32 + 1).ilog2() as usize);
    bits.push(0, 1);
    bits.bytes
}

fn each(layers: (u8, u8)) -> Vec<(u8, u8)> {
    (0..layers.0).flat_map(move |spatial| (0..layers.1).map(move |temporal| (spatial, temporal))).collect()
}

fn templates(dependence: Dependence, layers: (u8, u8)) -> Vec<Template> {
    let own_key = |layer: (u8, u8)| dependence == Dependence::KeyPictures && layer.1 == 0;
    let of = |layer: (u8, u8)| {
        let key = own_key(layer).then_some(Template { layer, key: true });
        key.into_iter().chain([Template { layer, key: false }])
    };
    each(layers).into_iter().flat_map(of).collect()
}

/// The descriptor arrived on the packet that it was written for.
pub fn assert_describes(descriptor: &[u8], stamp: &Stamp) {
    let (first, last) = (descriptor[0] & 0x80 != 0, descriptor[0] & 0x40 != 0);
    assert_eq!((first, last), (stamp.packet == 0, stamp.is_last()));
    assert_eq!(u32::from(u16::from_be_bytes([descriptor[1], descriptor[2]])), stamp.frame & 0xffff);
    let opens = stamp.key && stamp.spatial == 0 && stamp.packet == 0;
    assert_eq!(descriptor.len() > 3, opens, "only a key frame's first packet has the structure");
}

fn indication(template: (u8, u8), target: (u8, u8), temporal_layers: u8, depends: bool) -> u32 {
    let (not_present, discardable, switch, required) = (0, 1, 2, 3);
    if template.0 > target.0 || template.1 > target.1 || template.0 < target.0 && !depends {
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
    fn push(&mut self, value: u32, width: usize) {
        for shift in (0..width as u32).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value.checked_shr(shift).unwrap_or(0) & 1) as u8;
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.len % 8);
            self.len += 1;
        }
    }
}
