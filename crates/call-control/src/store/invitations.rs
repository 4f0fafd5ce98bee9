//! Who is rung for a call, and which calls a person missed.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Database, Encode, FromRow, QueryBuilder, Type};
use utoipa::ToSchema;

use super::{Page, PageRequest, Store, StoreError, TimeCursor, on, on_writer};
use crate::{
    call::{CallType, InvitationRow, InvitationStatus, Invitee},
    ids::{CallId, GroupId, UserId},
};

/// One person's invitation to a call, with the name beside it.
#[derive(Clone, Debug, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Invitation)]
pub struct InvitationView {
    pub user_id: UserId,
    pub name: String,
    pub status: InvitationStatus,
    /// Who rang; null if it was the app.
    pub invited_by_id: Option<UserId>,
    /// When they were last rung.
    pub rung_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// A call that somebody was rung for and did not answer.
#[derive(Clone, Debug, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedCall {
    pub call_id: CallId,
    pub group_id: GroupId,
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    pub call_type: CallType,
    /// Who rang; null if it was the app.
    pub invited_by_id: Option<UserId>,
    pub invited_by_name: Option<String>,
    /// `missed`, or `cancelled` if the call ended while it rang.
    pub status: InvitationStatus,
    pub rung_at: DateTime<Utc>,
    /// When the person saw it; null if they have not.
    pub seen_at: Option<DateTime<Utc>>,
}

impl Store {
    /// All invitations to a call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitations(&self, call: CallId) -> Result<Vec<InvitationRow>, StoreError> {
        on!(&self.db, |connection| sqlx::query_as(
            "SELECT i.*, users.name AS invited_by_name FROM call_invitations i
             LEFT JOIN users ON users.id = i.invited_by_id WHERE i.call_id = $1",
        )
        .bind(call)
        .fetch_all(connection)
        .await)
    }

    /// A page of the invitations to a call, in the order in which people were last rung.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitations_with_names(
        &self,
        call: CallId,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<InvitationView>, StoreError> {
        let after = request.after.unwrap_or(TimeCursor::START);
        let invitations = on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT i.*, users.name FROM call_invitations i JOIN users ON users.id = i.user_id
             WHERE i.call_id = $1 AND (i.rung_at, i.user_id) > ($2, $3) ORDER BY i.rung_at, i.user_id LIMIT $4",
        )
        .bind(call)
        .bind(after.at)
        .bind(after.id)
        .bind(request.limit_and_one())
        .fetch_all(connection)
        .await
        })?;
        Ok(request
            .page(invitations, |row: &InvitationView| TimeCursor { at: row.rung_at, id: row.user_id.0 }))
    }

    /// The members of a group whom a call of `except` rings; at most `most` of them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitees(
        &self,
        group: GroupId,
        except: UserId,
        most: usize,
    ) -> Result<Vec<Invitee>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let members: Vec<(UserId, bool)> = on!(&self.db, |connection| {
            sqlx::query_as(
            "SELECT users.id, users.do_not_disturb FROM group_members JOIN users ON users.id = group_members.user_id
             WHERE group_members.group_id = $1 AND users.id <> $2 LIMIT $3",
        )
        .bind(group)
        .bind(except)
        .bind(most)
        .fetch_all(connection)
        .await
        })?;
        Ok(members.into_iter().map(invitee).collect())
    }

    /// Those of the users who are members of the group.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn invitees_among(&self, group: GroupId, users: &[UserId]) -> Result<Vec<Invitee>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let members: Vec<(UserId, bool)> = on!(&self.db, |connection| {
            let mut query = QueryBuilder::new(
                "SELECT users.id, users.do_not_disturb FROM group_members
                 JOIN users ON users.id = group_members.user_id WHERE group_members.group_id = ",
            );
            query.push_bind(group).push(" AND users.id IN (");
            let mut ids = query.separated(", ");
            for user in users {
                ids.push_bind(*user);
            }
            query.push(")");
            query.build_query_as().fetch_all(connection).await
        })?;
        Ok(members.into_iter().map(invitee).collect())
    }

    /// Those of the people rung for `call` who are in another running call of a group that `caller` is in, too.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn busy_invitees(&self, call: CallId, caller: UserId) -> Result<Vec<UserId>, StoreError> {
        Ok(on!(&self.db, |connection| sqlx::query_scalar(
            "SELECT DISTINCT i.user_id FROM call_invitations i
             JOIN call_legs l ON l.user_id = i.user_id AND l.left_at IS NULL
             JOIN calls c ON c.id = l.call_id AND c.id <> i.call_id AND c.status IN ('waiting', 'active')
             JOIN group_members m ON m.group_id = c.group_id AND m.user_id = $2
             WHERE i.call_id = $1 AND i.status = 'ringing' AND NOT i.quiet",
        )
        .bind(call)
        .bind(caller)
        .fetch_all(connection)
        .await)?)
    }

    /// The calls that a person missed, of groups that they are still in; newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn missed_calls(
        &self,
        user: UserId,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<MissedCall>, StoreError> {
        let missed = on!(&self.db, |connection| {
            let mut query = QueryBuilder::new(
                "SELECT i.call_id, c.group_id, c.type, i.invited_by_id, users.name AS invited_by_name, i.status,
                     i.rung_at, i.seen_at
                 FROM call_invitations i JOIN calls c ON c.id = i.call_id
                 JOIN group_members m ON m.group_id = c.group_id AND m.user_id = i.user_id
                 LEFT JOIN users ON users.id = i.invited_by_id
                 WHERE i.status IN ('missed', 'cancelled') AND i.user_id = ",
            );
            query.push_bind(user);
            if let Some(after) = request.after {
                query.push(" AND (i.rung_at, i.call_id) < (").push_bind(after.at);
                query.push(", ").push_bind(after.id).push(")");
            }
            query.push(" ORDER BY i.rung_at DESC, i.call_id DESC LIMIT ").push_bind(request.limit_and_one());
            query.build_query_as().fetch_all(connection).await
        })?;
        Ok(request.page(missed, |call: &MissedCall| TimeCursor { at: call.rung_at, id: call.call_id.0 }))
    }

    /// Notes that a person saw the calls that they missed, up to the ring at `until`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn see_missed_calls(
        &self,
        user: UserId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        on_writer!(&self.db, |connection| sqlx::query(
            "UPDATE call_invitations SET seen_at = $3
             WHERE user_id = $1 AND rung_at <= $2 AND status IN ('missed', 'cancelled') AND seen_at IS NULL",
        )
        .bind(user)
        .bind(until)
        .bind(now)
        .execute(connection)
        .await
        .map(drop))
    }
}

