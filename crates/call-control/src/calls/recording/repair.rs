//! Recordings that an earlier run of the server left unfinished.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use switchyard_media_worker::media::ProducerId;
use switchyard_recorder::{FileReport, RecorderError, RepairedFile, TrackId};
use tokio::time::sleep;

use super::{shelf::file_row, studio::recorder_id};
use crate::{
    call::{FileRow, RecordingEnd, RecordingRow, RecordingStatus, Source, Span, TrackRow},
    calls::Calls,
    clock::now,
    ids::{CallId, FileId, RecordingId, RecordingTrackId},
    store::StoreError,
};

impl Calls {
    /// Finishes the recordings whose calls are over, and removes files that belong to no recording. Those of running
    /// calls are continued by their owner tasks. What fails does not keep the rest from being done.
    ///
    /// # Errors
    /// The first failure: it has to be repeated.
    pub(in crate::calls) async fn tidy_recordings(&self) -> Result<(), RepairError> {
        let unfinished = self.shared.store.unfinished_recordings(self.shared.studio.storage).await?;
        let mut done = Ok(());
        for row in unfinished {
            let is_live = row.status.is_running() && self.is_call_running(row.call_id).await?;
            if !is_live && self.shared.studio.call_of(row.id).is_none() {
                done = done.and(self.finish_abandoned(&row).await);
            }
        }
        done.and(self.remove_strangers().await)?;
        self.warn_of_other_storages().await
    }

    /// What another storage has is finished by a server that has that storage. If there is none any more, somebody has
    /// to know.
    async fn warn_of_other_storages(&self) -> Result<(), RepairError> {
        let storage = self.shared.studio.storage;
        for row in self.shared.store.unfinished_elsewhere(storage).await? {
            tracing::warn!(
                recording = %row.id, storage = %row.storage_id,
                "the files of an unfinished recording are in another storage: if that is gone, delete the recording"
            );
        }
        Ok(())
    }

    /// Whether the call has an owner task, or gets one once it can be taken over.
    async fn is_call_running(&self, call: CallId) -> Result<bool, StoreError> {
        let stored = self.shared.store.call(call).await?;
        Ok(stored.is_some_and(|stored| stored.record.status.is_running()))
    }

    /// Repairs and settles a recording that no call continues.
    ///
    /// # Errors
    /// If the storage or the database does not work.
    pub(in crate::calls) async fn finish_abandoned(&self, row: &RecordingRow) -> Result<(), RepairError> {
        if self.shared.store.is_recording_settled(row.id).await? {
            return Ok(());
        }
        self.repair(row.id, row.started_at).await?;
        self.settle(row.id, RecordingStatus::Incomplete, RecordingEnd::ServerRestart, true).await?;
        Ok(())
    }

    /// As [`Calls::finish_abandoned`], for a recording that its call has stopped before it was continued. One of
    /// another storage is left to the server that has its files.
    ///
    /// # Errors
    /// As [`Calls::finish_abandoned`].
    pub(in crate::calls) async fn finish_unopened(&self, recording: RecordingId) -> Result<(), RepairError> {
        let unfinished = self.shared.store.unfinished_recordings(self.shared.studio.storage).await?;
        match unfinished.iter().find(|row| row.id == recording) {
            Some(row) => self.finish_abandoned(row).await,
            None => Ok(()),
        }
    }

    /// Finishes the files of a recording that a crash left open, and brings its rows in line with them.
    ///
    /// # Errors
    /// If the storage or the database does not work.
    pub(in crate::calls) async fn repair(
        &self,
        recording: RecordingId,
        started_at: DateTime<Utc>,
    ) -> Result<(), RepairError> {
        let studio = &self.shared.studio;
        let _alone = studio.repairs.lock().await;
        let files = studio.recorder.repair(recorder_id(recording), started_at.into()).await?;
        let (mut tracks, rows) = self.shared.store.reported(recording).await?;
        let mut strangers: BTreeSet<TrackId> = BTreeSet::new();
        for found in &files {
            if tracks.iter().any(|track| track.id.0 == found.file.track.0) {
                continue;
            }
            match unreported_track(recording, found) {
                Some(track) => tracks.push(track),
                None => drop(strangers.insert(found.file.track)),
            }
        }
        let kept: Vec<FileReport> = files
            .into_iter()
            .map(|found| found.file)
            .filter(|file| !strangers.contains(&file.track))
            .collect();
        for track in strangers {
            tracing::warn!(%recording, track = %track.0, "a file that does not say whose it is is removed");
            studio.recorder.delete_track(recorder_id(recording), track).await?;
        }
        for track in &mut tracks {
            track.duration_ms = track.duration_ms.max(duration_of(track, &kept));
        }
        let id_of = |key: &str| {
            let known = rows.iter().find(|row| row.key == key);
            known.map_or_else(FileId::random, |row| row.id)
        };
        let kept: Vec<FileRow> =
            kept.into_iter().map(|file| file_row(recording, id_of(&file.key), file)).collect();
        let gone: Vec<FileId> =
            rows.iter().filter(|row| kept.iter().all(|file| file.key != row.key)).map(|row| row.id).collect();
        tracks.iter_mut().for_each(|track| track.bytes = bytes_of(track, &kept));
        self.shared.store.forget_files(&gone).await?;
        self.shared.store.write_reports(recording, &tracks, &kept, now()).await?;
        Ok(())
    }

