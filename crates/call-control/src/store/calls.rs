use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{
    Page, PageRequest, Store, StoreError, TimeCursor,
    audit::log,
    groups::LOCK_GROUP,
    invitations::{INVITATIONS_PER_STATEMENT, upsert_invitations},
    on, on_writer,
    recordings::upsert_recording,
    tx,
};
use crate::{
    call::{CallRecord, CallStatus, CallType, CallView, Changes},
    ids::{CallId, GroupId, UserId},
};

/// A call's row with its participants.
#[derive(Clone, Debug)]
pub struct StoredCall {
    pub record: CallRecord,
    pub participants: Vec<UserId>,
}

/// Filter for the calls of a group.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFilter {
    pub status: Option<CallStatus>,
    pub call_type: Option<CallType>,
    /// A user who was in the call.
    pub member: Option<UserId>,
    /// Created at or after this time.
    pub from: Option<DateTime<Utc>>,
    /// Created before this time.
    pub to: Option<DateTime<Utc>>,
}

impl StoredCall {
    #[must_use]
    pub fn view(self, now: DateTime<Utc>) -> CallView {
        CallView::new(self.record, self.participants, now)
    }
}

impl Store {
    /// Writes the rows and events of one command in one transaction. Idempotent: a commit with an unknown
    /// outcome can be repeated.
    ///
    /// # Errors
    /// For a new call, [`StoreError::RunningCallExists`] or [`StoreError::MissingReference`];
    /// [`StoreError::Fenced`] if another owner has changed the call; [`StoreError::Unavailable`], or
    /// [`StoreError::InDoubt`].
    pub async fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let refused = match self.write(changes).await {
            Err(StoreError::Fenced) => StoreError::Fenced,
            // The other unique keys cannot collide: a random id, and an idempotency key reserved by this
            // create.
            Err(StoreError::Duplicate) if changes.follows == NO_VERSION => StoreError::RunningCallExists,
            done => return done,
        };
        let stored = on_writer!(&self.db, |connection| sqlx::query_as("SELECT * FROM calls WHERE id = $1")
            .bind(changes.call.id)
            .fetch_optional(connection)
            .await)?;
        if stored.is_some_and(|stored| is_the_same(&stored, &changes.call)) { Ok(()) } else { Err(refused) }
    }

    async fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            let call = &changes.call;
            let is_new = changes.follows == NO_VERSION;
            if is_new {
                sqlx::query(LOCK_GROUP).bind(call.group_id).bind(call.created_at).execute(&mut *tx).await?;
            }
            let mut upsert = sqlx::query(if is_new { INSERT_CALL } else { UPDATE_CALL })
                .bind(call.id)
                .bind(call.status)
                .bind(call.webrtc_room_id)
                .bind(call.started_at)
                .bind(call.ended_at)
                .bind(call.duration_seconds)
                .bind(call.max_participants)
                .bind(&call.metadata)
                .bind(&call.moderation)
                .bind(call.end_reason)
                .bind(&call.error_message)
                .bind(call.updated_at)
                .bind(call.version)
                .bind(call.epoch)
                .bind(call.seq)
                .bind(call.group_id)
                .bind(call.initiated_by_id)
                .bind(call.call_type)
                .bind(call.created_at)
                .bind(&call.recording);
            if !is_new {
                upsert = upsert.bind(changes.follows);
            }
            let written = upsert.execute(&mut *tx).await?;
            if written.rows_affected() == 0 {
                return Err(StoreError::Fenced);
            }
            for leg in &changes.legs {
                sqlx::query(UPSERT_LEG)
                    .bind(leg.id)
                    .bind(leg.call_id)
                    .bind(leg.user_id)
                    .bind(&leg.device_id)
                    .bind(leg.joined_at)
                    .bind(leg.attached_at)
                    .bind(leg.last_seen_at)
                    .bind(leg.left_at)
                    .bind(leg.reason)
                    .bind(&leg.resume_hash)
                    .execute(&mut *tx)
                    .await?;
            }
            for recording in &changes.recordings {
                upsert_recording!(tx, recording);
            }
            for rows in changes.invitations.chunks(INVITATIONS_PER_STATEMENT) {
                upsert_invitations(rows).build().execute(&mut *tx).await?;
            }
            for recorded in &changes.events {
                sqlx::query(INSERT_EVENT)
                    .bind(recorded.call_id)
                    .bind(recorded.stamp.seq)
                    .bind(recorded.stamp.epoch)
                    .bind(recorded.event.kind())
                    .bind(recorded.event.details(call))
                    .bind(recorded.at)
                    .execute(&mut *tx)
                    .await?;
            }
            for entry in changes.audit_entries() {
                log!(tx, entry);
            }
            if let Some(receipt) = &changes.receipt {
                sqlx::query(INSERT_RECEIPT)
                    .bind(receipt.user)
                    .bind(receipt.route)
                    .bind(&receipt.key)
                    .bind(receipt.body_hash.as_slice())
                    .bind(&receipt.response)
                    .bind(call.created_at)
                    .execute(&mut *tx)
                    .await?;
            }
        });
        Ok(())
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn call(&self, id: CallId) -> Result<Option<StoredCall>, StoreError> {
        let record = on!(&self.db, |pool| sqlx::query_as("SELECT * FROM calls WHERE id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await)?;
        Ok(self.with_participants(Vec::from_iter(record)).await?.pop())
    }

    /// The running call of a group.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn running_call(&self, group: GroupId) -> Result<Option<StoredCall>, StoreError> {
        let record = on!(&self.db, |pool| sqlx::query_as(
            "SELECT * FROM calls WHERE group_id = $1 AND status IN ('waiting', 'active')"
        )
        .bind(group)
        .fetch_optional(pool)
        .await)?;
        Ok(self.with_participants(Vec::from_iter(record)).await?.pop())
    }

    /// A group's calls, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn calls_of_group(
        &self,
        group: GroupId,
        filter: CallFilter,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<StoredCall>, StoreError> {
        let records = on!(&self.db, |pool| {
            let mut query = QueryBuilder::new("SELECT * FROM calls WHERE group_id = ");
            query.push_bind(group);
            if let Some(status) = filter.status {
                query.push(" AND status = ").push_bind(status);
            }
            if let Some(call_type) = filter.call_type {
                query.push(" AND type = ").push_bind(call_type);
            }
            if let Some(member) = filter.member {
                query.push(" AND id IN (SELECT call_id FROM call_legs WHERE user_id = ").push_bind(member);
                query.push(")");
            }
            if let Some(from) = filter.from {
                query.push(" AND created_at >= ").push_bind(from);
            }
            if let Some(to) = filter.to {
                query.push(" AND created_at < ").push_bind(to);
            }
            if let Some(after) = request.after {
                query.push(" AND (created_at, id) < (").push_bind(after.at);
                query.push(", ").push_bind(after.id).push(")");
            }
            query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(request.limit_and_one());
            query.build_query_as::<CallRecord>().fetch_all(pool).await
        })?;
        let page = request.page(records, |call| TimeCursor { at: call.created_at, id: call.id.0 });
        Ok(Page { items: self.with_participants(page.items).await?, next_cursor: page.next_cursor })
    }

    /// The running calls of all groups that a user is in, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn running_calls_for(&self, user: UserId) -> Result<Vec<StoredCall>, StoreError> {
        let records = on!(&self.db, |pool| sqlx::query_as(
            "SELECT calls.* FROM calls JOIN group_members ON group_members.group_id = calls.group_id
             WHERE group_members.user_id = $1 AND calls.status IN ('waiting', 'active')
             ORDER BY calls.created_at DESC, calls.id DESC",
        )
        .bind(user)
        .fetch_all(pool)
        .await)?;
        self.with_participants(records).await
    }

    /// All running calls.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn running_calls(&self) -> Result<Vec<CallRecord>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_as(
            "SELECT * FROM calls WHERE status IN ('waiting', 'active') ORDER BY created_at, id"
        )
        .fetch_all(pool)
        .await)?)
    }

    /// All running calls created before `before`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn running_calls_before(&self, before: DateTime<Utc>) -> Result<Vec<CallRecord>, StoreError> {
        Ok(on!(&self.db, |pool| {
            sqlx::query_as(
            "SELECT * FROM calls WHERE status IN ('waiting', 'active') AND created_at < $1 ORDER BY created_at, id"
        )
        .bind(before)
        .fetch_all(pool)
        .await
        })?)
    }

    /// All running calls whose last change was before `since`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn running_calls_unchanged_since(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Vec<CallRecord>, StoreError> {
        on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT * FROM calls WHERE status IN ('waiting', 'active') AND updated_at < $1 ORDER BY created_at, id"
        )
        .bind(since)
        .fetch_all(connection)
        .await
        })
    }

    async fn with_participants(&self, records: Vec<CallRecord>) -> Result<Vec<StoredCall>, StoreError> {
        let running: Vec<_> =
            records.iter().filter(|call| call.status.is_running()).map(|call| call.id).collect();
        let mut participants = self.participants_of(&running).await?;
        let with = |record: CallRecord| {
            let participants = participants.remove(&record.id).unwrap_or_default();
            StoredCall { record, participants }
        };
        Ok(records.into_iter().map(with).collect())
    }

    async fn participants_of(&self, calls: &[CallId]) -> Result<HashMap<CallId, Vec<UserId>>, StoreError> {
        let mut participants: HashMap<CallId, Vec<UserId>> = HashMap::new();
        if calls.is_empty() {
            return Ok(participants);
        }
        let open: Vec<(CallId, UserId)> = on!(&self.db, |pool| {
            let mut query = QueryBuilder::new(
                "SELECT call_id, user_id FROM call_legs WHERE left_at IS NULL AND call_id IN (",
            );
            let mut ids = query.separated(", ");
            for call in calls {
                ids.push_bind(*call);
            }
            query.push(") ORDER BY joined_at, id");
            query.build_query_as().fetch_all(pool).await
        })?;
        for (call, user) in open {
            let users = participants.entry(call).or_default();
            if !users.contains(&user) {
                users.push(user);
            }
        }
        Ok(participants)
    }
}

