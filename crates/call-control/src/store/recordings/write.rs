//! What the recorder reports, and how a recording ends.

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{
    super::{Store, StoreError, on, on_writer, tx},
    read::StoredRecording,
};
use crate::{
    call::{FileRow, RecordingEnd, RecordingRow, RecordingStatus, TrackRow},
    ids::{CallId, FileId, GroupId, RecordingId, StorageId},
};

/// How a recording that has been stopped ends up.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    pub recording: RecordingId,
    pub status: RecordingStatus,
    /// Why it ended, if its call did not say so.
    pub end: RecordingEnd,
    pub delete_after: Option<DateTime<Utc>>,
    /// A recording whose call is gone was never stopped by it.
    pub call_is_gone: bool,
}

impl Store {
    /// Writes what the recorder reported of one recording, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::MissingReference`] if the recording is not stored yet; [`StoreError::Unavailable`],
    /// [`StoreError::InDoubt`].
    pub async fn write_reports(
        &self,
        recording: RecordingId,
        tracks: &[TrackRow],
        files: &[FileRow],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            for track in tracks {
                sqlx::query(UPSERT_TRACK)
                    .bind(track.id)
                    .bind(track.recording_id)
                    .bind(track.producer_id)
                    .bind(track.leg_id)
                    .bind(track.user_id)
                    .bind(track.source)
                    .bind(&track.codec)
                    .bind(track.start_ms)
                    .bind(track.duration_ms)
                    .bind(track.bytes)
                    .bind(track.packets_lost)
                    .bind(track.concealed_ms)
                    .bind(track.held_ms)
                    .bind(track.width)
                    .bind(track.height)
                    .bind(&track.spans)
                    .bind(track.note)
                    .execute(&mut *tx)
                    .await?;
            }
            for file in files {
                sqlx::query(UPSERT_FILE)
                    .bind(file.id)
                    .bind(file.recording_id)
                    .bind(file.track_id)
                    .bind(file.kind)
                    .bind(file.part)
                    .bind(&file.content_type)
                    .bind(file.place)
                    .bind(&file.key)
                    .bind(file.bytes)
                    .bind(file.start_ms)
                    .bind(&file.sha256)
                    .execute(&mut *tx)
                    .await?;
            }
            sqlx::query(COUNT_BYTES).bind(recording).bind(now).execute(&mut *tx).await?;
        });
        Ok(())
    }

    /// Says how a stopped recording ended up. Returns its row if this changed it: not before the call's own change,
    /// that it was stopped, is stored, and not a second time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn settle_recording(
        &self,
        settlement: Settlement,
        now: DateTime<Utc>,
    ) -> Result<Option<StoredRecording>, StoreError> {
        let Settlement { recording, status, end, delete_after, call_is_gone } = settlement;
        let settle = if call_is_gone { SETTLE_ABANDONED } else { SETTLE };
        on_writer!(&self.db, |connection| sqlx::query_as(settle)
            .bind(recording)
            .bind(status)
            .bind(end)
            .bind(delete_after)
            .bind(now)
            .fetch_optional(connection)
            .await)
    }

    /// When the recording began, and whether nothing of it was missing when its files were last finished: not while they
    /// are written, as a crash may lose something.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn beginning(&self, recording: RecordingId) -> Result<(DateTime<Utc>, bool), StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT started_at, is_whole FROM recordings WHERE id = $1"
        )
        .bind(recording)
        .fetch_one(connection)
        .await)
    }

    /// Whether nothing of the recording is missing, as [`Store::beginning`] tells it from now on. Of one that was stopped
    /// nothing more can be lost: it is as whole as it was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn note_whole(&self, recording: RecordingId, is_whole: bool) -> Result<(), StoreError> {
        on_writer!(&self.db, |connection| sqlx::query(
            "UPDATE recordings SET is_whole = $2 WHERE id = $1 AND ($2 OR status IN ('recording', 'paused'))"
        )
        .bind(recording)
        .bind(is_whole)
        .execute(connection)
        .await
        .map(drop))
    }

    /// The recordings of this storage whose files are not finished.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unfinished_recordings(&self, storage: StorageId) -> Result<Vec<RecordingRow>, StoreError> {
        on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT * FROM recordings WHERE storage_id = $1 AND status IN ('recording', 'paused', 'finishing')
             ORDER BY created_at, id",
        )
        .bind(storage)
        .fetch_all(connection)
        .await
        })
    }

    /// Recordings of other storages whose files are not finished, the oldest 20.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unfinished_elsewhere(&self, storage: StorageId) -> Result<Vec<RecordingRow>, StoreError> {
        on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT * FROM recordings WHERE storage_id <> $1 AND status IN ('recording', 'paused', 'finishing')
                 AND deleted_at IS NULL
             ORDER BY created_at, id LIMIT 20",
        )
        .bind(storage)
        .fetch_all(connection)
        .await
        })
    }

    /// The tracks and files of a recording, as the recorder reported them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reported(
        &self,
        recording: RecordingId,
    ) -> Result<(Vec<TrackRow>, Vec<FileRow>), StoreError> {
        let tracks = on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recording_tracks WHERE recording_id = $1"
        )
        .bind(recording)
        .fetch_all(connection)
        .await)?;
        let files = on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recording_files WHERE recording_id = $1 AND kind = 'track'"
        )
        .bind(recording)
        .fetch_all(connection)
        .await)?;
        Ok((tracks, files))
    }

    /// Whether nothing is left to say about how a recording ended up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_recording_settled(&self, recording: RecordingId) -> Result<bool, StoreError> {
        let status: Option<(RecordingStatus,)> =
            on!(&self.db, |connection| sqlx::query_as("SELECT status FROM recordings WHERE id = $1")
                .bind(recording)
                .fetch_optional(connection)
                .await)?;
        Ok(match status {
            // Its call has yet to store it.
            None => false,
            Some((status,)) => !status.is_running() && status != RecordingStatus::Finishing,
        })
    }

    /// Forgets files that are not there any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_files(&self, files: &[FileId]) -> Result<(), StoreError> {
        for file in files {
            on_writer!(&self.db, |connection| sqlx::query("DELETE FROM recording_files WHERE id = $1")
                .bind(*file)
                .execute(connection)
                .await
                .map(drop))?;
        }
        Ok(())
    }

    /// The call and the group of a recording.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn call_of_recording(
        &self,
        recording: RecordingId,
    ) -> Result<Option<(CallId, GroupId)>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as("SELECT call_id, group_id FROM recordings WHERE id = $1")
            .bind(recording)
            .fetch_optional(connection)
            .await)
    }

    /// Which of these recordings are stored and not deleted; `None` if this storage has no recording in the database at all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn known_recordings(
        &self,
        storage: StorageId,
        recordings: &[RecordingId],
    ) -> Result<Option<Vec<RecordingId>>, StoreError> {
        let any: Option<(RecordingId,)> = on!(&self.db, |connection| sqlx::query_as(
            "SELECT id FROM recordings WHERE storage_id = $1 LIMIT 1"
        )
        .bind(storage)
        .fetch_optional(connection)
        .await)?;
        if any.is_none() {
            return Ok(None);
        }
        let mut known = Vec::new();
        for chunk in recordings.chunks(RECORDINGS_PER_STATEMENT) {
            let found: Vec<(RecordingId,)> = on!(&self.db, |connection| {
                let mut query = QueryBuilder::new("SELECT id FROM recordings WHERE id IN (");
                let mut ids = query.separated(", ");
                for recording in chunk {
                    ids.push_bind(*recording);
                }
                query.push(") AND status <> 'deleted'");
                query.build_query_as().fetch_all(connection).await
            })?;
            known.extend(found.into_iter().map(|(id,)| id));
        }
        Ok(Some(known))
    }
}

