//! A consumer's share of its transport's bandwidth.

use crate::allocation::memory::Holding;
use crate::allocation::{Layer, VideoKind};

#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) kind: VideoKind,
    /// 1..=255; those of a higher priority get bandwidth first.
    pub(crate) priority: u8,
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
        let priority = match kind {
            VideoKind::Camera => CAMERA_PRIORITY,
            VideoKind::Screen => SCREEN_PRIORITY,
        };
        Self { kind, priority, holding: Holding::default(), grant: Granted::All, paced: None, crowded: false }
    }
}

const CAMERA_PRIORITY: u8 = 10;
const SCREEN_PRIORITY: u8 = 255;
