//! The layers among which one consumer's grant is chosen.

use std::fmt;

/// A spatial and a temporal layer, 0 the lowest. Of simulcast the spatial layer is the encoding. Ordered by
/// quality: the spatial layer first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer {
    pub spatial: u8,
    pub temporal: u8,
}

/// What forwarding up to a layer costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rung {
    pub layer: Layer,
    /// Bit/s of UDP payload, with all lower layers that are forwarded with it.
    pub rate: u32,
}

/// A consumer's rungs, with both layer and rate ascending. Lies in place, so that building it allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    rungs: [Rung; MAX_RUNGS],
    len: u8,
}

impl Ladder {
    /// The rungs of a camera, from `sent`: what is sent, in ascending order of layers. Rungs above `cap` are
    /// left out, except the lowest. Above the lowest spatial layer at least half of the frame rate is kept: a
    /// large picture that stutters is worse than a smaller one.
    pub fn camera(sent: &[Rung], cap: Layer) -> Self {
        let top = |spatial| {
            let temporal = sent.iter().filter(|rung| rung.layer.spatial == spatial);
            temporal.map(|rung| rung.layer.temporal).max().unwrap_or(0)
        };
        let lowest = sent.first().map_or(0, |rung| rung.layer.spatial);
        let is_smooth = |rung: &&Rung| {
            let Layer { spatial, temporal } = rung.layer;
            spatial == lowest || temporal.saturating_add(1) >= top(spatial)
        };
        Self::build(sent.iter().filter(is_smooth), cap)
    }

    /// The rungs of a screen, from what is sent in ascending order of layers, up to `cap`.
    pub fn screen(sent: &[Rung], cap: Layer) -> Self {
        Self::build(sent.iter(), cap)
    }

    pub fn rungs(&self) -> &[Rung] {
        self.rungs.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub fn lowest(&self) -> Option<Rung> {
        self.rungs().first().copied()
    }

    pub fn highest(&self) -> Option<Rung> {
        self.rungs().last().copied()
    }

    /// The first rung of the highest resolution.
    pub(super) fn sharp(&self) -> Option<Rung> {
        let top = self.highest()?.layer.spatial;
        self.rungs().iter().find(|rung| rung.layer.spatial == top).copied()
    }

    /// The next rung above a layer.
    pub(super) fn above(&self, layer: Layer) -> Option<Rung> {
        self.rungs().iter().find(|rung| rung.layer > layer).copied()
    }

    /// The highest rung of the lowest resolution that is not above `layer`.
    pub(crate) fn gentle(&self, layer: Layer) -> Option<Rung> {
        let lowest = self.lowest()?;
        let fits = |rung: &&Rung| rung.layer.spatial == lowest.layer.spatial && rung.layer <= layer;
        self.rungs().iter().rev().find(fits).copied().or(Some(lowest))
    }

    fn build<'a>(sent: impl Iterator<Item = &'a Rung>, cap: Layer) -> Self {
        let mut ladder = Self { rungs: [Rung::default(); MAX_RUNGS], len: 0 };
        for &rung in sent {
            let beyond = rung.layer.spatial > cap.spatial || rung.layer.temporal > cap.temporal;
            if beyond && ladder.len > 0 {
                continue;
            }
            ladder.push(rung);
        }
        ladder
    }

    /// Adds a rung above all others. Those that are not cheaper are dropped: they cost more and show less.
    fn push(&mut self, rung: Rung) {
        while self.highest().is_some_and(|below| below.rate >= rung.rate) {
            self.len -= 1;
        }
        if let Some(slot) = self.rungs.get_mut(usize::from(self.len)) {
            *slot = rung;
            self.len += 1;
        }
    }
}

impl fmt::Debug for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rungs()).finish()
    }
}

/// Three encodings or spatial layers of four temporal layers, and some more. Higher ones are left out.
pub const MAX_RUNGS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cameras_upper_layers_keep_half_of_the_frame_rate() {
        let sent = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)];
        let ladder = Ladder::camera(&rungs(&sent), ANY);
        assert_eq!(layers(&ladder), [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1)]);
        let ladder = Ladder::screen(&rungs(&sent), ANY);
        assert_eq!(layers(&ladder), sent);
    }

    #[test]
    fn nothing_above_the_wish_is_on_the_ladder_except_that_there_is_always_a_lowest_rung() {
        let sent = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let ladder = Ladder::camera(&rungs(&sent), Layer { spatial: 1, temporal: 0 });
        assert_eq!(layers(&ladder), [(0, 0), (1, 0)]);
        let upper = Ladder::camera(&rungs(&sent[2..]), Layer { spatial: 0, temporal: 7 });
        assert_eq!(layers(&upper), [(1, 0)]);
        assert_eq!(Ladder::camera(&[], ANY).highest(), None);
    }

    #[test]
    fn a_rung_that_costs_more_than_a_better_one_is_dropped() {
        let mut sent = rungs(&[(0, 0), (0, 1), (1, 0), (1, 1)]);
        sent[1].rate = sent[2].rate;
        assert_eq!(layers(&Ladder::camera(&sent, ANY)), [(0, 0), (1, 0), (1, 1)]);
        sent[3].rate = 1;
        assert_eq!(layers(&Ladder::camera(&sent, ANY)), [(1, 1)]);
    }

    #[test]
    fn the_number_of_rungs_is_bounded() {
        let sent: Vec<_> =
            (0..8).flat_map(|spatial| (0..4).map(move |temporal| (spatial, temporal))).collect();
        let ladder = Ladder::screen(&rungs(&sent), ANY);
        assert_eq!(ladder.rungs().len(), MAX_RUNGS);
        assert_eq!(ladder.lowest().map(|rung| rung.layer), Some(Layer::default()));
    }

    const ANY: Layer = Layer { spatial: u8::MAX, temporal: u8::MAX };

    /// Rungs of rising rates.
    fn rungs(layers: &[(u8, u8)]) -> Vec<Rung> {
        let rung = |(&(spatial, temporal), rate)| Rung { layer: Layer { spatial, temporal }, rate };
        layers.iter().zip((100..).step_by(100)).map(rung).collect()
    }

    fn layers(ladder: &Ladder) -> Vec<(u8, u8)> {
        ladder.rungs().iter().map(|rung| (rung.layer.spatial, rung.layer.temporal)).collect()
    }
}