/// Writes the row of a recording as its call sees it, in an open transaction.
macro_rules! upsert_recording {
    ($tx:ident, $row:expr) => {{
        let row: &$crate::call::RecordingRow = $row;
        sqlx::query($crate::store::recordings::UPSERT_RECORDING)
            .bind(row.id)
            .bind(row.storage_id)
            .bind(row.call_id)
            .bind(row.group_id)
            .bind(row.status)
            .bind(row.started_by_id)
            .bind(row.started_at)
            .bind(row.ended_at)
            .bind(row.end_reason)
            .bind(row.mode)
            .bind(row.consent)
            .bind(row.bytes)
            .bind(row.delete_after)
            .bind(row.link_epoch)
            .bind(row.created_at)
            .bind(row.updated_at)
            .bind(row.version)
            .execute(&mut *$tx)
            .await?
    }};
}

pub(in crate::store) use upsert_recording;

/// The call decides only about a recording that it has not stopped yet.
pub(in crate::store) const UPSERT_RECORDING: &str = "
    INSERT INTO recordings (id, storage_id, call_id, group_id, status, started_by_id, started_at, ended_at, end_reason,
        mode, consent, bytes, delete_after, link_epoch, created_at, updated_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended_at = excluded.ended_at,
        end_reason = excluded.end_reason, updated_at = excluded.updated_at, version = recordings.version + 1
    WHERE recordings.status IN ('recording', 'paused')";
const UPSERT_TRACK: &str = "
    INSERT INTO recording_tracks (id, recording_id, producer_id, leg_id, user_id, source, codec, start_ms, duration_ms,
        bytes, packets_lost, concealed_ms, held_ms, width, height, spans, note)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
    ON CONFLICT (id) DO UPDATE SET codec = excluded.codec, start_ms = excluded.start_ms,
        duration_ms = excluded.duration_ms, bytes = excluded.bytes, packets_lost = excluded.packets_lost,
        concealed_ms = excluded.concealed_ms, held_ms = excluded.held_ms, width = excluded.width,
        height = excluded.height, spans = excluded.spans, note = excluded.note";
/// The first id of a file stays: links name it.
const UPSERT_FILE: &str = "
    INSERT INTO recording_files
        (id, recording_id, track_id, kind, part, content_type, place, key, bytes, start_ms, sha256)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, start_ms = excluded.start_ms, sha256 = excluded.sha256";
const COUNT_BYTES: &str = "
    UPDATE recordings SET updated_at = $2, version = version + 1,
        bytes = (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM recording_files WHERE recording_id = $1)
    WHERE id = $1";
const SETTLE: &str = "
    UPDATE recordings SET status = $2, end_reason = COALESCE(end_reason, $3), delete_after = $4, updated_at = $5,
        ended_at = COALESCE(ended_at, $5), version = version + 1
    WHERE id = $1 AND status = 'finishing' RETURNING *";
const SETTLE_ABANDONED: &str = "
    UPDATE recordings SET status = $2, end_reason = COALESCE(end_reason, $3), delete_after = $4, updated_at = $5,
        ended_at = COALESCE(ended_at, $5), version = version + 1
    WHERE id = $1 AND status IN ('recording', 'paused', 'finishing') RETURNING *";
/// Well below the maximum number of parameters of both databases.
const RECORDINGS_PER_STATEMENT: usize = 500;
