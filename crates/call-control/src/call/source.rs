//! The source of a producer (such as microphone or camera), and the sources that each type of call allows.

use serde::{Deserialize, Serialize};
use switchyard_media_worker::media::ortc::MediaKind;
use ts_rs::TS;
use utoipa::ToSchema;

use super::CallType;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum Source {
    Mic,
    Camera,
    Screen,
    ScreenAudio,
}

/// The part of a client's `appData` that the server reads and passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct AppData {
    pub source: Source,
}

impl Source {
    pub const ALL: [Self; 4] = [Self::Mic, Self::Camera, Self::Screen, Self::ScreenAudio];

    /// The source as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mic => "mic",
            Self::Camera => "camera",
            Self::Screen => "screen",
            Self::ScreenAudio => "screen-audio",
        }
    }

    pub fn kind(self) -> MediaKind {
        match self {
            Self::Mic | Self::ScreenAudio => MediaKind::Audio,
            Self::Camera | Self::Screen => MediaKind::Video,
        }
    }

    pub fn is_allowed_in(self, call: CallType) -> bool {
        match (call, self) {
            (CallType::Video, _) | (_, Self::Mic) => true,
            (CallType::Screen, Self::Screen | Self::ScreenAudio) => true,
            (CallType::Screen, Self::Camera) => false,
            (CallType::Audio, Self::Camera | Self::Screen | Self::ScreenAudio) => false,
        }
    }

    /// Name of the media stream. Sources that belong together (microphone and camera, screen and its audio)
    /// share a stream, so that the receiver plays them in sync.
    pub fn stream(self) -> &'static str {
        match self {
            Self::Mic | Self::Camera => "camera",
            Self::Screen | Self::ScreenAudio => "screen",
        }
    }
}