/// Whether the row is the one that these changes wrote. Two owners may write the same version, but not the
/// same row.
fn is_the_same(stored: &CallRecord, written: &CallRecord) -> bool {
    let told = |call: &CallRecord| (call.version, call.epoch, call.seq, call.webrtc_room_id);
    let happened = |call: &CallRecord| (call.status, call.end_reason, call.ended_at, call.updated_at);
    told(stored) == told(written) && happened(stored) == happened(written)
}

/// The version before the first change of a call.
const NO_VERSION: i64 = 0;

const INSERT_CALL: &str = "
    INSERT INTO calls (id, status, webrtc_room_id, started_at, ended_at, duration_seconds, max_participants, metadata,
        moderation, end_reason, error_message, updated_at, version, epoch, seq, group_id, initiated_by_id, type,
        created_at, recording)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

/// The conditions on columns that never change give both statements the same parameters.
const UPDATE_CALL: &str = "
    UPDATE calls SET status = $2, webrtc_room_id = $3, started_at = $4, ended_at = $5, duration_seconds = $6,
        max_participants = $7, metadata = $8, moderation = $9, end_reason = $10, error_message = $11,
        updated_at = $12, version = $13, epoch = $14, seq = $15, recording = $20
    WHERE id = $1 AND version = $21
        AND group_id = $16 AND initiated_by_id = $17 AND type = $18 AND created_at = $19";

const UPSERT_LEG: &str = "
    INSERT INTO call_legs
        (id, call_id, user_id, device_id, joined_at, attached_at, last_seen_at, left_at, reason, resume_hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (id) DO UPDATE SET device_id = excluded.device_id, attached_at = excluded.attached_at,
        last_seen_at = excluded.last_seen_at, left_at = excluded.left_at, reason = excluded.reason,
        resume_hash = excluded.resume_hash";

const INSERT_RECEIPT: &str = "
    INSERT INTO idempotency_keys (user_id, route, key, body_hash, response, created_at)
    VALUES ($1, $2, $3, $4, $5, $6)";

const INSERT_EVENT: &str = "
    INSERT INTO call_events (call_id, seq, epoch, kind, details, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
