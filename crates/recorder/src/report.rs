//! What the recorder tells its owner.

use crate::ids::{RecordingId, TrackId};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The state of a track: when its first sample is there, at each new file, at holes and pauses, at least every
    /// 10 s while it is written, and at its end. Replaces the earlier report of the track.
    Track(RecordingId, Box<TrackReport>),
    /// Something could not be written, or there is no room: the recording is not whole, and it ends by itself if it was
    /// not closed. Its files are finished as far as the disk permits. [`Notice::Closed`] follows.
    Broken(RecordingId, Trouble),
    /// All files are finished.
    Closed(RecordingId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    DiskFull,
    StorageError,
}

/// Times are in milliseconds since the recording began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackReport {
    pub track: TrackId,
    /// The name of the codec: `opus`, `pcm`, `vp8`, `vp9`, `h264` or `av1`; empty until the first sample is there.
    pub codec: &'static str,
    pub start_ms: u64,
    pub duration_ms: u64,
    pub bytes: u64,
    pub packets_lost: u64,
    /// Audio that was filled with silence.
    pub concealed_ms: u64,
    /// Time without pictures because pictures were damaged.
    pub held_ms: u64,
    /// Width and height of the largest picture.
    pub size: Option<(u16, u16)>,
    /// When it was on.
    pub spans: Vec<Span>,
    /// When pictures are missing although it was on; at most 1000, the longest.
    pub holes: Vec<Span>,
    pub note: Option<TrackNote>,
    pub files: Vec<FileReport>,
    /// The track has ended and its files are finished.
    pub ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    pub from_ms: u64,
    pub to_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrackNote {
    /// No key frame came within 10 s of the first packet.
    NoKeyFrame,
    /// The client's clock was set during the recording.
    ClockSet,
    /// It would have had more than 128 files. The last one has pictures that are turned otherwise than it says, or
    /// gaps in its time; nothing is written once the codec changes.
    ManyFiles,
    /// The disk was too slow, or the recorder had a fault: parts are missing.
    Dropped,
}

/// A file as [`crate::Recorder::repair`] found it, and what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairedFile {
    /// Without a hash.
    pub file: FileReport,
    /// It had no end: what was not written yet is lost.
    pub was_open: bool,
    /// Width and height of the first picture, as far as the file tells them.
    pub size: Option<(u16, u16)>,
    /// As [`TrackReport::codec`].
    pub codec: &'static str,
    /// Of [`crate::NewTrack`].
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    pub track: TrackId,
    pub part: u32,
    /// The file's path below the recorder's folder.
    pub key: String,
    pub content_type: &'static str,
    pub bytes: u64,
    /// When its first sample was captured, in milliseconds since the recording began.
    pub start_ms: u64,
    pub duration_ms: u64,
    /// In hexadecimal; `None` while the file grows, and if there was no time to hash it.
    pub sha256: Option<String>,
}
