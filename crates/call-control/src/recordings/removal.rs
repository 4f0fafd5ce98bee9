//! Deletion: the decision is stored first, then the files are removed, then the rows say so. The sweep finishes what
//! a crash or a fault of the disk interrupts.

use std::time::Duration;

use switchyard_media_worker::media::ortc::MediaKind;
use tokio::time::{MissedTickBehavior, interval};

use super::Recordings;
use crate::{
    actor::Actor,
    call::{RecordingRow, RecordingStatus, Source},
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{RecordingId, RecordingTrackId},
};

impl Recordings {
    /// Deletes a recording with all its files, and revokes its links. A second deletion changes nothing.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but the call's initiator, the group's owners, server admins and the service,
    /// `conflict` while it is not finished (for server admins and the service: not stopped), `unavailable`.
    pub async fn delete(&self, by: &Actor, recording: RecordingId) -> Result<(), Refusal> {
        let stored = self.stored(recording).await?;
        self.require_deleter(by, &stored.row).await?;
        if stored.is_gone() {
            return Ok(());
        }
        let (recordings, by) = (self.clone(), by.clone());
        self.whole(async move {
            if recordings.shared.store.decide_deletion(&stored.row, &by, now()).await? {
                if recordings.is_here(&stored.row) && stored.row.status.is_finished() {
                    recordings.remove(&stored.row).await;
                }
                return Ok(());
            }
            // Another request has deleted it, or it is not finished.
            if recordings.stored(recording).await?.is_gone() { Ok(()) } else { Err(unfinished()) }
        })
        .await
    }

    /// Deletes one track with its files, and revokes the recording's links. With a track of sound go all captions: they
    /// may have its words.
    ///
    /// # Errors
    /// `not_found`, `forbidden` as [`Recordings::delete`], `conflict` while the recording is not finished, `unavailable`.
    pub async fn delete_track(
        &self,
        by: &Actor,
        recording: RecordingId,
        track: RecordingTrackId,
    ) -> Result<(), Refusal> {
        let stored = self.stored(recording).await?;
        self.require_deleter(by, &stored.row).await?;
        if stored.is_gone() {
            return Ok(());
        }
        let tracks = self.shared.store.recording_tracks(recording).await?;
        let found = tracks.into_iter().find(|found| found.row.id == track).ok_or_else(no_such_track)?;
        if found.deleted_at.is_some() {
            return Ok(());
        }
        let (recordings, by, source) = (self.clone(), by.clone(), found.row.source);
        self.whole(async move {
            let (store, voices) = (&recordings.shared.store, may_be_in_captions(source));
            if store.decide_track_deletion(&stored.row, track, voices, &by, now()).await? {
                if recordings.is_here(&stored.row) {
                    recordings.remove_track(recording, track, source).await;
                }
                return Ok(());
            }
            let stored = recordings.stored(recording).await?;
            if stored.row.status.is_finished() { Ok(()) } else { Err(unfinished()) }
        })
        .await
    }

    /// Lets the task remove soon what was deleted together with its group.
    pub fn remove_soon(&self) {
        self.shared.removals.notify_one();
    }

    /// Deletes what has been kept for as long as it should, and removes the files of what is deleted.
    ///
    /// # Errors
    /// `unavailable`.
    pub(super) async fn sweep(&self) -> Result<(), Refusal> {
        let (store, storage) = (&self.shared.store, self.shared.storage);
        for past in store.recordings_past_their_time(now()).await? {
            store.decide_deletion(&past.row, &Actor::SERVER, now()).await?;
        }
        for deleted in store.recordings_to_remove(storage).await? {
            self.remove(&deleted.row).await;
        }
        for (recording, track, source) in store.tracks_to_remove(storage).await? {
            self.remove_track(recording, track, source).await;
        }
        Ok(())
    }

    /// Whether the files are in this server's storage. Those of another one are removed by the server that has it.
    pub(super) fn is_here(&self, recording: &RecordingRow) -> bool {
        recording.storage_id == self.shared.storage
    }

    /// What fails is repeated by the sweep.
    async fn remove(&self, recording: &RecordingRow) {
        let id = recording.id;
        if let Err(error) = self.shared.recorder.delete(switchyard_recorder::RecordingId(id.0)).await {
            tracing::warn!(recording = %id, %error, "the files of a deleted recording cannot be removed yet");
            return;
        }
        match self.shared.store.recording_removed(id, now()).await {
            Ok(true) => {
                let gone = RecordingRow { status: RecordingStatus::Deleted, ..recording.clone() };
                self.shared.calls.tell_of_recording(&gone);
            }
            // Another task has removed it.
            Ok(false) => {}
            Err(error) => tracing::warn!(recording = %id, %error, "a deleted recording cannot be noted yet"),
        }
    }

    async fn remove_track(&self, recording: RecordingId, track: RecordingTrackId, source: Source) {
        let (in_folder, in_file) = (recording.0, track.0);
        let (of, removed) =
            (switchyard_recorder::RecordingId(in_folder), switchyard_recorder::TrackId(in_file));
        if let Err(error) = self.shared.recorder.delete_track(of, removed).await {
            tracing::warn!(%recording, %track, %error, "the files of a deleted track cannot be removed yet");
            return;
        }
        if may_be_in_captions(source)
            && let Err(error) = self.remove_captions(recording).await
        {
            tracing::warn!(%recording, %track, %error, "captions with a deleted track cannot be removed yet");
            return;
        }
        if let Err(error) = self.shared.store.track_removed(recording, track, now()).await {
            tracing::warn!(%recording, %track, %error, "a deleted track cannot be noted yet");
        }
    }

    pub(super) fn keep_removing(&self) {
        let recordings = self.clone();
        let stop = self.shared.stop.clone();
        self.shared.tasks.spawn(stop.run_until_cancelled_owned(async move {
            let mut every = interval(SWEEP_PERIOD);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = every.tick() => {}
                    () = recordings.shared.removals.notified() => {}
                }
                if let Err(error) = Box::pin(recordings.sweep()).await {
                    tracing::debug!(%error, "deleted recordings could not be looked for");
                }
            }
        }));
    }

    /// Runs the work to its end in a task of its own, even if the caller is cancelled.
    pub(super) async fn whole<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.shared.tasks.spawn(work).await.unwrap_or_else(|broken| Err(Refusal::internal(&broken)))
    }
}

/// Captions are made of what is heard.
fn may_be_in_captions(source: Source) -> bool {
    source.kind() == MediaKind::Audio
}

fn unfinished() -> Refusal {
    Refusal::new(ErrorCode::Conflict, "stop the recording first, and wait until it is finished")
}

fn no_such_track() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such track")
}

const SWEEP_PERIOD: Duration = Duration::from_secs(60);
