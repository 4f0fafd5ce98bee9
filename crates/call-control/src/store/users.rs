use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{Page, PageRequest, Store, StoreError, TimeCursor, audit::log, on, on_writer, tx};
use crate::{
    actor::Actor,
    audit::{Action, AuditEntry},
    ids::UserId,
};

/// A row of `users`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub name: String,
    #[serde(skip)]
    pub created_at: DateTime<Utc>,
}

impl Store {
    /// Stores the user under this name. Returns when their sessions were last revoked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn put_user(
        &self,
        id: UserId,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let as_wanted: Option<(Option<DateTime<Utc>>,)> = on!(&self.db, |pool| sqlx::query_as(
            "SELECT sessions_revoked_at FROM users WHERE id = $1 AND name = $2"
        )
        .bind(id)
        .bind(name)
        .fetch_optional(pool)
        .await)?;
        if let Some((sessions_revoked_at,)) = as_wanted {
            return Ok(sessions_revoked_at);
        }
        Ok(on_writer!(&self.db, |pool| sqlx::query_scalar(
            "INSERT INTO users (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = excluded.updated_at
             RETURNING sessions_revoked_at",
        )
        .bind(id)
        .bind(name)
        .bind(now)
        .fetch_one(pool)
        .await)?)
    }

    /// Stores the user under this name, unless the user exists. Returns the stored name, and when the user's
    /// sessions were last revoked.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn note_user(
        &self,
        id: UserId,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<(String, Option<DateTime<Utc>>), StoreError> {
        Ok(tx!(&self.db, |tx| {
            sqlx::query(
                "INSERT INTO users (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(name)
            .bind(now)
            .execute(&mut *tx)
            .await?;
            sqlx::query_as("SELECT name, sessions_revoked_at FROM users WHERE id = $1")
                .bind(id)
                .fetch_one(&mut *tx)
                .await?
        }))
    }

    /// Revokes the user's tokens issued up to `now`. An unknown user is stored under a short id, as their
    /// tokens may have been issued already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn revoke_sessions(
        &self,
        id: UserId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            sqlx::query(REVOKE_SESSIONS).bind(id).bind(id.short()).bind(now).execute(&mut *tx).await?;
            log!(tx, AuditEntry::new(Action::SessionsRevoked, by, now).on_user(id));
        });
        Ok(())
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_as("SELECT id, name, created_at FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await)?)
    }

    /// Whether no device of the user should ring.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn does_not_disturb(&self, id: UserId) -> Result<bool, StoreError> {
        let set: Option<bool> =
            on!(&self.db, |pool| sqlx::query_scalar("SELECT do_not_disturb FROM users WHERE id = $1")
                .bind(id)
                .fetch_optional(pool)
                .await)?;
        Ok(set.unwrap_or(false))
    }

    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn set_do_not_disturb(
        &self,
        id: UserId,
        do_not_disturb: bool,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        on_writer!(&self.db, |pool| sqlx::query(
            "UPDATE users SET do_not_disturb = $2, updated_at = $3 WHERE id = $1"
        )
        .bind(id)
        .bind(do_not_disturb)
        .bind(now)
        .execute(pool)
        .await
        .map(drop))
    }

    /// Users whose name starts with `name`, ignoring the case of ASCII letters; oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn users_by_name(
        &self,
        name: &str,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<User>, StoreError> {
        let after = request.after.unwrap_or(TimeCursor::START);
        let users = on!(&self.db, |pool| sqlx::query_as(
            r"SELECT id, name, created_at FROM users
              WHERE lower(name) LIKE $1 ESCAPE '\' AND (created_at, id) > ($2, $3)
              ORDER BY created_at, id LIMIT $4",
        )
        .bind(like_prefix(name))
        .bind(after.at)
        .bind(after.id)
        .bind(request.limit_and_one())
        .fetch_all(pool)
        .await)?;
        Ok(request.page(users, |user: &User| TimeCursor { at: user.created_at, id: user.id.0 }))
    }
}

const REVOKE_SESSIONS: &str = "
    INSERT INTO users (id, name, created_at, updated_at, sessions_revoked_at) VALUES ($1, $2, $3, $3, $3)
    ON CONFLICT (id) DO UPDATE SET sessions_revoked_at = excluded.sessions_revoked_at
    WHERE users.sessions_revoked_at IS NULL OR users.sessions_revoked_at < excluded.sessions_revoked_at";

/// A LIKE pattern for a prefix; wildcards in `name` are escaped.
fn like_prefix(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len() + 1);
    for letter in name.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}
