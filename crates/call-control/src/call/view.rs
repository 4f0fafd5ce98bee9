use chrono::{DateTime, Utc};
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CallRecord, CallStatus, CallType, Ending, Metadata};
use crate::ids::{CallId, GroupId, UserId};

/// A call as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
#[schema(as = Call)]
#[ts(rename = "Call")]
pub struct CallView {
    pub id: CallId,
    pub group_id: GroupId,
    pub initiated_by_id: UserId,
    #[serde(rename = "type")]
    pub call_type: CallType,
    pub status: CallStatus,
    /// The id of the call's router.
    #[ts(type = "string | null")]
    pub webrtc_room_id: Option<Uuid>,
    /// Who is in the call, in the order they came.
    pub participants: Vec<UserId>,
    /// When somebody other than the creator first joined.
    #[ts(type = "string | null")]
    pub started_at: Option<DateTime<Utc>>,
    #[ts(type = "string | null")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Whole seconds since `startedAt`, up to the end; null until started.
    pub duration_seconds: Option<i64>,
    /// The same as HH:MM:SS.
    #[schema(example = "00:12:31")]
    pub duration: Option<String>,
    /// The most participants it had at one time.
    pub max_participants: i64,
    #[ts(type = "Record<string, unknown>")]
    pub metadata: Metadata,
    /// Whether people who are not in it are kept out.
    pub locked: bool,
    pub end_reason: Option<Ending>,
    pub error_message: Option<String>,
    #[ts(type = "string")]
    pub created_at: DateTime<Utc>,
    #[ts(type = "string")]
    pub updated_at: DateTime<Utc>,
    /// With `seq`: the last recorded event that this view includes.
    pub epoch: i64,
    pub seq: i64,
}

impl CallView {
    pub(crate) fn new(record: CallRecord, participants: Vec<UserId>, now: DateTime<Utc>) -> Self {
        let elapsed = record.started_at.filter(|_| record.status.is_running());
        let duration_seconds =
            record.duration_seconds.or_else(|| elapsed.map(|since| (now - since).num_seconds().max(0)));
        Self {
            id: record.id,
            group_id: record.group_id,
            initiated_by_id: record.initiated_by_id,
            call_type: record.call_type,
            status: record.status,
            webrtc_room_id: record.webrtc_room_id,
            participants,
            started_at: record.started_at,
            ended_at: record.ended_at,
            duration_seconds,
            duration: duration_seconds.map(clock_time),
            max_participants: record.max_participants,
            metadata: record.metadata.0,
            locked: record.moderation.0.locked,
            end_reason: record.end_reason,
            error_message: record.error_message,
            created_at: record.created_at,
            updated_at: record.updated_at,
            epoch: record.epoch,
            seq: record.seq,
        }
    }
}

fn clock_time(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::clock_time;

    #[test]
    fn a_duration_reads_as_hours_minutes_seconds() {
        assert_eq!(clock_time(0), "00:00:00");
        assert_eq!(clock_time(3_725), "01:02:05");
        assert_eq!(clock_time(360_000), "100:00:00");
    }
}