    /// Removes the folders of recordings that were never stored: the server crashed while they started. A database
    /// that knows no recording of this folder is not asked: it may be another one than before.
    ///
    /// # Errors
    /// As [`Calls::tidy_recordings`].
    async fn remove_strangers(&self) -> Result<(), RepairError> {
        let studio = &self.shared.studio;
        let stored = studio.recorder.stored().await?;
        let ids: Vec<RecordingId> = stored.iter().map(|id| RecordingId(id.0)).collect();
        let Some(known) = self.shared.store.known_recordings(studio.storage, &ids).await? else {
            return Ok(());
        };
        // Asked after the database: a recording that starts meanwhile is on the shelf first.
        let strangers = ids.iter().filter(|id| !known.contains(id) && studio.call_of(**id).is_none());
        let mut done = Ok(());
        for stranger in strangers {
            tracing::info!(recording = %stranger, "the files of a recording that never started are removed");
            done = done.and(studio.recorder.delete(recorder_id(*stranger)).await);
        }
        Ok(done?)
    }
}

/// Why a recording is not repaired yet.
#[derive(Debug, thiserror::Error)]
pub(in crate::calls) enum RepairError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recorder(#[from] RecorderError),
}

/// Repeats work until it is done: a database or a disk that is away comes back. Tells of the first failure.
pub(in crate::calls) async fn until_done<W>(what: &str, work: impl Fn() -> W)
where
    W: Future<Output = Result<(), RepairError>>,
{
    let mut pause = FIRST_PAUSE;
    while let Err(error) = work().await {
        if pause == FIRST_PAUSE {
            tracing::warn!(%error, "{what}: this fails, and is repeated until it is done");
        } else {
            tracing::debug!(%error, "{what}: this fails again");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The track of a file that nothing was stored of before the crash, as the file itself tells. `None` if it does not.
fn unreported_track(recording: RecordingId, found: &RepairedFile) -> Option<TrackRow> {
    let tag =
        |name: &str| found.tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (leg, user) = (tag("LEG_ID")?.parse().ok()?, tag("USER_ID")?.parse().ok()?);
    let producer = ProducerId(tag("PRODUCER_ID")?.parse().ok()?);
    let source = Source::ALL.into_iter().find(|source| Some(source.as_str()) == tag("SOURCE"))?;
    let FileReport { start_ms, duration_ms, .. } = found.file;
    let id = RecordingTrackId(found.file.track.0);
    let began = i64::try_from(start_ms).ok()?;
    let mut track = TrackRow::empty(id, recording, producer, (leg, user, source), began);
    track.codec = Some(found.codec.to_owned());
    track.spans.0.spans = vec![Span { from_ms: start_ms, to_ms: start_ms.saturating_add(duration_ms) }];
    Some(track)
}

/// From the beginning of the track to the end of its last file, in ms. Its last report may be from seconds before.
fn duration_of(track: &TrackRow, files: &[FileReport]) -> i64 {
    let files = files.iter().filter(|file| file.track.0 == track.id.0);
    let ends =
        files.map(|file| i64::try_from(file.start_ms.saturating_add(file.duration_ms)).unwrap_or(i64::MAX));
    ends.max().map_or(0, |end| end.saturating_sub(track.start_ms))
}

fn bytes_of(track: &TrackRow, files: &[FileRow]) -> i64 {
    files.iter().filter(|file| file.track_id == Some(track.id)).map(|file| file.bytes).sum()
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
