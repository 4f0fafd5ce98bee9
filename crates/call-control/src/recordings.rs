//! The recording service for those who read: who may see a recording, links to its files, captions, and deletion.
//!
//! Recording itself is a matter of the call: [`crate::calls`].

mod access;
mod captions;
mod files;
mod link;
mod live;
mod removal;
mod timeline;
mod view;
mod warden;

use std::sync::Arc;

use switchyard_recorder::Recorder;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use captions::{Language, MAX_CAPTIONS};
pub use files::OpenFile;
use link::LinkKey;
pub use link::{Reader, Target, Ticket};
pub use live::LiveFile;
pub use view::{FileView, RecordingDetails, RecordingView, TrackView};

use crate::{
    actor::Actor,
    call::{RecordingRow, RecordingStatus},
    calls::{Calls, RecordingConfig},
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId, RecordingId, StorageId},
    store::{Page, PageRequest, RecordingFilter, RecordingsOf, Store, StoredRecording, TimeCursor},
};

/// Handle of the service. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Recordings {
    shared: Arc<Shared>,
}

struct Shared {
    config: RecordingConfig,
    store: Store,
    calls: Calls,
    recorder: Recorder,
    /// The files of other storages are not here.
    storage: StorageId,
    key: OnceCell<LinkKey>,
    /// One permit for each read of the disk at the same time: a slow disk keeps no more threads.
    reads: Arc<Semaphore>,
    readers: live::Readers,
    /// Something is to be removed.
    removals: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Recordings {
    /// Starts the service, and the task that removes what was deleted.
    #[must_use]
    pub fn start(config: RecordingConfig, store: Store, calls: Calls) -> Self {
        let (recorder, storage) = calls.recorder();
        let shared = Shared {
            config,
            store,
            calls,
            recorder,
            storage,
            key: OnceCell::new(),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            readers: live::Readers::default(),
            removals: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let recordings = Self { shared: Arc::new(shared) };
        recordings.keep_removing();
        recordings
    }

    /// Stops the tasks. A deletion that is not finished is finished after the next start.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The recordings of a call, newest first.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn of_call(
        &self,
        by: &Actor,
        call: CallId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<RecordingView>, Refusal> {
        let stored = self.shared.store.call(call).await?;
        let stored = stored.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such call"))?;
        let seen_by = self.sight_of_call(by, stored.record.group_id, call).await?;
        let filter = RecordingFilter { of: RecordingsOf::Call(call), status: None, seen_by };
        Ok(self.shared.store.recordings(filter, page).await?.map(|stored| self.view(stored)))
    }

    /// The recordings of a group that the caller may see, newest first.
    ///
    /// # Errors
    /// `forbidden`, `unavailable`.
    pub async fn of_group(
        &self,
        by: &Actor,
        group: GroupId,
        status: Option<RecordingStatus>,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<RecordingView>, Refusal> {
        let seen_by = self.sight_of_group(by, group).await?;
        let filter = RecordingFilter { of: RecordingsOf::Group(group), status, seen_by };
        Ok(self.shared.store.recordings(filter, page).await?.map(|stored| self.view(stored)))
    }

    /// A recording with its tracks and files. A deleted one has none.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn find_one(&self, by: &Actor, recording: RecordingId) -> Result<RecordingDetails, Refusal> {
        let stored = self.readable(by, recording).await?;
        if stored.is_gone() {
            return Ok(RecordingDetails::new(self.view(stored), Vec::new(), Vec::new()));
        }
        let tracks = self.shared.store.recording_tracks(recording).await?;
        let files = self.shared.store.recording_files(recording).await?;
        Ok(RecordingDetails::new(self.view(stored), tracks, files))
    }

    /// A recording for somebody who has just changed it.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub async fn changed(&self, recording: RecordingId) -> Result<RecordingView, Refusal> {
        self.stored(recording).await.map(|stored| self.view(stored))
    }

    fn view(&self, stored: StoredRecording) -> RecordingView {
        RecordingView::new(stored, self.shared.config.access)
    }

    /// The storage and its folder.
    #[cfg(test)]
    pub(crate) fn place(&self) -> (StorageId, std::path::PathBuf) {
        (self.shared.storage, self.shared.config.recorder.folder.clone())
    }

    /// # Errors
    /// `unavailable` for a recording whose files are in another storage.
    fn require_here(&self, recording: &RecordingRow) -> Result<(), Refusal> {
        if self.is_here(recording) {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Unavailable, "the files of the recording are in another storage"))
        }
    }

    async fn stored(&self, recording: RecordingId) -> Result<StoredRecording, Refusal> {
        self.shared.store.recording(recording).await?.ok_or_else(no_such_recording)
    }

    /// As [`Recordings::readable`], without those that are deleted.
    async fn present(&self, by: &Actor, recording: RecordingId) -> Result<StoredRecording, Refusal> {
        let stored = self.readable(by, recording).await?;
        if stored.is_gone() { Err(no_such_recording()) } else { Ok(stored) }
    }
}

fn no_such_recording() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such recording")
}

const READS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests;
