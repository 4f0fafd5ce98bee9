use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{Store, StoreError, on, on_writer};
use crate::ids::UserId;

impl Store {
    /// The body's hash and the answer of an earlier request with this key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn receipt(
        &self,
        user: UserId,
        route: &str,
        key: &str,
    ) -> Result<Option<(Vec<u8>, Value)>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_as(
            "SELECT body_hash, response FROM idempotency_keys WHERE user_id = $1 AND route = $2 AND key = $3"
        )
        .bind(user)
        .bind(route)
        .bind(key)
        .fetch_optional(pool)
        .await)?)
    }

    /// Deletes the answers given before `before`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_receipts(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        on_writer!(&self.db, |pool| sqlx::query("DELETE FROM idempotency_keys WHERE created_at < $1")
            .bind(before)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }
}
