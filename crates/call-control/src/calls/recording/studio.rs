//! The recorder as calls use it, and what it reports of their recordings until the database has it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use switchyard_media_worker::{Media, media::Tapped};
use switchyard_recorder::{
    NewTrack, Notice, Recorder, RecorderCounters, RecorderError, RepairedFile, TrackId, Trouble,
};
use tokio::sync::{Notify, OwnedMutexGuard, mpsc};
use uuid::Uuid;

use super::{RecordingConfig, news::News, shelf::Shelf};
use crate::{
    call::{NewRecording, Origin, RecordingEnd, RecordingMode, TrackNote, TrackRow},
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{CallId, RecordingId, RecordingTrackId, StorageId},
};

pub(in crate::calls) struct Studio {
    pub(in crate::calls) config: RecordingConfig,
    pub(in crate::calls) recorder: Recorder,
    pub(in crate::calls) storage: StorageId,
    shelf: Mutex<Shelf>,
    /// Something is to be written that should not wait for the next round.
    pub(super) urgent: Notify,
    pub(super) news: News,
    rows_lost: AtomicU64,
    notices: tokio::sync::Mutex<Notices>,
    /// For recordings whose files are being repaired or hashed.
    doors: Mutex<BTreeMap<RecordingId, Arc<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    #[error("the recordings folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    #[error("something else records what these media workers receive")]
    Taken,
}

type Notices = mpsc::Receiver<Notice>;

/// What the recorder's notice asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// The call has to stop the recording.
    Stop { call: CallId, recording: RecordingId, end: RecordingEnd },
    /// The files of a recording that did not start after all are to be removed.
    Remove(RecordingId),
}

impl Studio {
    /// Starts the recorder.
    pub(in crate::calls) fn start(config: RecordingConfig, media: &Media) -> Result<Self, StudioError> {
        let storage = storage_id(&config.recorder.folder)?;
        let end = media.take_tap_end().ok_or(StudioError::Taken)?;
        let (recorder, notices) = Recorder::start(config.recorder.clone(), end)?;
        let studio = Self {
            config,
            recorder,
            storage,
            shelf: Mutex::default(),
            urgent: Notify::new(),
            news: News::default(),
            rows_lost: AtomicU64::new(0),
            notices: tokio::sync::Mutex::new(notices),
            doors: Mutex::default(),
        };
        Ok(studio)
    }

    /// Opens a recording of the call, which has this number of tracks to record at once.
    ///
    /// # Errors
    /// `recording_off`, `limit_exceeded`, `storage_full`, `node_draining`, `unavailable`.
    pub(in crate::calls) async fn open(
        &self,
        call: &Origin,
        new: NewRecording,
        started_at: DateTime<Utc>,
        tracks: usize,
    ) -> Result<(), Refusal> {
        if !self.config.on {
            return Err(recording_off());
        }
        if self.shelf().open_tracks() + tracks.max(1) > self.config.recorder.max_tracks {
            return Err(Refusal::new(ErrorCode::LimitExceeded, "this server records all the tracks it may"));
        }
        self.shelf().begin(new.id, call.id, false);
        self.open_in_recorder(new, started_at, Vec::new()).await
    }

    /// Opens again a recording that an earlier run of the server began, with the files that are there.
    ///
    /// # Errors
    /// `storage_full`, `node_draining`, `unavailable`.
    pub(in crate::calls) async fn open_again(
        &self,
        call: &Origin,
        what: NewRecording,
        started_at: DateTime<Utc>,
        earlier: Vec<RepairedFile>,
        has_gaps: bool,
    ) -> Result<(), Refusal> {
        self.shelf().begin(what.id, call.id, has_gaps);
        self.open_in_recorder(what, started_at, earlier).await
    }

    /// It has to be on the shelf before it has a folder: the folders of unknown recordings are removed.
    async fn open_in_recorder(
        &self,
        what: NewRecording,
        started_at: DateTime<Utc>,
        earlier: Vec<RepairedFile>,
    ) -> Result<(), Refusal> {
        let since = (now() - started_at).to_std().unwrap_or_default();
        let began = Instant::now().checked_sub(since).unwrap_or_else(Instant::now);
        let opened = self.recorder.open(recorder_id(what.id), what.layer.into(), began, earlier).await;
        if opened.is_err() {
            self.shelf().forget(what.id);
        }
        Ok(opened?)
    }

