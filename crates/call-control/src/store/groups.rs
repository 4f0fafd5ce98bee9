use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{Page, PageRequest, Store, StoreError, TimeCursor, on, tx};
use crate::ids::{CallId, GroupId, UserId};

/// A row of `groups`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub id: GroupId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `group_members`, with the user's name beside it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
    #[serde(skip)]
    pub created_at: DateTime<Utc>,
}

/// What a member may do, least first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    sqlx::Type,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum Role {
    /// Takes part in calls.
    #[default]
    Member,
    /// Also adds and removes members, and ends calls.
    Admin,
    /// Everything.
    Owner,
}

impl Store {
    /// Creates the group with its first owner.
    ///
    /// # Errors
    /// [`StoreError::MissingReference`] for an unknown owner, or [`StoreError::Unavailable`].
    pub async fn create_group(&self, group: &Group, owner: UserId) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            sqlx::query("INSERT INTO groups (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)")
                .bind(group.id)
                .bind(&group.name)
                .bind(group.created_at)
                .execute(&mut *tx)
                .await?;
            sqlx::query(INSERT_MEMBER)
                .bind(group.id)
                .bind(owner)
                .bind(Role::Owner)
                .bind(group.created_at)
                .execute(&mut *tx)
                .await?;
        });
        Ok(())
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn group(&self, id: GroupId) -> Result<Option<Group>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_as("SELECT * FROM groups WHERE id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await)?)
    }

    /// The groups a user is in, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn groups_of(
        &self,
        user: UserId,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<Group>, StoreError> {
        let after = request.after.unwrap_or(TimeCursor::START);
        let groups = on!(&self.db, |pool| sqlx::query_as(
            "SELECT groups.* FROM groups JOIN group_members ON group_members.group_id = groups.id
             WHERE group_members.user_id = $1 AND (groups.created_at, groups.id) > ($2, $3)
             ORDER BY groups.created_at, groups.id LIMIT $4",
        )
        .bind(user)
        .bind(after.at)
        .bind(after.id)
        .bind(request.limit_and_one())
        .fetch_all(pool)
        .await)?;
        Ok(request.page(groups, |group: &Group| TimeCursor { at: group.created_at, id: group.id.0 }))
    }

    /// Returns the group under its new name, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rename_group(
        &self,
        id: GroupId,
        name: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Group>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_as(
            "UPDATE groups SET name = $2, updated_at = $3 WHERE id = $1 RETURNING *"
        )
        .bind(id)
        .bind(name)
        .bind(now)
        .fetch_optional(pool)
        .await)?)
    }

    /// Deletes the group, its members and its history, unless a call is running in it: that call is returned.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_group(&self, id: GroupId) -> Result<Option<CallId>, StoreError> {
        Ok(tx!(&self.db, |tx| {
            let running: Option<CallId> = sqlx::query_scalar(
                "SELECT id FROM calls WHERE group_id = $1 AND status IN ('waiting', 'active')",
            )
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
            if running.is_none() {
                sqlx::query("DELETE FROM groups WHERE id = $1").bind(id).execute(&mut *tx).await?;
            }
            running
        }))
    }

    /// The members of a group, in the order they were added.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn members(
        &self,
        group: GroupId,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<Member>, StoreError> {
        let after = request.after.unwrap_or(TimeCursor::START);
        let members = on!(&self.db, |pool| sqlx::query_as(
            "SELECT m.user_id, users.name, m.role, m.created_at
             FROM group_members m JOIN users ON users.id = m.user_id
             WHERE m.group_id = $1 AND (m.created_at, m.user_id) > ($2, $3)
             ORDER BY m.created_at, m.user_id LIMIT $4",
        )
        .bind(group)
        .bind(after.at)
        .bind(after.id)
        .bind(request.limit_and_one())
        .fetch_all(pool)
        .await)?;
        Ok(request
            .page(members, |member: &Member| TimeCursor { at: member.created_at, id: member.user_id.0 }))
    }

    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn member_ids(&self, group: GroupId) -> Result<Vec<UserId>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_scalar("SELECT user_id FROM group_members WHERE group_id = $1")
            .bind(group)
            .fetch_all(pool)
            .await)?)
    }

    /// The user's role, if they are a member.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn role(&self, group: GroupId, user: UserId) -> Result<Option<Role>, StoreError> {
        Ok(on!(&self.db, |pool| sqlx::query_scalar(
            "SELECT role FROM group_members WHERE group_id = $1 AND user_id = $2"
        )
        .bind(group)
        .bind(user)
        .fetch_optional(pool)
        .await)?)
    }

    /// # Errors
    /// [`StoreError::Duplicate`] for a member, [`StoreError::MissingReference`] for an unknown user or group, or
    /// [`StoreError::Unavailable`].
    pub async fn add_member(
        &self,
        group: GroupId,
        user: UserId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        on!(&self.db, |pool| sqlx::query(INSERT_MEMBER)
            .bind(group)
            .bind(user)
            .bind(role)
            .bind(now)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Returns whether there was such a member.
    ///
    /// # Errors
    /// [`StoreError::LastOwner`] when the group would have no owner, or [`StoreError::Unavailable`].
    pub async fn set_role(
        &self,
        group: GroupId,
        user: UserId,
        role: Role,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            sqlx::query(LOCK_GROUP).bind(group).bind(now).execute(&mut *tx).await?;
            let done = sqlx::query("UPDATE group_members SET role = $3 WHERE group_id = $1 AND user_id = $2")
                .bind(group)
                .bind(user)
                .bind(role)
                .execute(&mut *tx)
                .await?;
            let owners: i64 = sqlx::query_scalar(COUNT_OWNERS).bind(group).fetch_one(&mut *tx).await?;
            if done.rows_affected() > 0 && owners == 0 {
                return Err(StoreError::LastOwner);
            }
            done.rows_affected() > 0
        }))
    }

    /// Returns whether there was such a member.
    ///
    /// # Errors
    /// [`StoreError::LastOwner`] when the group would have no owner, or [`StoreError::Unavailable`].
    pub async fn remove_member(
        &self,
        group: GroupId,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        Ok(tx!(&self.db, |tx| {
            sqlx::query(LOCK_GROUP).bind(group).bind(now).execute(&mut *tx).await?;
            let done = sqlx::query("DELETE FROM group_members WHERE group_id = $1 AND user_id = $2")
                .bind(group)
                .bind(user)
                .execute(&mut *tx)
                .await?;
            let owners: i64 = sqlx::query_scalar(COUNT_OWNERS).bind(group).fetch_one(&mut *tx).await?;
            if done.rows_affected() > 0 && owners == 0 {
                return Err(StoreError::LastOwner);
            }
            done.rows_affected() > 0
        }))
    }
}

const INSERT_MEMBER: &str =
    "INSERT INTO group_members (group_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
/// Two owners who remove each other at the same time must take turns.
const LOCK_GROUP: &str = "UPDATE groups SET updated_at = $2 WHERE id = $1";
const COUNT_OWNERS: &str = "SELECT count(*) FROM group_members WHERE group_id = $1 AND role = 'owner'";
