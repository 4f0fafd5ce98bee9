//! Records producers to files.
//!
//! [`Recorder`] is the handle that call control uses. A recorder may lose, but it never delays a call: each queue
//! towards it is bounded, and what finds no room is dropped by name.

mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use switchyard_media_worker::TapEnd;
use switchyard_media_worker::media::{RecordedLayer, Tapped};
use tokio::sync::mpsc;
use uuid::Uuid;

pub use report::{FileReport, Notice, Span, TrackNote, TrackReport, Trouble};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub Uuid);

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
    /// The number of the first file: above 0 when a recording continues after a restart.
    pub first_part: u32,
    /// Names and values that are written into the file, as `CALL_ID`.
    pub tags: Vec<(&'static str, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("no such recording is open")]
    NotOpen,
    #[error("too many tracks are recorded")]
    TooManyTracks,
    #[error("not enough free space on the disk")]
    StorageFull,
    #[error("storage failed: {0}")]
    Storage(#[from] std::io::Error),
    #[error("the recorder has stopped")]
    Stopped,
}

/// Handle of the recorder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    _notices: mpsc::UnboundedSender<Notice>,
}

impl Recorder {
    /// Starts the recorder's threads. The receiver yields what happens to recordings; it must be read.
    ///
    /// # Errors
    /// When the folder or a thread cannot be made.
    pub fn start(
        _config: RecorderConfig,
        _end: TapEnd,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Notice>), RecorderError> {
        let (notices, receiver) = mpsc::unbounded_channel();
        Ok((Self { _notices: notices }, receiver))
    }

    /// Opens a recording, in which tracks can be recorded. `began` is its time zero. Opening again one that a crash
    /// interrupted continues it.
    ///
    /// # Errors
    /// [`RecorderError::StorageFull`], [`RecorderError::Storage`].
    pub async fn open(
        &self,
        _id: RecordingId,
        _layer: RecordedLayer,
        _began: Instant,
    ) -> Result<(), RecorderError> {
        Ok(())
    }

    /// Records a producer until it ends or [`Recorder::remove_track`].
    ///
    /// # Errors
    /// [`RecorderError::NotOpen`], [`RecorderError::TooManyTracks`].
    pub async fn add_track(&self, _recording: RecordingId, _track: NewTrack) -> Result<(), RecorderError> {
        Ok(())
    }

    /// Ends a track. Its files are finished when a [`Notice::Track`] says that it has ended.
    pub async fn remove_track(&self, _recording: RecordingId, _track: TrackId) {}

    /// Writes nothing while paused. Tracks stay.
    ///
    /// # Errors
    /// [`RecorderError::NotOpen`].
    pub async fn pause(&self, _recording: RecordingId, _paused: bool) -> Result<(), RecorderError> {
        Ok(())
    }

    /// Notes a change of the dominant speaker in the recording's time line.
    pub fn note_speaker(&self, _recording: RecordingId, _track: Option<TrackId>) {}

    /// Ends all tracks and finishes the files. [`Notice::Closed`] follows.
    pub async fn close(&self, _recording: RecordingId) {}

    /// Finishes the files that a crash left open: cuts what is torn, and writes what the end of a file has. The
    /// recording must not be open.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn repair(&self, _recording: RecordingId) -> Result<Vec<FileReport>, RecorderError> {
        Ok(Vec::new())
    }

    /// The recordings that have a folder.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn stored(&self) -> Result<Vec<RecordingId>, RecorderError> {
        Ok(Vec::new())
    }

    /// Removes all files of a recording. It must not be open.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn delete(&self, _recording: RecordingId) -> Result<(), RecorderError> {
        Ok(())
    }

    /// Removes the files of one track.
    ///
    /// # Errors
    /// [`RecorderError::Storage`].
    pub async fn delete_track(&self, _recording: RecordingId, _track: TrackId) -> Result<(), RecorderError> {
        Ok(())
    }

    /// Closes all recordings and stops the threads.
    pub async fn shutdown(&self) {}
}
