//! Records producers to files.
//!
//! [`Recorder`] is the handle that call control uses. A recorder may lose, but it never delays a call: each queue
//! towards it is bounded, and what finds no room is dropped by name.
//!
//! A worker puts packets into the queue of the recorder thread ([`switchyard_media_worker::TapEnd`]). That thread makes
//! samples of them, and of samples clusters, which the writer thread appends to files. The finisher thread hashes
//! finished files and writes the manifest.
//!
//! The folder of a recording has, beside its files, `timeline.jsonl` with a line for each change of the dominant speaker,
//! `{"atMs": 1200, "speaker": "<track id>"}` (or `null`), and for each pause, `{"atMs": 3400, "paused": true}`, in
//! milliseconds since the recording began; and at the end `manifest.json`, which names tracks and files.

mod config;
mod counters;
mod error;
mod event;
mod finisher;
mod folder;
pub mod growing;
mod handle;
mod ids;
mod manifest;
mod matroska;
mod notices;
mod part;
mod queue;
mod record;
mod recordings;
mod removal;
mod repair;
mod report;
mod story;
mod taps;
#[cfg(test)]
mod testing;
mod thread;
mod time;
mod timeline;
mod track;
mod writer;

pub use config::{NewTrack, RecorderConfig};
pub use counters::RecorderCounters;
pub use error::RecorderError;
pub use handle::Recorder;
pub use ids::{RecordingId, TrackId};
pub use report::{FileReport, Notice, RepairedFile, Span, TrackNote, TrackReport, Trouble};
