//! How recordings are deleted: first the decision is stored, then the files are removed, then the rows say so. What
//! a crash interrupts is found by its decision and repeated.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::types::Json;

use super::{
    super::{Store, StoreError, audit::log, on, tx},
    read::StoredRecording,
};
use crate::{
    actor::Actor,
    audit::{Action, AuditEntry},
    call::{RecordingRow, Source, TrackTimes},
    ids::{RecordingId, RecordingTrackId, StorageId},
};

impl Store {
    /// Decides that a recording is deleted, and revokes its links. Returns whether that is new: not for one that is
    /// deleted, or not finished. For the service and server admins it is enough that it was stopped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn decide_deletion(
        &self,
        recording: &RecordingRow,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            let decide = if by.is_admin() { DECIDE_STOPPED } else { DECIDE };
            let decided = sqlx::query(decide).bind(recording.id).bind(now).execute(&mut *tx).await?;
            let is_new = decided.rows_affected() > 0;
            if is_new {
                log!(tx, deletion(recording, by, now).with(json!({ "recordingId": recording.id })));
            }
            is_new
        }))
    }

    /// As [`Store::decide_deletion`], for one track of a finished recording. What the row tells of it goes at once, and
    /// with `voices` the rows of all captions.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn decide_track_deletion(
        &self,
        recording: &RecordingRow,
        track: RecordingTrackId,
        voices: bool,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            let revoked = sqlx::query(REVOKE).bind(recording.id).bind(now).execute(&mut *tx).await?;
            if revoked.rows_affected() == 0 {
                return Ok(false);
            }
            let decided = sqlx::query(DECIDE_TRACK).bind(track).bind(recording.id).bind(now);
            let decided = decided.bind(Json(TrackTimes::default()));
            let is_new = decided.execute(&mut *tx).await?.rows_affected() > 0;
            if is_new && voices {
                sqlx::query(FORGET_CAPTIONS).bind(recording.id).execute(&mut *tx).await?;
            }
            if is_new {
                let details = json!({ "recordingId": recording.id, "trackId": track });
                log!(tx, deletion(recording, by, now).with(details));
            }
            is_new
        }))
    }

    /// Finished recordings that have been kept for as long as they should, also of other storages: whether their files
    /// are there or not, nobody sees them any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recordings_past_their_time(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredRecording>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recordings WHERE delete_after <= $1 AND deleted_at IS NULL
                 AND status IN ('ready', 'incomplete', 'failed')
             ORDER BY delete_after, id LIMIT 100",
        )
        .bind(now)
        .fetch_all(connection)
        .await)
    }

    /// Finished recordings of this storage whose deletion was decided, and is not done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recordings_to_remove(&self, storage: StorageId) -> Result<Vec<StoredRecording>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recordings WHERE storage_id = $1 AND deleted_at IS NOT NULL
                 AND status IN ('ready', 'incomplete', 'failed')
             ORDER BY deleted_at, id LIMIT 100",
        )
        .bind(storage)
        .fetch_all(connection)
        .await)
    }

    /// Tracks of this storage whose deletion was decided, and is not done.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn tracks_to_remove(
        &self,
        storage: StorageId,
    ) -> Result<Vec<(RecordingId, RecordingTrackId, Source)>, StoreError> {
        on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT t.recording_id, t.id, t.source FROM recording_tracks t JOIN recordings r ON r.id = t.recording_id
             WHERE t.deleted_at IS NOT NULL AND t.producer_id IS NOT NULL AND r.storage_id = $1
             ORDER BY t.deleted_at, t.id LIMIT 100",
        )
        .bind(storage)
        .fetch_all(connection)
        .await
        })
    }

    /// The files of the recording are removed: it has no tracks and files any more. Returns whether that is new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn recording_removed(
        &self,
        recording: RecordingId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            sqlx::query("DELETE FROM recording_files WHERE recording_id = $1")
                .bind(recording)
                .execute(&mut *tx)
                .await?;
            sqlx::query("DELETE FROM recording_tracks WHERE recording_id = $1")
                .bind(recording)
                .execute(&mut *tx)
                .await?;
            let removed = sqlx::query(REMOVED).bind(recording).bind(now).execute(&mut *tx).await?;
            removed.rows_affected() > 0
        }))
    }

    /// The files of the track are removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn track_removed(
        &self,
        recording: RecordingId,
        track: RecordingTrackId,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            sqlx::query("DELETE FROM recording_files WHERE recording_id = $1 AND track_id = $2")
                .bind(recording)
                .bind(track)
                .execute(&mut *tx)
                .await?;
            sqlx::query(TRACK_REMOVED).bind(track).execute(&mut *tx).await?;
            sqlx::query(RECOUNT).bind(recording).bind(now).execute(&mut *tx).await?;
        });
        Ok(())
    }
}

fn deletion(recording: &RecordingRow, by: &Actor, now: DateTime<Utc>) -> AuditEntry {
    AuditEntry::new(Action::RecordingDeleted, by, now).on_group(recording.group_id).on_call(recording.call_id)
}

const DECIDE: &str = "
    UPDATE recordings SET deleted_at = $2, link_epoch = link_epoch + 1, updated_at = $2, version = version + 1
    WHERE id = $1 AND deleted_at IS NULL AND status IN ('ready', 'incomplete', 'failed')";
/// Of a storage that is gone, nobody finishes what was stopped. Elsewhere it is removed once it is finished.
const DECIDE_STOPPED: &str = "
    UPDATE recordings SET deleted_at = $2, link_epoch = link_epoch + 1, updated_at = $2, version = version + 1
    WHERE id = $1 AND deleted_at IS NULL AND status IN ('finishing', 'ready', 'incomplete', 'failed')";
/// In the transaction that deletes a group. Recordings that are not finished are removed once they are.
pub(in crate::store) const DECIDE_FOR_GROUP: &str = "
    UPDATE recordings SET deleted_at = $2, link_epoch = link_epoch + 1, updated_at = $2, version = version + 1
    WHERE group_id = $1 AND deleted_at IS NULL AND status <> 'deleted'";
const REVOKE: &str = "
    UPDATE recordings SET link_epoch = link_epoch + 1, updated_at = $2, version = version + 1
    WHERE id = $1 AND deleted_at IS NULL AND status IN ('ready', 'incomplete', 'failed')";
const DECIDE_TRACK: &str = "
    UPDATE recording_tracks SET deleted_at = $3, codec = NULL, start_ms = 0, duration_ms = 0, bytes = 0,
        packets_lost = 0, concealed_ms = 0, held_ms = 0, width = NULL, height = NULL, spans = $4, note = NULL
    WHERE id = $1 AND recording_id = $2 AND deleted_at IS NULL";
const FORGET_CAPTIONS: &str = "DELETE FROM recording_files WHERE recording_id = $1 AND kind = 'captions'";
/// A removed track has no producer any more.
const TRACK_REMOVED: &str = "UPDATE recording_tracks SET producer_id = NULL WHERE id = $1";
const REMOVED: &str = "
    UPDATE recordings SET status = 'deleted', bytes = 0, delete_after = NULL, updated_at = $2, version = version + 1
    WHERE id = $1 AND status IN ('ready', 'incomplete', 'failed')";
const RECOUNT: &str = "
    UPDATE recordings SET updated_at = $2, version = version + 1,
        bytes = (SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM recording_files WHERE recording_id = $1)
    WHERE id = $1";
