//! Rows for tests, as if calls had been recorded.

use sqlx::types::Json;

use super::super::{Store, tx};
use crate::call::{FileRow, RecordingRow, TrackRow, TrackTimes};

impl Store {
    pub(crate) async fn seed_recording(&self, row: &RecordingRow, tracks: &[TrackRow], files: &[FileRow]) {
        let seeded: Result<(), super::super::StoreError> = async {
            tx!(&self.db, |tx| {
                sqlx::query(INSERT)
                    .bind(row.id)
                    .bind(row.storage_id)
                    .bind(row.call_id)
                    .bind(row.group_id)
                    .bind(row.status)
                    .bind(row.started_by_id)
                    .bind(row.started_at)
                    .bind(row.ended_at)
                    .bind(row.mode)
                    .bind(row.consent)
                    .bind(row.bytes)
                    .bind(row.delete_after)
                    .bind(row.link_epoch)
                    .bind(row.created_at)
                    .bind(row.version)
                    .execute(&mut *tx)
                    .await?;
                for track in tracks {
                    sqlx::query(INSERT_TRACK)
                        .bind(track.id)
                        .bind(track.recording_id)
                        .bind(track.leg_id)
                        .bind(track.user_id)
                        .bind(track.source)
                        .bind(Json(TrackTimes::default()))
                        .execute(&mut *tx)
                        .await?;
                }
                for file in files {
                    sqlx::query(INSERT_FILE)
                        .bind(file.id)
                        .bind(file.recording_id)
                        .bind(file.track_id)
                        .bind(file.kind)
                        .bind(file.part)
                        .bind(&file.content_type)
                        .bind(file.place)
                        .bind(&file.key)
                        .bind(file.bytes)
                        .execute(&mut *tx)
                        .await?;
                }
            });
            Ok(())
        }
        .await;
        seeded.unwrap();
    }
}

const INSERT: &str = "
    INSERT INTO recordings (id, storage_id, call_id, group_id, status, started_by_id, started_at, ended_at, mode, consent,
        bytes, delete_after, link_epoch, created_at, updated_at, version)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15)";
const INSERT_TRACK: &str = "
    INSERT INTO recording_tracks (id, recording_id, leg_id, user_id, source, start_ms, duration_ms, bytes, packets_lost,
        concealed_ms, held_ms, spans)
    VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, 0, $6)";
const INSERT_FILE: &str = "
    INSERT INTO recording_files (id, recording_id, track_id, kind, part, content_type, place, key, bytes, start_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)";
