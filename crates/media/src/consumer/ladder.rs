use crate::codec::Descriptor;

/// Which spatial layers of a scalable stream build on which, as its packets tell. In L modes each layer needs all below
/// it; in KEY modes only in key pictures; in S modes never (WebRTC-SVC §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ladder {
    /// The highest layer that is sent, as far as known. While layers are left out it stays what it is until a key
    /// picture: a lower layer could not be decoded.
    pub(super) top: u8,
    /// The highest layer that is sent by the newest knowledge.
    pub(super) announced: u8,
    /// The highest layer that came while more were announced: an AV1 sender may announce layers that it has no bandwidth
    /// for.
    ceiling: u8,
    /// A lower layer was left out since the last key picture.
    pub(super) omitted: bool,
    /// What the packets say to be needless may be left out. In L modes VP9 says so of the highest layer it sends at the
    /// time, so one more sign is needed.
    sparing: bool,
    /// A frame of the picture being received showed that layers do not depend on each other between key pictures.
    shown: bool,
    /// The highest layer of the picture being received, and which layers above do without its frames.
    highest: u8,
    spared: u8,
    /// Pictures in a row that came without the layer forwarded.
    missed: u8,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            top: HIGHEST,
            announced: HIGHEST,
            ceiling: HIGHEST,
            omitted: false,
            sparing: false,
            shown: false,
            highest: 0,
            spared: 0,
            missed: 0,
        }
    }
}

impl Ladder {
    /// Takes note of the first packet of a frame; `top` is the highest layer being forwarded.
    pub(super) fn step(&mut self, descriptor: &Descriptor, top: u8) {
        if descriptor.spatial == 0 {
            self.end_picture(top);
        }
        self.highest = self.highest.max(descriptor.spatial);
        self.spared |= descriptor.spared;
        if descriptor.spatial > self.ceiling {
            self.ceiling = HIGHEST;
        }
        if descriptor.spatial_layers > 0 {
            self.announced = (descriptor.spatial_layers - 1).min(self.ceiling);
        }
        // Not the other way round: a layer may be missing for a picture.
        if self.announced != HIGHEST {
            self.announced = self.announced.max(descriptor.spatial);
        }
        if descriptor.keyframe && descriptor.spatial == 0 {
            self.begin_key_picture(descriptor);
        }
        if !self.omitted && !self.is_cut_off(self.announced) {
            self.top = self.announced;
        }
        self.shown |=
            descriptor.spatial > 0 && descriptor.inter_picture_predicted && !descriptor.inter_layer_predicted;
    }

    /// Whether who receives layer `top` and none above does without a frame.
    pub(super) fn spares(&self, descriptor: &Descriptor, top: u8) -> bool {
        let bit = 1u8.checked_shl(top.into()).unwrap_or(0);
        self.sparing && descriptor.spared & bit != 0
    }

    /// Whether a layer above the forwarded ones cannot be decoded with them, so that it needs a key picture.
    fn is_cut_off(&self, layer: u8) -> bool {
        let bit = 1u8.checked_shl(layer.into()).unwrap_or(0);
        layer > self.top && self.sparing && self.spared & bit != 0
    }

    fn end_picture(&mut self, top: u8) {
        self.sparing |= self.shown;
        let complete = !self.omitted || self.highest >= top;
        self.missed = if complete { 0 } else { self.missed.saturating_add(1) };
        if self.missed >= MAX_MISSED {
            self.ceiling = self.highest;
            self.announced = self.highest;
        }
        (self.highest, self.spared) = (0, 0);
    }

    fn begin_key_picture(&mut self, descriptor: &Descriptor) {
        // Layers above do not need this one, even here: all are independent.
        let independent = self.announced != HIGHEST && self.announced > 0 && descriptor.spared != 0;
        self.sparing = independent || descriptor.frame_number.is_some();
        self.shown = false;
        self.omitted = false;
        self.missed = 0;
        self.top = self.announced;
    }
}

const HIGHEST: u8 = u8::MAX;
/// The sender may drop a frame here and there.
const MAX_MISSED: u8 = 4;