    /// What a recording is like of which nothing was said.
    pub(in crate::calls) fn usual_recording(&self) -> NewRecording {
        NewRecording {
            id: RecordingId::random(),
            storage_id: self.storage,
            mode: RecordingMode::Video,
            layer: self.config.layer,
            consent: self.config.consent,
        }
    }

    /// Pauses an open recording, or continues it.
    pub(in crate::calls) async fn pause(&self, recording: RecordingId, paused: bool) {
        if let Err(error) = self.recorder.pause(recorder_id(recording), paused).await {
            tracing::warn!(%recording, %error, "a recording cannot be paused or continued");
        }
    }

    /// Records a producer of an open recording. The row tells why if it cannot be recorded.
    pub(in crate::calls) async fn tap(
        &self,
        mut row: TrackRow,
        tapped: Tapped,
        tags: Vec<(&'static str, String)>,
    ) {
        let track = NewTrack { id: TrackId(row.id.0), tapped, tags };
        let added = self.recorder.add_track(recorder_id(row.recording_id), track).await;
        if let Err(error) = &added {
            tracing::warn!(recording = %row.recording_id, %error, "a producer is not recorded");
            row.note = match error {
                RecorderError::TooManyTracks => Some(TrackNote::Limit),
                RecorderError::NotOpen
                | RecorderError::StorageFull
                | RecorderError::Storage(_)
                | RecorderError::Stopped => Some(TrackNote::Dropped),
            };
        }
        self.note_track(row, added.is_ok());
    }

    pub(in crate::calls) async fn untap(&self, recording: RecordingId, track: RecordingTrackId) {
        self.recorder.remove_track(recorder_id(recording), TrackId(track.0)).await;
    }

    /// Notes a track that is not recorded, or is about to be.
    pub(in crate::calls) fn note_track(&self, row: TrackRow, is_open: bool) {
        if !self.shelf().add_track(row, is_open) {
            self.rows_lost.fetch_add(1, Ordering::Relaxed);
        }
        self.urgent.notify_one();
    }

    /// Somebody who may be recorded is not, and has no track that could say so.
    pub(in crate::calls) fn note_gap(&self, recording: RecordingId) {
        self.shelf().note_gap(recording);
    }

    /// The call has stopped its recording: the files are finished.
    pub(in crate::calls) async fn close(&self, recording: RecordingId, end: RecordingEnd) {
        self.shelf().end(recording, end);
        self.recorder.close(recorder_id(recording)).await;
    }

    /// The call has no owner any more: nothing more of it is recorded. Whoever takes it over decides how its recording
    /// goes on.
    pub(in crate::calls) async fn let_go(&self, call: CallId) {
        let running = self.shelf().running();
        for (recording, _) in running.into_iter().filter(|(_, of)| *of == call) {
            self.recorder.close(recorder_id(recording)).await;
        }
    }

    /// Waits until nobody else repairs or hashes the files of the recording, and keeps all others from it.
    pub(super) async fn alone(&self, recording: RecordingId) -> OwnedMutexGuard<()> {
        self.door(recording).lock_owned().await
    }

    /// As [`Studio::alone`]; `None` while somebody is at the files.
    pub(super) fn try_alone(&self, recording: RecordingId) -> Option<OwnedMutexGuard<()>> {
        self.door(recording).try_lock_owned().ok()
    }

    fn door(&self, recording: RecordingId) -> Arc<tokio::sync::Mutex<()>> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.retain(|_, door| Arc::strong_count(door) > 1);
        Arc::clone(doors.entry(recording).or_default())
    }

    /// The recording did not start after all: its files are removed.
    pub(in crate::calls) async fn discard(&self, recording: RecordingId) {
        self.shelf().discard(recording);
        self.recorder.close(recorder_id(recording)).await;
    }

    /// The next of the recorder's notices, once there is one.
    pub(super) async fn next_notice(&self) -> Option<Notice> {
        self.notices.lock().await.recv().await
    }

