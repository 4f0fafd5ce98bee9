//! A consumer's share of its transport's bandwidth.

use crate::allocation::memory::Holding;
use crate::allocation::{Layer, VideoKind};
use std::num::NonZeroU8;

#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) kind: VideoKind,
    /// The priority that the client chose, instead of the usual one.
    pub(crate) chosen: Option<NonZeroU8>,
    pub(crate) holding: Holding,
    pub(super) grant: Granted,
    /// The number of its last packet that waits for its turn: later packets wait behind it.
    pub(crate) paced: Option<u32>,
    /// Much waits for its turn.
    pub(super) crowded: bool,
}

/// What the allocation lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    /// Nothing was allocated yet, or nothing limits it.
    All,
    UpTo(Layer),
    Nothing,
}

impl Share {
    pub(crate) fn new(kind: VideoKind) -> Self {
        Self {
            kind,
            chosen: None,
            holding: Holding::default(),
            grant: Granted::All,
            paced: None,
            crowded: false,
        }
    }

    /// 1..=255; those of a higher priority get bandwidth first. `has_floor`: it shows the dominant speaker.
    pub(crate) fn priority(&self, has_floor: bool) -> u8 {
        match (self.chosen, self.kind, has_floor) {
            (Some(chosen), _, _) => chosen.get(),
            (None, VideoKind::Screen, _) => SCREEN_PRIORITY,
            (None, VideoKind::Camera, true) => SPEAKER_PRIORITY,
            (None, VideoKind::Camera, false) => CAMERA_PRIORITY,
        }
    }
}

const SCREEN_PRIORITY: u8 = 255;
const SPEAKER_PRIORITY: u8 = 200;
const CAMERA_PRIORITY: u8 = 10;
