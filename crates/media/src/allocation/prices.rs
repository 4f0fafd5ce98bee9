//! What the layers of a producer cost, as it is told to other shards.

use super::{Rung, VideoKind};

/// Rates are averaged over a time that depends on what the video shows, which only its consumers know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prices {
    camera: Vec<Rung>,
    screen: Vec<Rung>,
}

impl Prices {
    pub(crate) fn rungs(&self, kind: VideoKind) -> &[Rung] {
        match kind {
            VideoKind::Camera => &self.camera,
            VideoKind::Screen => &self.screen,
        }
    }

    pub(crate) fn rungs_mut(&mut self, kind: VideoKind) -> &mut Vec<Rung> {
        match kind {
            VideoKind::Camera => &mut self.camera,
            VideoKind::Screen => &mut self.screen,
        }
    }

    /// Whether a layer came or went, or costs clearly more or less.
    pub(crate) fn differ(&self, told: &Self) -> bool {
        differs(&self.camera, &told.camera) || differs(&self.screen, &told.screen)
    }
}

fn differs(rungs: &[Rung], told: &[Rung]) -> bool {
    let moved = |(rung, told): (&Rung, &Rung)| {
        let (rate, before) = (u64::from(rung.rate), u64::from(told.rate));
        rung.layer != told.layer || rate.abs_diff(before) * 100 > before * NEWS_PERCENT
    };
    rungs.len() != told.len() || rungs.iter().zip(told).any(moved)
}

const NEWS_PERCENT: u64 = 15;
