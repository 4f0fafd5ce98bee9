//! Recordings as people see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    call::{Consent, RecordingEnd, RecordingMode, RecordingStatus, Source, Span, TrackNote},
    calls::RecordingAccess,
    ids::{CallId, FileId, GroupId, LegId, RecordingId, RecordingTrackId, StorageId, UserId},
    store::{StoredFile, StoredRecording, StoredTrack},
};

/// A recording of a call.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Recording)]
pub struct RecordingView {
    pub id: RecordingId,
    /// Names the folder that has its files: its `storage-id`.
    pub storage_id: StorageId,
    pub call_id: CallId,
    pub group_id: GroupId,
    pub status: RecordingStatus,
    /// Null if the service started it.
    pub started_by_id: Option<UserId>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<RecordingEnd>,
    pub mode: RecordingMode,
    pub consent: Consent,
    /// Who may see it at present, besides server admins and the service: the server's `RECORDING_ACCESS`.
    pub access: RecordingAccess,
    /// Bytes of all its files.
    pub bytes: i64,
    /// When its files are deleted by themselves; null if never.
    pub delete_after: Option<DateTime<Utc>>,
    /// When it was deleted; its files go at once, or soon after.
    pub deleted_at: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
}

/// A recording with its tracks and files.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingDetails {
    #[serde(flatten)]
    pub recording: RecordingView,
    /// In the order in which they began.
    pub tracks: Vec<TrackView>,
    pub captions: Vec<FileView>,
}

/// What one device sent from one source. Times are in milliseconds since the recording began.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecordingTrack)]
pub struct TrackView {
    pub id: RecordingTrackId,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub producer_id: Option<Uuid>,
    pub leg_id: LegId,
    pub user_id: UserId,
    /// The user's name; null if the user is unknown.
    pub name: Option<String>,
    pub source: Source,
    /// `opus`, `pcm`, `vp8`, `vp9`, `h264` or `av1`; null if nothing of it was recorded.
    pub codec: Option<String>,
    pub start_ms: i64,
    pub duration_ms: i64,
    pub bytes: i64,
    pub packets_lost: i64,
    /// Sound that was lost, and filled with silence.
    pub concealed_ms: i64,
    /// Time without pictures because some were damaged.
    pub held_ms: i64,
    /// Of the largest picture.
    pub width: Option<i64>,
    pub height: Option<i64>,
    /// When it was on.
    pub spans: Vec<Span>,
    /// When pictures are missing although it was on.
    pub holes: Vec<Span>,
    pub note: Option<TrackNote>,
    /// When it was deleted alone. Then nothing is told of it but whose it was.
    pub deleted_at: Option<DateTime<Utc>>,
    /// In order; nearly always one.
    pub files: Vec<FileView>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecordingFile)]
pub struct FileView {
    pub id: FileId,
    pub part: i64,
    #[schema(example = "video/webm")]
    pub content_type: String,
    pub bytes: i64,
    /// When it begins, in milliseconds since the recording began.
    pub start_ms: i64,
    /// In hexadecimal; null while the file grows, and after a crash or a stop of the server until it has been read.
    pub sha256: Option<String>,
    /// Of captions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl RecordingView {
    pub(super) fn new(stored: StoredRecording, access: RecordingAccess) -> Self {
        let status = if stored.is_gone() { RecordingStatus::Deleted } else { stored.row.status };
        let row = stored.row;
        Self {
            id: row.id,
            storage_id: row.storage_id,
            call_id: row.call_id,
            group_id: row.group_id,
            status,
            started_by_id: row.started_by_id,
            started_at: row.started_at,
            ended_at: row.ended_at,
            end_reason: row.end_reason,
            mode: row.mode,
            consent: row.consent,
            access,
            bytes: row.bytes,
            delete_after: row.delete_after,
            deleted_at: stored.deleted_at,
            updated_at: row.updated_at,
        }
    }
}

impl RecordingDetails {
    pub(super) fn new(recording: RecordingView, tracks: Vec<StoredTrack>, files: Vec<StoredFile>) -> Self {
        let (of_tracks, captions): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.row.track_id.is_some());
        let track = |track: StoredTrack| {
            let id = Some(track.row.id);
            let own = of_tracks.iter().filter(|file| file.row.track_id == id && track.deleted_at.is_none());
            let files = own.cloned().map(FileView::from).collect();
            TrackView::new(track, files)
        };
        Self {
            tracks: tracks.into_iter().map(track).collect(),
            captions: captions.into_iter().map(FileView::from).collect(),
            recording,
        }
    }
}

impl TrackView {
    fn new(stored: StoredTrack, files: Vec<FileView>) -> Self {
        let row = stored.row;
        Self {
            id: row.id,
            producer_id: row.producer_id,
            leg_id: row.leg_id,
            user_id: row.user_id,
            name: stored.name,
            source: row.source,
            codec: row.codec,
            start_ms: row.start_ms,
            duration_ms: row.duration_ms,
            bytes: row.bytes,
            packets_lost: row.packets_lost,
            concealed_ms: row.concealed_ms,
            held_ms: row.held_ms,
            width: row.width,
            height: row.height,
            spans: row.spans.0.spans,
            holes: row.spans.0.holes,
            note: row.note,
            deleted_at: stored.deleted_at,
            files,
        }
    }
}

impl From<StoredFile> for FileView {
    fn from(stored: StoredFile) -> Self {
        let row = stored.row;
        Self {
            id: row.id,
            part: row.part,
            content_type: row.content_type,
            bytes: row.bytes,
            start_ms: row.start_ms,
            sha256: row.sha256,
            language: stored.language,
        }
    }
}
