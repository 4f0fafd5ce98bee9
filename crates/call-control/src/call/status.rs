use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum CallType {
    Audio,
    #[default]
    Video,
    Screen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema, TS)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum CallStatus {
    Waiting,
    Active,
    Ended,
    Cancelled,
    Failed,
}

impl CallStatus {
    #[must_use]
    pub const fn is_running(self) -> bool {
        match self {
            Self::Waiting | Self::Active => true,
            Self::Ended | Self::Cancelled | Self::Failed => false,
        }
    }
}

/// Why somebody ends a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    #[default]
    Normal,
    Timeout,
    Error,
    Cancelled,
}

/// Why a call ended: as somebody said, or as the server found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema, TS)]
#[serde(rename_all = "kebab-case")]
#[sqlx(type_name = "TEXT", rename_all = "kebab-case")]
pub enum Ending {
    Normal,
    Timeout,
    Error,
    Cancelled,
    /// Everybody who was rung declined.
    Declined,
    LastLeft,
    GroupDeleted,
    ServerRestart,
}

impl From<EndReason> for Ending {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Normal => Self::Normal,
            EndReason::Timeout => Self::Timeout,
            EndReason::Error => Self::Error,
            EndReason::Cancelled => Self::Cancelled,
        }
    }
}

impl Ending {
    /// The reason as stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Declined => "declined",
            Self::LastLeft => "last-left",
            Self::GroupDeleted => "group-deleted",
            Self::ServerRestart => "server-restart",
        }
    }
}
