//! What the writing threads tell the recorder thread.

use crate::ids::{FileKey, RecordingId};
use crate::report::Trouble;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file of this recording could not be written.
    Failed(RecordingId, Trouble),
    /// Less than the configured space is free.
    LowSpace,
    /// A file is finished. `None`: nothing of it is left.
    File(FileKey, Option<FinishedFile>),
    /// The manifest is written, or could not be.
    Closed(RecordingId),
    /// A writing thread is gone: nothing can be recorded any more.
    ThreadBroke,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedFile {
    pub(crate) bytes: u64,
    /// In hexadecimal; `None` if the file could not be read, or if there was no time for it.
    pub(crate) sha256: Option<String>,
}
