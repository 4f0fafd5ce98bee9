//! What people read of recordings.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder, types::Json};

use super::super::{Page, PageRequest, Role, Store, StoreError, TimeCursor, on};
use crate::{
    call::{Admission, FileRow, Moderation, RecordingRow, RecordingStatus, TrackRow},
    ids::{CallId, FileId, GroupId, RecordingId, UserId},
};

/// A recording, and whether its deletion was decided.
#[derive(Clone, Debug, FromRow)]
pub struct StoredRecording {
    #[sqlx(flatten)]
    pub row: RecordingRow,
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A track with the name of its sender.
#[derive(Clone, Debug, FromRow)]
pub struct StoredTrack {
    #[sqlx(flatten)]
    pub row: TrackRow,
    pub name: Option<String>,
    pub deleted_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, FromRow)]
pub struct StoredFile {
    #[sqlx(flatten)]
    pub row: FileRow,
    /// Of captions.
    pub language: Option<String>,
}

/// Which recordings are wanted.
#[derive(Clone, Copy, Debug)]
pub struct RecordingFilter {
    pub of: RecordingsOf,
    /// `None`: all that are not deleted.
    pub status: Option<RecordingStatus>,
    pub seen_by: Sight,
}

#[derive(Clone, Copy, Debug)]
pub enum RecordingsOf {
    Call(CallId),
    Group(GroupId),
}

/// Whose recordings somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    All,
    /// Those of calls that this user was in.
    WasIn(UserId),
    /// Those of calls that this user started, unless they were removed from the call.
    Started(UserId),
}

/// What a user has to do with a call and its group.
#[derive(Clone, Debug)]
pub struct Involvement {
    /// `None` for a user who is not a member.
    pub role: Option<Role>,
    /// Whether they started the call, and nobody removed them from it.
    pub initiator: bool,
    /// Whether they ever had a leg in the call.
    pub was_there: bool,
    pub sessions_revoked_at: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct InvolvementRow {
    sessions_revoked_at: Option<DateTime<Utc>>,
    role: Option<Role>,
    initiated_by_id: Option<UserId>,
    moderation: Option<Json<Moderation>>,
    was_there: bool,
}

impl StoredRecording {
    /// Whether its files are deleted, or about to be.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.deleted_at.is_some() || self.row.status == RecordingStatus::Deleted
    }
}

impl Store {
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recording(&self, id: RecordingId) -> Result<Option<StoredRecording>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as("SELECT * FROM recordings WHERE id = $1")
            .bind(id)
            .fetch_optional(connection)
            .await)
    }

    /// Recordings, newest first. A page may have fewer than `limit` items although another follows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recordings(
        &self,
        filter: RecordingFilter,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<StoredRecording>, StoreError> {
        let rows: Vec<StoredRecording> = on!(&self.db, |connection| {
            let mut query = QueryBuilder::new("SELECT * FROM recordings WHERE ");
            match filter.of {
                RecordingsOf::Call(call) => query.push("call_id = ").push_bind(call),
                RecordingsOf::Group(group) => query.push("group_id = ").push_bind(group),
            };
            match filter.status {
                None => query.push(" AND status <> 'deleted' AND deleted_at IS NULL"),
                Some(RecordingStatus::Deleted) => {
                    query.push(" AND (status = 'deleted' OR deleted_at IS NOT NULL)")
                }
                Some(status) => query.push(" AND deleted_at IS NULL AND status = ").push_bind(status),
            };
            match filter.seen_by {
                Sight::All => {}
                Sight::WasIn(user) => {
                    query.push(" AND call_id IN (SELECT call_id FROM call_legs WHERE user_id = ");
                    query.push_bind(user).push(")");
                }
                Sight::Started(user) => {
                    query.push(" AND call_id IN (SELECT id FROM calls WHERE initiated_by_id = ");
                    query.push_bind(user).push(")");
                }
            }
            if let Some(after) = request.after {
                query.push(" AND (created_at, id) < (").push_bind(after.at);
                query.push(", ").push_bind(after.id).push(")");
            }
            query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(request.limit_and_one());
            query.build_query_as().fetch_all(connection).await
        })?;
        let position =
            |stored: &StoredRecording| TimeCursor { at: stored.row.created_at, id: stored.row.id.0 };
        let mut page = request.page(rows, position);
        if let Sight::Started(user) = filter.seen_by {
            page.items = self.without_removed(page.items, user).await?;
        }
        Ok(page)
    }

    /// Leaves out the recordings of calls from which the user was removed.
    async fn without_removed(
        &self,
        recordings: Vec<StoredRecording>,
        user: UserId,
    ) -> Result<Vec<StoredRecording>, StoreError> {
        let mut kept = Vec::with_capacity(recordings.len());
        for stored in recordings {
            let involvement = self.involvement(stored.row.group_id, stored.row.call_id, user).await?;
            if involvement.is_some_and(|involvement| involvement.initiator) {
                kept.push(stored);
            }
        }
        Ok(kept)
    }

    /// The tracks of a recording, in the order in which they began.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recording_tracks(&self, recording: RecordingId) -> Result<Vec<StoredTrack>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT t.*, users.name FROM recording_tracks t LEFT JOIN users ON users.id = t.user_id
             WHERE t.recording_id = $1 ORDER BY t.start_ms, t.id",
        )
        .bind(recording)
        .fetch_all(connection)
        .await)
    }

    /// The files of a recording, in the order in which they began.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recording_files(&self, recording: RecordingId) -> Result<Vec<StoredFile>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT * FROM recording_files WHERE recording_id = $1 ORDER BY start_ms, part, key",
        )
        .bind(recording)
        .fetch_all(connection)
        .await)
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn recording_file(&self, file: FileId) -> Result<Option<StoredFile>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as("SELECT * FROM recording_files WHERE id = $1")
            .bind(file)
            .fetch_optional(connection)
            .await)
    }

    /// What a user has to do with a call and its group; `None` for an unknown user. The call may be deleted.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn involvement(
        &self,
        group: GroupId,
        call: CallId,
        user: UserId,
    ) -> Result<Option<Involvement>, StoreError> {
        let row: Option<InvolvementRow> = on!(&self.db, |connection| sqlx::query_as(
            "SELECT users.sessions_revoked_at, m.role, c.initiated_by_id, c.moderation,
                 EXISTS (SELECT 1 FROM call_legs l WHERE l.call_id = $2 AND l.user_id = $3) AS was_there
             FROM users
                 LEFT JOIN group_members m ON m.group_id = $1 AND m.user_id = users.id
                 LEFT JOIN calls c ON c.id = $2
             WHERE users.id = $3",
        )
        .bind(group)
        .bind(call)
        .bind(user)
        .fetch_optional(connection)
        .await)?;
        Ok(row.map(|row| row.of(user)))
    }
}

impl InvolvementRow {
    fn of(self, user: UserId) -> Involvement {
        let admission = self.moderation.map(|moderation| moderation.0.standing(user).admission);
        Involvement {
            role: self.role,
            initiator: self.initiated_by_id == Some(user) && admission != Some(Admission::Removed),
            was_there: self.was_there,
            sessions_revoked_at: self.sessions_revoked_at,
        }
    }
}
