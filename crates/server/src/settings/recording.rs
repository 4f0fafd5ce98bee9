//! Settings of recording.

use std::num::{NonZeroU16, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use switchyard_call_control::call::{Consent, RecordingLayer};
use switchyard_call_control::calls::{RecorderConfig, RecordingAccess, RecordingBy, RecordingConfig};

use super::{Switch, hours};

#[derive(Debug, Args)]
#[command(next_help_heading = "Recording")]
pub(crate) struct RecordingSettings {
    /// Whether calls can be recorded. Recordings that exist can be read and deleted in any case.
    #[arg(long, env = "RECORDING", value_enum, default_value_t = Switch::On)]
    pub(crate) recording: Switch,
    /// Directory for the files of recordings [default: DATA_DIR/recordings].
    #[arg(long, env = "RECORDING_DIR")]
    pub(crate) recording_dir: Option<PathBuf>,
    /// Who starts, pauses and stops recordings, besides the app and server admins: `moderators` (the call's initiator,
    /// the group's admins and owners), `members` of the group, or `service` (nobody else).
    #[arg(long, env = "RECORDING_BY", default_value = "moderators")]
    pub(crate) recording_by: RecordingBy,
    /// Whether everybody in a recorded call is told (`notice`), or only those devices are recorded that accept (`ask`).
    /// The start of a recording may ask for `ask`, but not for less than this.
    #[arg(long, env = "RECORDING_CONSENT", value_enum, default_value_t = ConsentWord::Notice)]
    pub(crate) recording_consent: ConsentWord,
    /// Who reads recordings, besides the app and server admins: `participants` (members who were in the call, and its
    /// moderators), `members` of the group, or `moderators`.
    #[arg(long, env = "RECORDING_ACCESS", default_value = "participants")]
    pub(crate) recording_access: RecordingAccess,
    /// A recording is deleted this many days after its end; 0: never.
    #[arg(long, env = "RECORDING_DAYS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=36_500))]
    pub(crate) recording_days: u32,
    /// How many seconds a link to a file of a recording is valid, at most a day.
    #[arg(long, env = "RECORDING_LINK_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) recording_link_seconds: u32,
    /// Recordings that run longer than this many hours are stopped.
    #[arg(long, env = "RECORDING_MAX_HOURS", default_value = "24", value_parser = hours)]
    pub(crate) recording_max_hours: Duration,
    /// Maximum number of tracks that the server records at the same time.
    #[arg(long, env = "RECORDING_MAX_TRACKS", default_value = "200")]
    pub(crate) recording_max_tracks: NonZeroUsize,
    /// The highest of the three sizes of a video that is recorded.
    #[arg(long, env = "RECORDING_LAYER", value_enum, default_value_t = LayerWord::High)]
    pub(crate) recording_layer: LayerWord,
    /// A recorded video has a picture to which one can seek at least every this many seconds.
    #[arg(long, env = "RECORDING_KEY_FRAME_SECONDS", default_value = "10")]
    pub(crate) recording_key_frame_seconds: NonZeroU16,
    /// What is recorded is on the disk at the latest this many seconds after it was written.
    #[arg(long, env = "RECORDING_SYNC_SECONDS", default_value = "5")]
    pub(crate) recording_sync_seconds: NonZeroU16,
    /// No recording starts, and running ones stop, while fewer bytes are free on the disk.
    #[arg(long, env = "RECORDING_MIN_FREE", default_value_t = 1024 * 1024 * 1024)]
    pub(crate) recording_min_free: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConsentWord {
    Notice,
    Ask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayerWord {
    Low,
    Medium,
    High,
}

impl RecordingSettings {
    /// The folder of the recordings.
    pub(crate) fn folder(&self, data_dir: &Path) -> PathBuf {
        self.recording_dir.clone().unwrap_or_else(|| data_dir.join("recordings"))
    }

    pub(crate) fn config(&self, data_dir: &Path) -> RecordingConfig {
        let days = self.recording_days;
        RecordingConfig {
            on: self.recording == Switch::On,
            by: self.recording_by,
            consent: match self.recording_consent {
                ConsentWord::Notice => Consent::Notice,
                ConsentWord::Ask => Consent::Ask,
            },
            layer: match self.recording_layer {
                LayerWord::Low => RecordingLayer::Low,
                LayerWord::Medium => RecordingLayer::Medium,
                LayerWord::High => RecordingLayer::High,
            },
            access: self.recording_access,
            kept_for: (days > 0).then(|| Duration::from_secs(u64::from(days) * SECONDS_PER_DAY)),
            link_validity: Duration::from_secs(self.recording_link_seconds.into()),
            recorder: RecorderConfig {
                folder: self.folder(data_dir),
                key_frame_interval: Duration::from_secs(self.recording_key_frame_seconds.get().into()),
                sync_interval: Duration::from_secs(self.recording_sync_seconds.get().into()),
                min_free: self.recording_min_free,
                max_tracks: self.recording_max_tracks.get(),
            },
        }
    }
}

const SECONDS_PER_DAY: u64 = 24 * 3600;
