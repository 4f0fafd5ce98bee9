use std::{path::PathBuf, str::FromStr, time::Duration};

use serde::Serialize;
use switchyard_recorder::RecorderConfig;
use utoipa::ToSchema;

use crate::{
    call::{Consent, RecordingLayer},
    calls::access::Say,
    error::{ErrorCode, Refusal},
};

/// Settings of recording.
#[derive(Clone, Debug)]
pub struct RecordingConfig {
    /// Whether recordings may start. Those that exist can be read and deleted in any case.
    pub on: bool,
    pub by: RecordingBy,
    /// What a start that says nothing about consent means. A start cannot ask for less.
    pub consent: Consent,
    pub layer: RecordingLayer,
    pub access: RecordingAccess,
    /// How long a recording is kept after its end; `None`: until somebody deletes it.
    pub kept_for: Option<Duration>,
    /// How long a link to a file is valid.
    pub link_validity: Duration,
    pub recorder: RecorderConfig,
}

/// Who may start, pause and stop recordings, besides the service and server admins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingBy {
    /// The call's initiator, and the group's admins and owners.
    Moderators,
    /// All members of the group.
    Members,
    /// Nobody.
    Service,
}

/// Who may read recordings, besides the service and server admins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordingAccess {
    /// Members who were in the call, and its moderators.
    Participants,
    /// All members of the group.
    Members,
    /// The call's initiator, and the group's admins and owners.
    Moderators,
}

#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownWord(&'static str);

impl RecordingConfig {
    /// The defaults, with files in this folder.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self {
            on: true,
            by: RecordingBy::Moderators,
            consent: Consent::Notice,
            layer: RecordingLayer::High,
            access: RecordingAccess::Participants,
            kept_for: None,
            link_validity: Duration::from_secs(900),
            recorder: RecorderConfig {
                folder,
                key_frame_interval: Duration::from_secs(10),
                sync_interval: Duration::from_secs(5),
                min_free: 1024 * 1024 * 1024,
                max_tracks: 200,
            },
        }
    }
}

impl RecordingBy {
    /// Checks that somebody may record the call in which this is their say.
    ///
    /// # Errors
    /// `forbidden`.
    pub(in crate::calls) fn admit(self, say: &Say) -> Result<(), Refusal> {
        match self {
            _ if say.is_server_admin() => Ok(()),
            Self::Moderators => say.moderation().map(drop),
            Self::Members => say.insight(),
            Self::Service => Err(only_the_app()),
        }
    }
}

impl FromStr for RecordingBy {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "moderators" => Ok(Self::Moderators),
            "members" => Ok(Self::Members),
            "service" => Ok(Self::Service),
            _ => Err(UnknownWord("moderators, members or service")),
        }
    }
}

impl FromStr for RecordingAccess {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "participants" => Ok(Self::Participants),
            "members" => Ok(Self::Members),
            "moderators" => Ok(Self::Moderators),
            _ => Err(UnknownWord("participants, members or moderators")),
        }
    }
}

pub(super) fn only_the_app() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "only the app may record")
}
