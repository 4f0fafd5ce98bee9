//! What the recorder is told.

use crate::ids::TrackId;
use std::path::PathBuf;
use std::time::Duration;
use switchyard_media_worker::media::Tapped;

#[derive(Debug, Clone)]
pub struct RecorderConfig {
    /// Has a folder for each recording.
    pub folder: PathBuf,
    /// A key frame is requested when none came for this time.
    pub key_frame_interval: Duration,
    /// Files are synced to the disk at this interval.
    pub sync_interval: Duration,
    /// No recording starts, and running ones end, when fewer bytes are free.
    pub min_free: u64,
    /// Open tracks of all recordings together.
    pub max_tracks: usize,
}

/// A track to record, and what its file says about it.
#[derive(Debug, Clone)]
pub struct NewTrack {
    pub id: TrackId,
    pub tapped: Tapped,
    /// Names and values that are written into the file, as `CALL_ID`.
    pub tags: Vec<(&'static str, String)>,
}
