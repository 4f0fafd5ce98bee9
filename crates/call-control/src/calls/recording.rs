//! Recording calls: who may, what the recorder is told, and what it tells.
//!
//! The owner task of a call decides what is recorded (`calls/task/recording.rs`). What the recorder reports goes to a
//! shelf, and from there to the database, so that a recording continues while the database is unreachable.

mod config;
mod keeper;
mod news;
mod operations;
mod repair;
mod shelf;
mod studio;
#[cfg(test)]
mod tests;

pub use config::{RecordingAccess, RecordingBy, RecordingConfig};
pub use operations::RecordingWish;
pub use studio::{RecordingFigures, StudioError};
pub use switchyard_recorder::{RecorderConfig, RecorderCounters};

pub(super) use repair::{Repaired, until_done};
pub(super) use studio::Studio;
