//! Which peers take part in a run, and what each sends and receives.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Publishers send audio and video to many peers that only receive.
    Webinar,
    /// Every peer sends audio and video, receives all audio, and watches some videos.
    Meeting,
    /// Every peer sends and receives audio.
    AudioRoom,
    /// A webinar whose audience joins and leaves all the time.
    Churn,
    /// A webinar whose publishers lose some of their own packets and retransmit those that the server
    /// requests.
    LossyUplink,
}

/// What one peer sends and receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) publishes: bool,
    pub(crate) receives: bool,
}

impl Scenario {
    pub(crate) fn default_peers(self) -> usize {
        match self {
            Self::Webinar => 200,
            Self::Meeting => 12,
            Self::AudioRoom => 50,
            Self::Churn => 50,
            Self::LossyUplink => 20,
        }
    }

    /// The part of all other peers.
    pub(crate) fn part(self) -> Part {
        match self {
            Self::Webinar | Self::Churn | Self::LossyUplink => Part { publishes: false, receives: true },
            Self::Meeting | Self::AudioRoom => Part { publishes: true, receives: true },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Webinar => "webinar",
            Self::Meeting => "meeting",
            Self::AudioRoom => "audio room",
            Self::Churn => "churn",
            Self::LossyUplink => "lossy uplink",
        }
    }

    pub(crate) fn has_video(self) -> bool {
        self != Self::AudioRoom
    }
}
