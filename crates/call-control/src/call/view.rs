use chrono::{DateTime, Utc};
use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{CallRecord, CallRecordingView, CallStatus, CallType, Ending, Metadata};
use crate::ids::{CallId, GroupId, UserId};

/// A call as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
#[schema(as = Call, example = json!({
    "id": "2f1d9f0e-8c3b-4f6a-9d2e-5b7a1c4e8f30",
    "groupId": "5b0f7a52-7f0f-4a53-9a86-3a1a0a6b1f11",
    "initiatedById": "c9a1f7d0-3f6b-4b52-8d0e-6c6f2d6f9e10",
    "type": "video",
    "status": "active",
    "webrtcRoomId": "7d9be0a1-52c4-4f1b-a6de-0f6a3c1b9e42",
    "participants": ["c9a1f7d0-3f6b-4b52-8d0e-6c6f2d6f9e10", "e4b7c2a8-9a51-4d3e-b0f6-8c1d2e3f4a5b"],
    "startedAt": "2026-03-02T09:30:12Z",
    "endedAt": null,
    "durationSeconds": 751,
    "duration": "00:12:31",
    "maxParticipants": 2,
    "metadata": {"title": "Standup"},
    "locked": false,
    "recording": null,
    "endReason": null,
    "errorMessage": null,
    "createdAt": "2026-03-02T09:30:00Z",
    "updatedAt": "2026-03-02T09:30:12Z",
    "epoch": 1,
    "seq": 4,
}))]
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
    /// Null while it is not being recorded.
    pub recording: Option<CallRecordingView>,
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
            recording: record.recording.0.view(),
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
