//! The captions of recordings.

use chrono::{DateTime, Utc};

use super::{
    super::{Store, StoreError, on, tx},
    read::StoredFile,
};
use crate::ids::RecordingId;

impl Store {
    /// The captions of a recording in a language.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn captions(
        &self,
        recording: RecordingId,
        language: &str,
    ) -> Result<Option<StoredFile>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recording_files WHERE recording_id = $1 AND kind = 'captions' AND language = $2",
        )
        .bind(recording)
        .bind(language)
        .fetch_optional(connection)
        .await)
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_captions(&self, recording: RecordingId) -> Result<i64, StoreError> {
        on!(&self.db, |connection| sqlx::query_scalar(
            "SELECT count(*) FROM recording_files WHERE recording_id = $1 AND kind = 'captions'",
        )
        .bind(recording)
        .fetch_one(connection)
        .await)
    }

    /// Stores the row of captions whose file is written; it replaces the row of earlier ones. Returns whether the
    /// recording still takes them: not when it is deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn put_captions(&self, file: &StoredFile, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            let touched = sqlx::query(TOUCH).bind(file.row.recording_id).bind(now).execute(&mut *tx).await?;
            if touched.rows_affected() == 0 {
                return Ok(false);
            }
            sqlx::query(UPSERT)
                .bind(file.row.id)
                .bind(file.row.recording_id)
                .bind(file.row.kind)
                .bind(&file.row.content_type)
                .bind(file.row.place)
                .bind(&file.row.key)
                .bind(file.row.bytes)
                .bind(&file.row.sha256)
                .bind(&file.language)
                .execute(&mut *tx)
                .await?;
            true
        }))
    }
}

/// Locks the recording's row as well, so that no deletion is decided meanwhile.
const TOUCH: &str = "
    UPDATE recordings SET updated_at = $2, version = version + 1
    WHERE id = $1 AND deleted_at IS NULL AND status <> 'deleted'";
const UPSERT: &str = "
    INSERT INTO recording_files
        (id, recording_id, kind, part, content_type, place, key, bytes, start_ms, sha256, language)
    VALUES ($1, $2, $3, 0, $4, $5, $6, $7, 0, $8, $9)
    ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256";
