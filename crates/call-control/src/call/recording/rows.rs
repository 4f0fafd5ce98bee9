//! The database rows of a recording.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, types::Json};
use switchyard_media_worker::media::ProducerId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Consent, RecordingEnd, RecordingMode, RecordingStatus};
use crate::{
    call::Source,
    ids::{CallId, FileId, GroupId, LegId, RecordingId, RecordingTrackId, StorageId, UserId},
};

/// A row of `recordings`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct RecordingRow {
    pub id: RecordingId,
    pub storage_id: StorageId,
    pub call_id: CallId,
    pub group_id: GroupId,
    pub status: RecordingStatus,
    /// `None`: the service or the server started it.
    pub started_by_id: Option<UserId>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<RecordingEnd>,
    pub mode: RecordingMode,
    pub consent: Consent,
    /// Bytes of all its files.
    pub bytes: i64,
    /// When its files are deleted; `None`: they are kept.
    pub delete_after: Option<DateTime<Utc>>,
    /// Signed links carry it; a higher one revokes them.
    pub link_epoch: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Number of changes of the row.
    pub version: i64,
}

/// A row of `recording_tracks`. Times count from the start of the recording.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct TrackRow {
    pub id: RecordingTrackId,
    pub recording_id: RecordingId,
    pub producer_id: Option<Uuid>,
    pub leg_id: LegId,
    pub user_id: UserId,
    pub source: Source,
    /// `None` until its first sample.
    pub codec: Option<String>,
    pub start_ms: i64,
    pub duration_ms: i64,
    pub bytes: i64,
    pub packets_lost: i64,
    pub concealed_ms: i64,
    pub held_ms: i64,
    pub width: Option<i64>,
    pub height: Option<i64>,
    pub spans: Json<TrackTimes>,
    pub note: Option<TrackNote>,
}

/// When a track was on, and when its pictures are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrackTimes {
    pub spans: Vec<Span>,
    pub holes: Vec<Span>,
}

/// A time in a recording, in milliseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    pub from_ms: u64,
    pub to_ms: u64,
}

/// What is special about a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum TrackNote {
    /// The device did not accept the recording: nothing of it is written.
    Declined,
    /// The server recorded as many tracks as it may.
    Limit,
    /// No key frame came within 10 s of the first packet.
    NoKeyFrame,
    /// The client's clock was set during the recording.
    ClockSet,
    /// It would have had more than 128 files. The last one has pictures that are turned otherwise than it says, or
    /// gaps in its time; nothing is written once the codec changes.
    ManyFiles,
    /// The disk was too slow, or the recorder had a fault: parts are missing.
    Dropped,
    /// The server crashed: up to a second is missing where a file of it ends.
    Interrupted,
}

/// A row of `recording_files`.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FileRow {
    pub id: FileId,
    pub recording_id: RecordingId,
    /// `None` for captions.
    pub track_id: Option<RecordingTrackId>,
    pub kind: FileKind,
    /// Number of the file in its track.
    pub part: i64,
    pub content_type: String,
    pub place: FilePlace,
    /// Its path below the recordings folder.
    pub key: String,
    pub bytes: i64,
    pub start_ms: i64,
    /// In hexadecimal; `None` while it grows, and until it has been read after a crash.
    pub sha256: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum FileKind {
    Track,
    Captions,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum FilePlace {
    /// In the recordings folder.
    Local,
}

impl TrackRow {
    /// The track of a producer without any sample.
    #[must_use]
    pub fn empty(
        id: RecordingTrackId,
        recording_id: RecordingId,
        producer: ProducerId,
        (leg_id, user_id, source): (LegId, UserId, Source),
        start_ms: i64,
    ) -> Self {
        Self {
            id,
            recording_id,
            producer_id: Some(producer.0),
            leg_id,
            user_id,
            source,
            codec: None,
            start_ms,
            duration_ms: 0,
            bytes: 0,
            packets_lost: 0,
            concealed_ms: 0,
            held_ms: 0,
            width: None,
            height: None,
            spans: Json(TrackTimes::default()),
            note: None,
        }
    }
}
