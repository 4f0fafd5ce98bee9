//! The recording of a call.

mod rows;
mod words;

pub use rows::{FileKind, FilePlace, FileRow, RecordingRow, Span, TrackNote, TrackRow, TrackTimes};
pub use words::{Consent, RecordingEnd, RecordingLayer, RecordingMode, RecordingStatus};
