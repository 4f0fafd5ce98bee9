//! Recordings that an earlier run of the server left unfinished.

use std::collections::BTreeSet;

use switchyard_media_worker::media::ProducerId;
use switchyard_recorder::{FileReport, RepairedFile, TrackId};

use super::{shelf::file_row, studio::recorder_id};
use crate::{
    call::{FileRow, RecordingEnd, RecordingRow, RecordingStatus, Source, Span, TrackRow},
    calls::Calls,
    clock::now,
    error::Refusal,
    ids::{FileId, RecordingId, RecordingTrackId},
    store::StoreError,
};

impl Calls {
    /// Finishes the recordings whose calls are over, and removes files that belong to no recording. Those of running
    /// calls are continued by their owner tasks.
    pub(in crate::calls) async fn tidy_recordings(&self) -> Result<(), StoreError> {
        let unfinished = self.shared.store.unfinished_recordings(self.shared.studio.storage).await?;
        for row in unfinished {
            let is_live = row.status.is_running() && self.shared.live.get(row.call_id).is_some();
            if !is_live && self.shared.studio.call_of(row.id).is_none() {
                self.finish_abandoned(&row).await;
            }
        }
        self.remove_strangers().await
    }

    /// Repairs and settles a recording that no call continues.
    pub(in crate::calls) async fn finish_abandoned(&self, row: &RecordingRow) {
        let id = row.id;
        let status = match self.repair(id).await {
            Ok(()) => RecordingStatus::Incomplete,
            Err(error) => {
                tracing::warn!(recording = %id, %error, "a recording cannot be repaired yet");
                return;
            }
        };
        if let Err(error) = self.settle(id, status, RecordingEnd::ServerRestart, true).await {
            tracing::warn!(recording = %id, %error, "a repaired recording cannot be noted yet");
        }
    }

    /// As [`Calls::finish_abandoned`], for a recording that its call has stopped before it was continued. One of
    /// another storage is left to the server that has its files.
    pub(in crate::calls) async fn finish_unopened(&self, recording: RecordingId) {
        match self.shared.store.unfinished_recordings(self.shared.studio.storage).await {
            Ok(unfinished) => {
                if let Some(row) = unfinished.iter().find(|row| row.id == recording) {
                    self.finish_abandoned(row).await;
                }
            }
            Err(error) => tracing::warn!(%recording, %error, "its files are repaired at the next start"),
        }
    }

    /// Finishes the files of a recording that a crash left open, and brings its rows in line with them.
    ///
    /// # Errors
    /// `unavailable` if the storage or the database does not work.
    pub(in crate::calls) async fn repair(&self, recording: RecordingId) -> Result<(), Refusal> {
        let studio = &self.shared.studio;
        let _alone = studio.repairs.lock().await;
        let files = studio.recorder.repair(recorder_id(recording)).await?;
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
    async fn remove_strangers(&self) -> Result<(), StoreError> {
        let studio = &self.shared.studio;
        let stored = match studio.recorder.stored().await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "the recordings folder cannot be read");
                return Ok(());
            }
        };
        let ids: Vec<RecordingId> = stored.iter().map(|id| RecordingId(id.0)).collect();
        let Some(known) = self.shared.store.known_recordings(studio.storage, &ids).await? else {
            return Ok(());
        };
        // Asked after the database: a recording that starts meanwhile is on the shelf first.
        let strangers = ids.iter().filter(|id| !known.contains(id) && studio.call_of(**id).is_none());
        for stranger in strangers {
            tracing::warn!(recording = %stranger, "the files of a recording that never started are removed");
            if let Err(error) = studio.recorder.delete(recorder_id(*stranger)).await {
                tracing::warn!(recording = %stranger, %error, "they cannot be removed");
            }
        }
        Ok(())
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
