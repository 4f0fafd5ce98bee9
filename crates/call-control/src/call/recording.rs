//! The recording of a call: its state, and its rules.
//!
//! 1. A call has one running recording at a time. It ends with the call, or when it has run for the maximum time.
//! 2. Under [`Consent::Ask`] nothing of a leg is recorded before the leg accepts, or after it takes that back. The
//!    answer of a leg ends with the leg.
//! 3. The server keeps `recordingEnabled` and `recordingId` in the call's metadata. While a call waits, a client's
//!    `recordingEnabled: true` is a wish, which is fulfilled once the call is active.

mod rows;
mod state;
mod transition;
mod words;

pub use rows::{FileKind, FilePlace, FileRow, RecordingRow, Span, TrackNote, TrackRow, TrackTimes};
pub use state::{Answer, CallRecordingView, NewRecording, Recording, Running};
pub use words::{Consent, RecordingEnd, RecordingLayer, RecordingMode, RecordingStatus};
