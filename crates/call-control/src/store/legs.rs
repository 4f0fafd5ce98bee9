use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, QueryBuilder};
use utoipa::ToSchema;

use super::{Page, PageRequest, Store, StoreError, TimeCursor, on, on_writer};
use crate::{
    call::{CallRows, LegRecord},
    ids::{CallId, LegId, UserId},
};

/// A row of `call_events`.
#[derive(Clone, Debug, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CallEvent)]
pub struct StoredEvent {
    pub epoch: i64,
    pub seq: i64,
    #[schema(example = "leg-joined")]
    pub kind: String,
    #[schema(value_type = Object)]
    pub details: Value,
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// What a call needs to know beside its own row: the legs that are open or ended after `since`, who has been
    /// there, and who was rung.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rows_of_call(&self, call: CallId, since: DateTime<Utc>) -> Result<CallRows, StoreError> {
        let legs = on!(&self.db, |connection| sqlx::query_as(
            "SELECT l.*, users.name FROM call_legs l JOIN users ON users.id = l.user_id
             WHERE l.call_id = $1 AND (l.left_at IS NULL OR l.left_at > $2)",
        )
        .bind(call)
        .bind(since)
        .fetch_all(connection)
        .await)?;
        let visits: Vec<(UserId, Option<DateTime<Utc>>)> = on!(&self.db, |connection| sqlx::query_as(
            "SELECT user_id, max(left_at) FROM call_legs WHERE call_id = $1 GROUP BY user_id",
        )
        .bind(call)
        .fetch_all(connection)
        .await)?;
        let last_left_at = visits.iter().filter_map(|(_, left_at)| *left_at).max();
        let visitors = visits.into_iter().map(|(user, _)| user).collect();
        Ok(CallRows { legs, visitors, last_left_at, invitations: self.invitations(call).await? })
    }

    /// A page of a call's legs, in the order they joined.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn legs(
        &self,
        call: CallId,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<LegRecord>, StoreError> {
        let after = request.after.unwrap_or(TimeCursor::START);
        let legs = on!(&self.db, |pool| sqlx::query_as(
            "SELECT l.*, users.name FROM call_legs l JOIN users ON users.id = l.user_id
             WHERE l.call_id = $1 AND (l.joined_at, l.id) > ($2, $3) ORDER BY l.joined_at, l.id LIMIT $4",
        )
        .bind(call)
        .bind(after.at)
        .bind(after.id)
        .bind(request.limit_and_one())
        .fetch_all(pool)
        .await)?;
        Ok(request.page(legs, |leg: &LegRecord| TimeCursor { at: leg.joined_at, id: leg.id.0 }))
    }

    /// Sets `last_seen_at` of these legs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn saw_legs(&self, legs: &[LegId], now: DateTime<Utc>) -> Result<(), StoreError> {
        for chunk in legs.chunks(LEGS_PER_STATEMENT) {
            on_writer!(&self.db, |pool| {
                let mut query = QueryBuilder::new("UPDATE call_legs SET last_seen_at = ");
                query.push_bind(now).push(" WHERE left_at IS NULL AND id IN (");
                let mut ids = query.separated(", ");
                for leg in chunk {
                    ids.push_bind(*leg);
                }
                query.push(")");
                query.build().execute(pool).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// A page of a call's events, in the order of `seq`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn events(
        &self,
        call: CallId,
        request: PageRequest<i64>,
    ) -> Result<Page<StoredEvent>, StoreError> {
        let events = on!(&self.db, |pool| sqlx::query_as(
            "SELECT epoch, seq, kind, details, created_at FROM call_events
             WHERE call_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(call)
        .bind(request.after.unwrap_or(0))
        .bind(request.limit_and_one())
        .fetch_all(pool)
        .await)?;
        Ok(request.page(events, |event: &StoredEvent| event.seq))
    }
}

/// Well below the maximum number of parameters of both databases.
const LEGS_PER_STATEMENT: usize = 500;
