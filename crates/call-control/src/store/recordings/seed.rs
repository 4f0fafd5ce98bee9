//! Rows for tests, as if calls had been recorded.

use super::{
    super::{Store, StoreError, tx},
    upsert_recording,
};
use crate::call::{FileRow, RecordingRow, TrackRow};

impl Store {
    pub(crate) async fn seed_recording(&self, row: &RecordingRow, tracks: &[TrackRow], files: &[FileRow]) {
        self.seed_row(row).await.unwrap();
        self.write_reports(row.id, tracks, files, row.updated_at).await.unwrap();
    }

    async fn seed_row(&self, row: &RecordingRow) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            upsert_recording!(tx, row);
        });
        Ok(())
    }
}
