//! Recordings whose files an earlier run of the server, or a disk that failed, left unfinished.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, stream};
use switchyard_media_worker::media::ProducerId;
use switchyard_recorder::{FileReport, RecorderError, RepairedFile, TrackId};
use tokio::{
    sync::OwnedMutexGuard,
    time::{sleep, timeout},
};

use super::{
    shelf::{file_row, whole},
    studio::recorder_id,
};
use crate::{
    call::{FileRow, RecordingEnd, RecordingRow, RecordingStatus, Source, Span, TrackNote, TrackRow},
    calls::Calls,
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{CallId, FileId, RecordingId, RecordingTrackId},
    store::StoreError,
};

/// What there is of a recording. Its rows say the same.
#[derive(Debug)]
pub(in crate::calls) struct Repaired {
    /// With the hashes that are known.
    pub(in crate::calls) files: Vec<RepairedFile>,
    /// The rows of the others.
    unhashed: Vec<FileRow>,
    pub(in crate::calls) is_whole: bool,
    /// There were finished files, and now there is none.
    is_lost: bool,
}

impl Calls {
    /// Finishes the recordings whose calls are over, and removes files that belong to no recording. Those of running
    /// calls are continued by their owner tasks. What fails does not keep the rest from being done.
    ///
    /// # Errors
    /// The first failure: it has to be repeated.
    pub(in crate::calls) async fn tidy_recordings(&self) -> Result<(), RepairError> {
        let unfinished = self.shared.store.unfinished_recordings(self.shared.studio.storage).await?;
        let mut abandoned = Vec::new();
        for row in unfinished {
            let is_live = row.status.is_running() && self.is_call_running(row.call_id).await?;
            if !is_live && self.shared.studio.call_of(row.id).is_none() {
                abandoned.push(row);
            }
        }
        let finish = async |row: RecordingRow| self.finish_abandoned(&row).await;
        let finished: Vec<_> =
            stream::iter(abandoned).map(finish).buffer_unordered(FINISHED_AT_ONCE).collect().await;
        let done: Result<(), RepairError> = finished.into_iter().collect();
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
        let _alone = self.shared.studio.alone(row.id).await;
        if self.shared.store.is_recording_settled(row.id).await? {
            return Ok(());
        }
        let end = row.end_reason.unwrap_or(RecordingEnd::ServerRestart);
        self.finish_by_files(row.id, end, true).await.map(drop)
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

    /// Settles a recording by what there is of it. Returns whether it is settled. Nobody else may work on its files.
    ///
    /// # Errors
    /// As [`Calls::repair`].
    pub(super) async fn finish_by_files(
        &self,
        recording: RecordingId,
        end: RecordingEnd,
        call_is_gone: bool,
    ) -> Result<bool, RepairError> {
        let repaired = self.repair(recording).await?;
        let failed = match end {
            RecordingEnd::DiskFull | RecordingEnd::StorageError => repaired.files.is_empty(),
            RecordingEnd::Stopped
            | RecordingEnd::CallEnded
            | RecordingEnd::ServerRestart
            | RecordingEnd::Limit => repaired.is_lost,
        };
        let status = match repaired.is_whole && end.leaves_it_whole() {
            _ if failed => RecordingStatus::Failed,
            true => RecordingStatus::Ready,
            false => RecordingStatus::Incomplete,
        };
        self.hash(recording, repaired.unhashed).await?;
        Ok(self.settle(recording, status, end, call_is_gone).await?)
    }

    /// Prepares a recording of an earlier run to be continued by `go_on`, and then hashes what has no hash: that may
    /// take as long as it is to read hours of files, and the call does not wait.
    pub(in crate::calls) async fn repair_and_go_on(
        &self,
        recording: RecordingId,
        go_on: impl AsyncFnOnce(Result<Repaired, Refusal>),
    ) {
        let prepare = until_done("the recording of a running call", || self.prepare(recording));
        let prepared = timeout(CONTINUED_WITHIN, prepare).await.map_err(|_| {
            Refusal::new(ErrorCode::Unavailable, "its files could not be repaired for a minute")
        });
        let (_alone, repaired) = match prepared {
            Ok((alone, repaired)) => (Some(alone), Ok(repaired)),
            Err(refusal) => (None, Err(refusal)),
        };
        let unhashed = repaired.as_ref().map(|repaired| repaired.unhashed.clone()).unwrap_or_default();
        go_on(repaired).await;
        until_done("the hashes of a recording", || self.hash(recording, unhashed.clone())).await;
    }

    /// Between two tries others may work on the files: the call may stop the recording meanwhile.
    async fn prepare(&self, recording: RecordingId) -> Result<(OwnedMutexGuard<()>, Repaired), RepairError> {
        let alone = self.shared.studio.alone(recording).await;
        let repaired = self.repair(recording).await?;
        // Before anything is written: a crash from now on may lose some of it.
        self.shared.store.note_whole(recording, false).await?;
        Ok((alone, repaired))
    }

    /// Finishes the files of a recording that a crash or a fault left open, and brings its rows in line with them. No file
    /// is read that was finished. Nobody else may work on the files: [`super::studio::Studio::alone`].
    ///
    /// # Errors
    /// If the storage or the database does not work, or the recorder has stopped.
    pub(super) async fn repair(&self, recording: RecordingId) -> Result<Repaired, RepairError> {
        let (studio, store) = (&self.shared.studio, &self.shared.store);
        let (began, was_whole) = store.beginning(recording).await?;
        let mut files = studio.recorder.repair(recorder_id(recording), began.into()).await?;
        let (mut tracks, rows) = store.reported(recording).await?;
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
        files.retain(|found| !strangers.contains(&found.file.track));
        for track in strangers {
            tracing::warn!(%recording, track = %track.0, "a file that does not say whose it is is removed");
            studio.recorder.delete_track(recorder_id(recording), track).await?;
        }
        let mut kept = Vec::with_capacity(files.len());
        for found in &mut files {
            let known = rows.iter().find(|row| row.key == found.file.key);
            found.file.sha256 = known.and_then(|row| hash_of(found, row));
            let id = known.map_or_else(FileId::random, |row| row.id);
            kept.push(file_row(recording, id, found.file.clone()));
        }
        for track in &mut tracks {
            let of_track = files.iter().filter(|found| found.file.track.0 == track.id.0);
            bring_in_line(track, &of_track.collect::<Vec<_>>());
        }
        let gone: Vec<&FileRow> =
            rows.iter().filter(|row| kept.iter().all(|file| file.key != row.key)).collect();
        store.forget_files(&gone.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
        store.write_reports(recording, &tracks, &kept, now()).await?;
        Ok(Repaired {
            is_whole: was_whole && gone.is_empty() && files.iter().all(|found| !found.was_open),
            is_lost: files.is_empty() && gone.iter().any(|row| row.sha256.is_some()),
            unhashed: kept.into_iter().filter(|row| row.sha256.is_none()).collect(),
            files,
        })
    }

    /// Hashes files, and notes each hash. What cannot be read stays without one.
    async fn hash(&self, recording: RecordingId, files: Vec<FileRow>) -> Result<(), RepairError> {
        for mut row in files {
            match self.shared.studio.recorder.hash(row.key.clone()).await {
                Ok(hash) => row.sha256 = hash,
                Err(error) => tracing::warn!(file = row.key, %error, "a recorded file cannot be read"),
            }
            self.shared.store.write_reports(recording, &[], &[row], now()).await?;
        }
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
pub(in crate::calls) async fn until_done<T, W>(what: &str, work: impl Fn() -> W) -> T
where
    W: Future<Output = Result<T, RepairError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match work().await {
            Ok(done) => return done,
            Err(error) => error,
        };
        if pause == FIRST_PAUSE {
            tracing::warn!(%error, "{what}: this fails, and is repeated until it is done");
        } else {
            tracing::debug!(%error, "{what}: this fails again");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The hash that the row has, if it is that of the file as it is now.
fn hash_of(found: &RepairedFile, row: &FileRow) -> Option<String> {
    let is_same = !found.was_open && u64::try_from(row.bytes) == Ok(found.file.bytes);
    row.sha256.clone().filter(|_| is_same)
}

/// The track of a file that nothing was stored of before the crash, as the file itself tells. `None` if it does not.
fn unreported_track(recording: RecordingId, found: &RepairedFile) -> Option<TrackRow> {
    let tag =
        |name: &str| found.tags.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (leg, user) = (tag("LEG_ID")?.parse().ok()?, tag("USER_ID")?.parse().ok()?);
    let producer = ProducerId(tag("PRODUCER_ID")?.parse().ok()?);
    let source = Source::ALL.into_iter().find(|source| Some(source.as_str()) == tag("SOURCE"))?;
    let id = RecordingTrackId(found.file.track.0);
    Some(TrackRow::empty(id, recording, producer, (leg, user, source), whole(found.file.start_ms)))
}

/// Lets a track say of its files, in the order of its parts, what they are. Its last report may be from seconds before the
/// crash, or from before its first sample.
fn bring_in_line(track: &mut TrackRow, files: &[&RepairedFile]) {
    track.bytes = whole(files.iter().map(|found| found.file.bytes).sum());
    let (Some(first), Some(last)) = (files.first(), files.last()) else {
        track.duration_ms = 0;
        return;
    };
    track.codec = Some(last.codec.to_owned());
    track.start_ms = whole(first.file.start_ms);
    track.duration_ms = whole(files.iter().map(|found| end_of(&found.file)).max().unwrap_or_default())
        .saturating_sub(track.start_ms);
    let reported = track.width.zip(track.height);
    let sizes = files.iter().filter_map(|found| found.size);
    let sizes = sizes.map(|(width, height)| (i64::from(width), i64::from(height))).chain(reported);
    (track.width, track.height) = sizes.max_by_key(|(width, height)| width.saturating_mul(*height)).unzip();
    files.iter().for_each(|found| cover(&mut track.spans.0.spans, &found.file));
    if files.iter().any(|found| found.was_open) {
        track.note = match track.note {
            // These tell of more that is missing.
            Some(TrackNote::Limit | TrackNote::ManyFiles | TrackNote::Dropped) => track.note,
            Some(
                TrackNote::Declined | TrackNote::NoKeyFrame | TrackNote::ClockSet | TrackNote::Interrupted,
            )
            | None => Some(TrackNote::Interrupted),
        };
    }
}

/// A track was on while a file of it was written.
fn cover(spans: &mut Vec<Span>, file: &FileReport) {
    let end_ms = end_of(file);
    match spans.last_mut().filter(|last| file.start_ms <= last.to_ms.saturating_add(BETWEEN_PARTS_MS)) {
        Some(last) => last.to_ms = last.to_ms.max(end_ms),
        None => spans.push(Span { from_ms: file.start_ms, to_ms: end_ms }),
    }
}

fn end_of(file: &FileReport) -> u64 {
    file.start_ms.saturating_add(file.duration_ms)
}

/// After a restart, a recording whose files cannot be repaired for this long is not continued.
const CONTINUED_WITHIN: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Recordings of one start: each may have hours of files to read.
const FINISHED_AT_ONCE: usize = 4;
/// A part that begins so soon after another belongs to the same span.
const BETWEEN_PARTS_MS: u64 = 1_000;
