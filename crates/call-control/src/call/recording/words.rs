//! The states and kinds of a recording, as they are stored and sent.

use serde::{Deserialize, Serialize};
use switchyard_media_worker::media::RecordedLayer;
use ts_rs::TS;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum RecordingStatus {
    Recording,
    Paused,
    /// Stopped; its files are being finished.
    Finishing,
    /// Its files are complete.
    Ready,
    /// Its files can be played, but something is missing.
    Incomplete,
    /// It has no files, because the storage failed.
    Failed,
    /// Its files are deleted, or about to be.
    Deleted,
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum RecordingEnd {
    Stopped,
    CallEnded,
    DiskFull,
    StorageError,
    ServerRestart,
    /// It reached the longest duration.
    Limit,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum RecordingMode {
    /// Only what is heard.
    Audio,
    #[default]
    Video,
}

/// Whose media are recorded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum Consent {
    /// Everybody's; everybody is told.
    #[default]
    Notice,
    /// Only those of devices that accepted.
    Ask,
}

/// The highest layer of a video that is recorded: of three, the first, the second or the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum RecordingLayer {
    Low,
    Medium,
    #[default]
    High,
}

impl From<RecordingLayer> for RecordedLayer {
    fn from(layer: RecordingLayer) -> Self {
        match layer {
            RecordingLayer::Low => Self::Low,
            RecordingLayer::Medium => Self::Medium,
            RecordingLayer::High => Self::High,
        }
    }
}

impl RecordingEnd {
    /// Whether all that was to be recorded until then is there.
    #[must_use]
    pub const fn leaves_it_whole(self) -> bool {
        match self {
            Self::Stopped | Self::CallEnded | Self::Limit => true,
            Self::DiskFull | Self::StorageError | Self::ServerRestart => false,
        }
    }
}

impl RecordingStatus {
    /// Whether the recording has not been stopped.
    #[must_use]
    pub const fn is_running(self) -> bool {
        match self {
            Self::Recording | Self::Paused => true,
            Self::Finishing | Self::Ready | Self::Incomplete | Self::Failed | Self::Deleted => false,
        }
    }

    /// Whether its files are as they will stay, until they are deleted.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Ready | Self::Incomplete | Self::Failed => true,
            Self::Recording | Self::Paused | Self::Finishing | Self::Deleted => false,
        }
    }
}
