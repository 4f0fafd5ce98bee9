//! Recordings, their tracks and their files.
//!
//! The rows are [`crate::call::RecordingRow`], [`crate::call::TrackRow`] and [`crate::call::FileRow`]. What a call
//! changes of its recording is written with the call's other changes, in [`super::Store::commit`].

mod captions;
mod delete;
mod read;
#[cfg(test)]
mod seed;
mod write;

pub(super) use delete::DECIDE_FOR_GROUP;
pub use read::{Involvement, RecordingFilter, RecordingsOf, Sight, StoredFile, StoredRecording, StoredTrack};
pub use write::Settlement;
pub(super) use write::{UPSERT_RECORDING, upsert_recording};
