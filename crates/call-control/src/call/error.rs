use std::time::Duration;

use crate::error::{ErrorCode, Refusal};

/// Why the machine refuses a command. A refused command changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("the call has ended")]
    Ended,
    #[error("this user is not in the call")]
    NotInCall,
    #[error("this user has no such leg in the call")]
    UnknownLeg,
    #[error("the call is locked")]
    Locked,
    #[error("a moderator removed this user from the call")]
    Removed,
    #[error("the call has as many participants as it may")]
    Full,
    #[error("this user has as many devices in the call as they may")]
    TooManyLegs,
    #[error("this user has joined the call too often")]
    TooManyJoins { retry_after: Duration },
    #[error("this user is not being rung")]
    NotRung,
    #[error("this user was rung just now")]
    RungJustNow { retry_after: Duration },
    #[error("this user was rung as often as the call may")]
    RungTooOften,
    #[error("the call has rung as many people as it may")]
    TooManyInvitations,
    #[error("metadata has more than {limit} bytes")]
    MetadataTooLarge { limit: usize },
    #[error("`recordingEnabled` is true or false, and `recordingId` is set by the server")]
    RecordingKeys,
    #[error("the call is being recorded, so `recordingEnabled` and `recordingId` stay")]
    KeysInUse,
    #[error("the call is being recorded already")]
    AlreadyRecording,
    #[error("the call is not being recorded")]
    NotRecording,
    #[error("this recording does not ask for consent")]
    NotAsked,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::Ended => ErrorCode::CallEnded,
            CallError::NotInCall => ErrorCode::NotInCall,
            CallError::UnknownLeg => ErrorCode::NotFound,
            CallError::Locked => ErrorCode::CallLocked,
            CallError::Removed => ErrorCode::Removed,
            CallError::TooManyJoins { retry_after } | CallError::RungJustNow { retry_after } => {
                return Self { detail: error.to_string().into(), ..Self::rate_limited(retry_after) };
            }
            CallError::TooManyLegs | CallError::RungTooOften | CallError::TooManyInvitations => {
                ErrorCode::LimitExceeded
            }
            CallError::Full => ErrorCode::TooManyParticipants,
            CallError::MetadataTooLarge { .. } => ErrorCode::MetadataTooLarge,
            CallError::RecordingKeys => ErrorCode::BadRequest,
            CallError::KeysInUse | CallError::NotAsked | CallError::NotRung => ErrorCode::Conflict,
            CallError::AlreadyRecording => ErrorCode::AlreadyRecording,
            CallError::NotRecording => ErrorCode::NotRecording,
        };
        Self::new(code, error.to_string())
    }
}