    /// The next of the recorder's notices, if there is one.
    pub(super) async fn waiting_notice(&self) -> Option<Notice> {
        self.notices.lock().await.try_recv().ok()
    }

    /// Takes in what the recorder tells.
    pub(super) fn hear(&self, notice: Notice) -> Option<Demand> {
        match notice {
            Notice::Track(recording, report) => {
                if !self.shelf().report(RecordingId(recording.0), *report) {
                    self.rows_lost.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            Notice::Broken(recording, trouble) => {
                let recording = RecordingId(recording.0);
                let end = match trouble {
                    Trouble::DiskFull => RecordingEnd::DiskFull,
                    Trouble::StorageError => RecordingEnd::StorageError,
                };
                self.shelf().broke(recording);
                self.shelf().call_of(recording).map(|call| Demand::Stop { call, recording, end })
            }
            Notice::Closed(recording) => {
                let recording = RecordingId(recording.0);
                let discarded = self.shelf().closed(recording);
                self.urgent.notify_one();
                discarded.then_some(Demand::Remove(recording))
            }
        }
    }

    /// The call of a recording that is open here.
    pub(in crate::calls) fn call_of(&self, recording: RecordingId) -> Option<CallId> {
        self.shelf().call_of(recording)
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Each change is complete before the lock is released.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::calls) fn figures(&self) -> RecordingFigures {
        let shelf = self.shelf();
        RecordingFigures {
            recordings_active: shelf.active() as u64,
            tracks: shelf.open_tracks() as u64,
            rows_lost: self.rows_lost.load(Ordering::Relaxed),
            recorder: self.recorder.counters(),
        }
    }

    /// Notes in the recording's time line whose track has the floor.
    pub(in crate::calls) fn note_speaker(&self, recording: RecordingId, track: Option<RecordingTrackId>) {
        self.recorder.note_speaker(recorder_id(recording), track.map(|track| TrackId(track.0)));
    }
}

/// What is recorded, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordingFigures {
    /// Recordings that have not been stopped.
    pub recordings_active: u64,
    /// Tracks that are being recorded.
    pub tracks: u64,
    /// Reports that found no room while the database was unreachable.
    pub rows_lost: u64,
    pub recorder: RecorderCounters,
}

impl From<RecorderError> for Refusal {
    fn from(error: RecorderError) -> Self {
        let code = match &error {
            RecorderError::StorageFull => ErrorCode::StorageFull,
            RecorderError::TooManyTracks => ErrorCode::LimitExceeded,
            RecorderError::Stopped => ErrorCode::NodeDraining,
            RecorderError::NotOpen => return Self::internal(&error),
            RecorderError::Storage(_) => {
                tracing::error!(%error, "nothing can be recorded");
                return Self::new(ErrorCode::Unavailable, "the storage of recordings does not work");
            }
        };
        Self::new(code, error.to_string())
    }
}

pub(in crate::calls) fn recording_off() -> Refusal {
    Refusal::new(ErrorCode::RecordingOff, "this server records no calls")
}

pub(super) const fn recorder_id(recording: RecordingId) -> switchyard_recorder::RecordingId {
    switchyard_recorder::RecordingId(recording.0)
}

/// The id of the recordings folder, which is made with the folder.
fn storage_id(folder: &Path) -> io::Result<StorageId> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(STORAGE_ID);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            text.trim().parse::<Uuid>().map(StorageId).map_err(invalid)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = StorageId::random();
            // Renamed when it is complete, so that a crash leaves no empty file.
            let draft = folder.join(STORAGE_ID_DRAFT);
            std::fs::write(&draft, id.to_string())?;
            std::fs::File::open(&draft)?.sync_all()?;
            std::fs::rename(&draft, &path)?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

const STORAGE_ID: &str = "storage-id";
const STORAGE_ID_DRAFT: &str = "storage-id.new";
/// What the recorder reported is written at this interval.
pub(super) const WRITE_PERIOD: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("recordings");
        let id = storage_id(&place).unwrap();
        assert_eq!(storage_id(&place).unwrap(), id);
        std::fs::write(place.join(STORAGE_ID), "no id").unwrap();
        assert_eq!(storage_id(&place).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
