use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{
    Page, PageRequest, Store, StoreError, TimeCursor, audit::log, on, recordings::DECIDE_FOR_GROUP, tx,
};
use crate::{
    actor::Actor,
    audit::{Action, AuditEntry},
    ids::{CallId, GroupId, UserId},
};

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
    /// Creates a group, with `owner` as its first member if given.
    ///
    /// # Errors
    /// [`StoreError::MissingReference`] for an unknown owner, or [`StoreError::Unavailable`].
    pub async fn create_group(
        &self,
        group: &Group,
        owner: Option<UserId>,
        by: &Actor,
    ) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            sqlx::query("INSERT INTO groups (id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)")
                .bind(group.id)
                .bind(&group.name)
                .bind(group.created_at)
                .execute(&mut *tx)
                .await?;
            if let Some(owner) = owner {
                sqlx::query(INSERT_MEMBER)
                    .bind(group.id)
                    .bind(owner)
                    .bind(Role::Owner)
                    .bind(group.created_at)
                    .execute(&mut *tx)
                    .await?;
            }
            let entry = AuditEntry::new(Action::GroupCreated, by, group.created_at).on_group(group.id);
            log!(tx, entry.with(json!({ "name": group.name })));
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

    /// The groups of a user, oldest first.
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

    /// Renames a group and returns it; `None` if it does not exist.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rename_group(
        &self,
        id: GroupId,
        name: &str,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<Group>, StoreError> {
        Ok(tx!(&self.db, |tx| {
            let group: Option<Group> =
                sqlx::query_as("UPDATE groups SET name = $2, updated_at = $3 WHERE id = $1 RETURNING *")
                    .bind(id)
                    .bind(name)
                    .bind(now)
                    .fetch_optional(&mut *tx)
                    .await?;
            if group.is_some() {
                let entry = AuditEntry::new(Action::GroupRenamed, by, now).on_group(id);
                log!(tx, entry.with(json!({ "name": name })));
            }
            group
        }))
    }

    /// Deletes a group with its members and calls, and decides that its recordings are deleted. If a call is running
    /// in it, returns that call and deletes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn delete_group(
        &self,
        id: GroupId,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Option<CallId>, StoreError> {
        Ok(tx!(&self.db, |tx| {
            sqlx::query(LOCK_GROUP).bind(id).bind(now).execute(&mut *tx).await?;
            let running: Option<CallId> = sqlx::query_scalar(
                "SELECT id FROM calls WHERE group_id = $1 AND status IN ('waiting', 'active')",
            )
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
            if running.is_none() {
                let gone = sqlx::query("DELETE FROM groups WHERE id = $1").bind(id).execute(&mut *tx).await?;
                if gone.rows_affected() > 0 {
                    let recordings =
                        sqlx::query(DECIDE_FOR_GROUP).bind(id).bind(now).execute(&mut *tx).await?;
                    let entry = AuditEntry::new(Action::GroupDeleted, by, now).on_group(id);
                    log!(tx, entry.with(json!({ "recordings": recordings.rows_affected() })));
                }
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
    /// [`StoreError::Duplicate`] if the user is a member, [`StoreError::MissingReference`] for an unknown
    /// user or group, [`StoreError::GroupFull`] if the group has `most` members, or
    /// [`StoreError::Unavailable`].
    pub async fn add_member(
        &self,
        group: GroupId,
        member: NewMember,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let NewMember { user, role, most } = member;
        tx!(&self.db, |tx| {
            sqlx::query(LOCK_GROUP).bind(group).bind(now).execute(&mut *tx).await?;
            sqlx::query(INSERT_MEMBER).bind(group).bind(user).bind(role).bind(now).execute(&mut *tx).await?;
            let members: i64 = sqlx::query_scalar(COUNT_MEMBERS).bind(group).fetch_one(&mut *tx).await?;
            if usize::try_from(members).is_ok_and(|members| members > most) {
                return Err(StoreError::GroupFull);
            }
            let entry = AuditEntry::new(Action::MemberAdded, by, now).on_group(group).on_user(user);
            log!(tx, entry.with(json!({ "role": role })));
        });
        Ok(())
    }

    /// Changes a member's role, or with `None` removes the member. Returns whether the user was a member.
    ///
    /// # Errors
    /// [`StoreError::LastOwner`] if a user's change would leave the group without an owner (the service may
    /// do that), or [`StoreError::Unavailable`].
    pub async fn change_member(
        &self,
        group: GroupId,
        user: UserId,
        role: Option<Role>,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (statement, action) = match role {
            Some(_) => (UPDATE_ROLE, Action::MemberRoleChanged),
            None => (DELETE_MEMBER, Action::MemberRemoved),
        };
        Ok(tx!(&self.db, |tx| {
            sqlx::query(LOCK_GROUP).bind(group).bind(now).execute(&mut *tx).await?;
            let done = sqlx::query(statement).bind(group).bind(user).bind(role).execute(&mut *tx).await?;
            let found = done.rows_affected() > 0;
            let owners: i64 = sqlx::query_scalar(COUNT_OWNERS).bind(group).fetch_one(&mut *tx).await?;
            if found && owners == 0 && by.user_id().is_some() {
                return Err(StoreError::LastOwner);
            }
            if found {
                let entry = AuditEntry::new(action, by, now).on_group(group).on_user(user);
                log!(tx, entry.with(json!({ "role": role })));
            }
            found
        }))
    }
}

/// A member to add to a group.
#[derive(Clone, Copy, Debug)]
pub struct NewMember {
    pub user: UserId,
    pub role: Role,
    /// Maximum number of members of the group.
    pub most: usize,
}

const INSERT_MEMBER: &str =
    "INSERT INTO group_members (group_id, user_id, role, created_at) VALUES ($1, $2, $3, $4)";
const UPDATE_ROLE: &str = "UPDATE group_members SET role = $3 WHERE group_id = $1 AND user_id = $2";
/// The condition on `$3`, which is always true, gives both statements the same parameters.
const DELETE_MEMBER: &str =
    "DELETE FROM group_members WHERE group_id = $1 AND user_id = $2 AND CAST($3 AS TEXT) IS NULL";
/// Locks the group's row. Transactions that depend on other rows of the group run one after another: two
/// owners who remove each other, or a deletion and the create of a call.
pub(super) const LOCK_GROUP: &str = "UPDATE groups SET updated_at = $2 WHERE id = $1";
const COUNT_OWNERS: &str = "SELECT count(*) FROM group_members WHERE group_id = $1 AND role = 'owner'";
const COUNT_MEMBERS: &str = "SELECT count(*) FROM group_members WHERE group_id = $1";
