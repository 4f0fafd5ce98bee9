//! The database rows of a call, and their conversion from and to the state machine.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Json;
use switchyard_media_worker::media::RouterId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Call, CallStatus, CallType, Ending, Head, Invitations, LegReason, Metadata, Moderation, Origin, Outcome,
    Over, Recording, Rules, Stamp, State, roster::Roster,
};
use crate::ids::{CallId, DeviceId, GroupId, LegId, UserId};

/// A row of `calls`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct CallRecord {
    pub id: CallId,
    pub group_id: GroupId,
    pub initiated_by_id: UserId,
    #[sqlx(rename = "type")]
    pub call_type: CallType,
    pub status: CallStatus,
    pub webrtc_room_id: Option<Uuid>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub duration_seconds: Option<i64>,
    pub max_participants: i64,
    pub metadata: Json<Metadata>,
    pub moderation: Json<Moderation>,
    pub recording: Json<Recording>,
    pub end_reason: Option<Ending>,
    pub error_message: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
    pub epoch: i64,
    pub seq: i64,
}

/// A row of `call_legs`, joined with the user's name.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LegRecord {
    pub id: LegId,
    pub call_id: CallId,
    pub user_id: UserId,
    pub name: String,
    pub device_id: Option<DeviceId>,
    pub joined_at: DateTime<Utc>,
    pub attached_at: Option<DateTime<Utc>>,
    pub last_seen_at: DateTime<Utc>,
    pub left_at: Option<DateTime<Utc>>,
    pub reason: Option<LegReason>,
    pub resume_hash: Option<Vec<u8>>,
}

/// One device's stay in a call, as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LegView {
    pub id: LegId,
    pub call_id: CallId,
    pub user_id: UserId,
    pub name: String,
    pub joined_at: DateTime<Utc>,
    /// When a device first took part; null if none ever did.
    pub attached_at: Option<DateTime<Utc>>,
    pub last_seen_at: DateTime<Utc>,
    pub left_at: Option<DateTime<Utc>>,
    pub reason: Option<LegReason>,
}

/// The rows of a call contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record of call {call} is corrupt: {what}")]
pub struct CorruptRecord {
    pub call: CallId,
    pub what: &'static str,
}

impl From<LegRecord> for LegView {
    fn from(leg: LegRecord) -> Self {
        Self {
            id: leg.id,
            call_id: leg.call_id,
            user_id: leg.user_id,
            name: leg.name,
            joined_at: leg.joined_at,
            attached_at: leg.attached_at,
            last_seen_at: leg.last_seen_at,
            left_at: leg.left_at,
            reason: leg.reason,
        }
    }
}

impl Call {
    /// The call without its legs.
    ///
    /// # Errors
    /// [`CorruptRecord`] when the row contradicts itself.
    pub fn from_record(record: CallRecord, rules: Rules) -> Result<Self, CorruptRecord> {
        let head = Head {
            state: State::from_record(&record)?,
            room: record.webrtc_room_id.map(RouterId),
            metadata: Arc::new(record.metadata.0),
            moderation: Arc::new(record.moderation.0),
            invitations: Arc::new(Invitations::default()),
            recording: Arc::new(record.recording.0),
            max_participants: record.max_participants,
            last_left_at: None,
            stamp: Stamp { epoch: record.epoch, seq: record.seq },
            version: record.version,
            updated_at: record.updated_at,
        };
        Ok(Self {
            origin: Origin {
                id: record.id,
                group_id: record.group_id,
                initiated_by: record.initiated_by_id,
                call_type: record.call_type,
                created_at: record.created_at,
            },
            head,
            roster: Roster::default(),
            undo: None,
            rules,
        })
    }

    pub(super) fn to_record(&self) -> CallRecord {
        let (status, over) = match &self.head.state {
            State::Waiting => (CallStatus::Waiting, None),
            State::Active { .. } => (CallStatus::Active, None),
            State::Over(over) => (over.outcome.status(), Some(over)),
        };
        CallRecord {
            id: self.origin.id,
            group_id: self.origin.group_id,
            initiated_by_id: self.origin.initiated_by,
            call_type: self.origin.call_type,
            status,
            webrtc_room_id: self.head.room.map(|room| room.0),
            started_at: self.head.state.started_at(),
            ended_at: over.map(|over| over.ended_at),
            duration_seconds: over.and_then(Over::duration_seconds),
            max_participants: self.head.max_participants,
            metadata: Json((*self.head.metadata).clone()),
            moderation: Json((*self.head.moderation).clone()),
            recording: Json((*self.head.recording).clone()),
            end_reason: over.map(|over| over.ending),
            error_message: over.and_then(|over| over.outcome.message()),
            created_at: self.origin.created_at,
            updated_at: self.head.updated_at,
            version: self.head.version,
            epoch: self.head.stamp.epoch,
            seq: self.head.stamp.seq,
        }
    }
}

impl State {
    fn from_record(record: &CallRecord) -> Result<Self, CorruptRecord> {
        let corrupt = |what| CorruptRecord { call: record.id, what };
        let outcome = match record.status {
            CallStatus::Waiting => return Ok(Self::Waiting),
            CallStatus::Active => {
                let started_at = record.started_at.ok_or_else(|| corrupt("active but never started"))?;
                return Ok(Self::Active { started_at });
            }
            CallStatus::Ended => Outcome::Ended,
            CallStatus::Cancelled => Outcome::Cancelled,
            CallStatus::Failed => {
                Outcome::Failed { message: record.error_message.clone().unwrap_or_default() }
            }
        };
        Ok(Self::Over(Over {
            outcome,
            started_at: record.started_at,
            ended_at: record.ended_at.ok_or_else(|| corrupt("over but never ended"))?,
            ending: record.end_reason.ok_or_else(|| corrupt("over without a reason"))?,
        }))
    }

    pub(super) const fn started_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Waiting => None,
            Self::Active { started_at } => Some(*started_at),
            Self::Over(over) => over.started_at,
        }
    }
}

impl Over {
    /// Whole seconds from the first join to the end; `None` if the call never started.
    #[must_use]
    pub fn duration_seconds(&self) -> Option<i64> {
        self.started_at.map(|started_at| (self.ended_at - started_at).num_seconds().max(0))
    }
}

impl Outcome {
    const fn status(&self) -> CallStatus {
        match self {
            Self::Ended => CallStatus::Ended,
            Self::Cancelled => CallStatus::Cancelled,
            Self::Failed { .. } => CallStatus::Failed,
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Failed { message } => Some(message.clone()),
            Self::Ended | Self::Cancelled => None,
        }
    }
}
