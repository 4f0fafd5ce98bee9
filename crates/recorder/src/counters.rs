//! What the recorder did since it started.

use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Totals since the start, except where it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecorderCounters {
    /// Recordings that are open at present, paused ones included.
    pub recordings_active: u64,
    /// Tracks that are recorded at present.
    pub tracks: u64,
    /// Bytes written to files.
    pub bytes: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Milliseconds of audio that were filled with silence.
    pub concealed_ms: u64,
    /// Milliseconds without pictures because pictures were damaged.
    pub held_ms: u64,
    /// Clusters that were dropped because the disk was too slow.
    pub clusters_dropped: u64,
    /// Notes of speakers and pauses that were dropped: too many of them, or the disk was too slow.
    pub notes_dropped: u64,
    /// Writes, and microseconds that they took.
    pub writes: u64,
    pub write_us: u64,
    /// Syncs of a file, and microseconds that they took.
    pub syncs: u64,
    pub sync_us: u64,
    /// The longest sync of a file, in microseconds.
    pub longest_sync_us: u64,
    /// Files that could not be written.
    pub files_failed: u64,
    /// Bytes that wait for the disk at present.
    pub queued_bytes: u64,
    /// Free bytes on the disk, as of at most 5 s ago.
    pub free_bytes: u64,
    /// Panics in a track, each of which ended that track.
    pub faults: u64,
}

/// The counters, shared by the recorder's threads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counting(Arc<Mutex<RecorderCounters>>);

impl Counting {
    pub(crate) fn lock(&self) -> MutexGuard<'_, RecorderCounters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