fn invitee((user, quiet): (UserId, bool)) -> Invitee {
    Invitee { user, quiet }
}

/// One statement for all these rows.
pub(super) fn upsert_invitations<'a, DB>(rows: &'a [InvitationRow]) -> QueryBuilder<DB>
where
    DB: Database,
    CallId: Encode<'a, DB> + Type<DB>,
    UserId: Encode<'a, DB> + Type<DB>,
    Option<UserId>: Encode<'a, DB> + Type<DB>,
    InvitationStatus: Encode<'a, DB> + Type<DB>,
    bool: Encode<'a, DB> + Type<DB>,
    i64: Encode<'a, DB> + Type<DB>,
    DateTime<Utc>: Encode<'a, DB> + Type<DB>,
    Option<DateTime<Utc>>: Encode<'a, DB> + Type<DB>,
{
    let mut query = QueryBuilder::new(
        "INSERT INTO call_invitations
             (call_id, user_id, invited_by_id, status, quiet, rings, rung_at, ended_at) ",
    );
    query.push_values(rows, |mut row, invitation| {
        row.push_bind(invitation.call_id)
            .push_bind(invitation.user_id)
            .push_bind(invitation.invited_by_id)
            .push_bind(invitation.status)
            .push_bind(invitation.quiet)
            .push_bind(invitation.rings)
            .push_bind(invitation.rung_at)
            .push_bind(invitation.ended_at);
    });
    query.push(
        " ON CONFLICT (call_id, user_id) DO UPDATE SET invited_by_id = excluded.invited_by_id,
             status = excluded.status, quiet = excluded.quiet, rings = excluded.rings, rung_at = excluded.rung_at,
             ended_at = excluded.ended_at,
             seen_at = CASE WHEN excluded.status = 'ringing' THEN NULL ELSE call_invitations.seen_at END",
    );
    query
}

/// Well below the maximum number of parameters of both databases.
pub(super) const INVITATIONS_PER_STATEMENT: usize = 500;
