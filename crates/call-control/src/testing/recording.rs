//! Recordings as if the recorder had made them.

use std::path::PathBuf;

use sqlx::types::Json;
use uuid::Uuid;

use super::World;
use crate::{
    call::{
        Consent, FileKind, FilePlace, FileRow, RecordingMode, RecordingRow, RecordingStatus, Source,
        TrackRow, TrackTimes,
    },
    clock::now,
    ids::{CallId, FileId, GroupId, LegId, RecordingId, RecordingTrackId, UserId},
};

/// A recording with two tracks of one file each.
pub(crate) struct Tape {
    pub(crate) row: RecordingRow,
    pub(crate) tracks: [RecordingTrackId; 2],
    pub(crate) files: [FileId; 2],
    /// Where the files are.
    pub(crate) paths: [PathBuf; 2],
    /// What is in the first file.
    pub(crate) bytes: Vec<u8>,
}

impl Tape {
    pub(crate) fn id(&self) -> RecordingId {
        self.row.id
    }

    /// Whether no file is left.
    pub(crate) fn is_erased(&self) -> bool {
        self.paths.iter().all(|path| !path.exists())
    }
}

impl World {
    /// A finished recording of the call: the microphone and the camera of this user.
    pub(crate) async fn tape(&self, call: CallId, group: GroupId, sender: UserId) -> Tape {
        self.tape_with(call, group, sender, |_| {}).await
    }

    pub(crate) async fn tape_with(
        &self,
        call_id: CallId,
        group_id: GroupId,
        sender: UserId,
        change: impl FnOnce(&mut RecordingRow),
    ) -> Tape {
        let (storage_id, folder) = self.control.recordings.place();
        let (id, now) = (RecordingId::random(), now());
        let mut row = RecordingRow {
            id,
            storage_id,
            call_id,
            group_id,
            status: RecordingStatus::Ready,
            started_by_id: Some(sender),
            started_at: now,
            ended_at: Some(now),
            end_reason: None,
            mode: RecordingMode::Video,
            consent: Consent::Notice,
            bytes: 2000,
            delete_after: None,
            link_epoch: 0,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        change(&mut row);
        let bytes: Vec<u8> = (0_u16..1000).map(|number| number.to_le_bytes()[0]).collect();
        let tracks = [Source::Mic, Source::Camera].map(|source| track(id, sender, source));
        let files = tracks.each_ref().map(|track| file(id, track.id));
        let paths = files.each_ref().map(|file| folder.join(&file.key));
        // Rows first: a server that has just started removes folders that no row knows.
        self.control.store.seed_recording(&row, &tracks, &files).await;
        std::fs::create_dir_all(folder.join(id.to_string())).unwrap();
        paths.iter().for_each(|path| std::fs::write(path, &bytes).unwrap());
        Tape { row, tracks: tracks.map(|track| track.id), files: files.map(|file| file.id), paths, bytes }
    }
}

fn track(recording_id: RecordingId, user_id: UserId, source: Source) -> TrackRow {
    TrackRow {
        id: RecordingTrackId::random(),
        recording_id,
        producer_id: Some(Uuid::new_v4()),
        leg_id: LegId::random(),
        user_id,
        source,
        codec: None,
        start_ms: 0,
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

fn file(recording_id: RecordingId, track_id: RecordingTrackId) -> FileRow {
    FileRow {
        id: FileId::random(),
        recording_id,
        track_id: Some(track_id),
        kind: FileKind::Track,
        part: 0,
        content_type: "video/webm".to_owned(),
        place: FilePlace::Local,
        key: format!("{recording_id}/{track_id}-0.webm"),
        bytes: 1000,
        start_ms: 0,
        sha256: None,
    }
}
