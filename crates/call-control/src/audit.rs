//! The audit log: who did what, when, and from which address. An entry is written in the same transaction as
//! the change that it records.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    actor::{Actor, ActorKind},
    ids::{CallId, GroupId, UserId},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "TEXT", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    CallStarted,
    CallJoined,
    CallLeft,
    CallEnded,
    CallLocked,
    CallUnlocked,
    MetadataChanged,
    ParticipantRemoved,
    PermissionsChanged,
    MuteRequested,
    ProducerMuted,
    GroupCreated,
    GroupRenamed,
    GroupDeleted,
    MemberAdded,
    MemberRoleChanged,
    MemberRemoved,
    SessionsRevoked,
    RecordingStarted,
    RecordingStopped,
    RecordingDownloaded,
    RecordingDeleted,
}

/// A row of `audit_log`.
#[derive(Clone, Debug, PartialEq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    pub id: Uuid,
    pub action: Action,
    pub actor: ActorKind,
    /// The acting user; null for the service and the server itself.
    pub actor_id: Option<UserId>,
    pub group_id: Option<GroupId>,
    pub call_id: Option<CallId>,
    /// Whom it was done to.
    pub subject_id: Option<UserId>,
    /// Where the request came from.
    pub address: Option<String>,
    #[schema(value_type = Object)]
    pub details: Value,
    pub created_at: DateTime<Utc>,
}

impl AuditEntry {
    /// An entry without group, call or user; the `on_…` methods add them.
    #[must_use]
    pub fn new(action: Action, by: &Actor, at: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::now_v7(),
            action,
            actor: by.kind(),
            actor_id: by.user_id(),
            group_id: None,
            call_id: None,
            subject_id: None,
            address: by.address.map(|address| address.to_string()),
            details: Value::Object(serde_json::Map::new()),
            created_at: at,
        }
    }

    #[must_use]
    pub fn on_group(self, group: GroupId) -> Self {
        Self { group_id: Some(group), ..self }
    }

    #[must_use]
    pub fn on_call(self, call: CallId) -> Self {
        Self { call_id: Some(call), ..self }
    }

    #[must_use]
    pub fn on_user(self, user: UserId) -> Self {
        Self { subject_id: Some(user), ..self }
    }

    /// `details` is a JSON object.
    #[must_use]
    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }
}
