//! Errors of operations: stable codes, the same over REST and sockets.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::ids::CallId;

/// The stable codes: `code` in problem documents and in the error acks of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, TS)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    UnsupportedMediaType,
    NotInCall,
    Conflict,
    CallEnded,
    CallExists,
    CallLocked,
    CallEncrypted,
    AlreadyRecording,
    NotRecording,
    RecordingOff,
    StorageFull,
    LinkExpired,
    Removed,
    IdempotencyMismatch,
    Unsupported,
    LimitExceeded,
    TooManyMembers,
    TooManyParticipants,
    TooManyProducers,
    TooManyConsumers,
    TooManySockets,
    TooLarge,
    RangeNotSatisfiable,
    MetadataTooLarge,
    RateLimited,
    Timeout,
    Unavailable,
    NodeOverloaded,
    NodeDraining,
    UnknownEvent,
    Internal,
}

impl ErrorCode {
    /// Whether the same request may succeed later, unchanged.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Timeout | Self::Unavailable | Self::NodeOverloaded | Self::NodeDraining
        )
    }

    /// The last path segment of the problem's `type` (RFC 9457 §3.1.1).
    pub(crate) const fn slug(self) -> &'static str {
        self.words().0
    }

    pub(crate) const fn title(self) -> &'static str {
        self.words().1
    }

    /// Slug and title.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", "The request is malformed"),
            Self::Unauthorized => ("unauthorized", "Sign in first"),
            Self::Forbidden => ("forbidden", "Not allowed"),
            Self::NotFound => ("not-found", "Not found"),
            Self::MethodNotAllowed => ("method-not-allowed", "Method not allowed"),
            Self::UnsupportedMediaType => ("unsupported-media-type", "Send another content type"),
            Self::NotInCall => ("not-in-call", "Not in this call"),
            Self::Conflict => ("conflict", "Conflicts with the current state"),
            Self::CallEnded => ("call-ended", "The call has ended"),
            Self::CallExists => ("call-exists", "The group already has a running call"),
            Self::CallLocked => ("call-locked", "The call is locked"),
            Self::CallEncrypted => ("call-encrypted", "Encrypted media cannot be recorded"),
            Self::AlreadyRecording => ("already-recording", "The call is being recorded"),
            Self::NotRecording => ("not-recording", "The call is not being recorded"),
            Self::RecordingOff => ("recording-off", "This server records nothing"),
            Self::StorageFull => ("storage-full", "There is no space left for recordings"),
            Self::LinkExpired => ("link-expired", "The link is not valid any more"),
            Self::Removed => ("removed", "Removed from this call"),
            Self::IdempotencyMismatch => ("idempotency-mismatch", "The key belongs to another request"),
            Self::Unsupported => ("unsupported", "Not supported"),
            Self::LimitExceeded => ("limit-exceeded", "A limit is reached"),
            Self::TooManyMembers => ("too-many-members", "The group is full"),
            Self::TooManyParticipants => ("too-many-participants", "The call is full"),
            Self::TooManyProducers => ("too-many-producers", "This device sends all it may"),
            Self::TooManyConsumers => ("too-many-consumers", "This device receives all it may"),
            Self::TooManySockets => ("too-many-sockets", "This user has all the connections they may"),
            Self::MetadataTooLarge => ("metadata-too-large", "The metadata is too large"),
            Self::TooLarge => ("too-large", "Too large"),
            Self::RangeNotSatisfiable => ("range-not-satisfiable", "The file has none of these bytes"),
            Self::RateLimited => ("rate-limited", "Too many requests"),
            Self::Timeout => ("timeout", "Took too long"),
            Self::Unavailable => ("unavailable", "Not available right now"),
            Self::NodeOverloaded => ("node-overloaded", "This server is at its limit"),
            Self::NodeDraining => ("node-draining", "This server is shutting down"),
            Self::UnknownEvent => ("unknown-event", "Unknown event"),
            Self::Internal => ("internal", "Something broke on our side"),
        }
    }
}

/// Why an operation was refused: a code for programs, and a sentence for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.slug())]
pub struct Refusal {
    pub code: ErrorCode,
    pub detail: Cow<'static, str>,
    /// The running call of the group, for [`ErrorCode::CallExists`].
    pub call_id: Option<CallId>,
    /// How long to wait before the same request may succeed, if known (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), call_id: None, retry_after: None }
    }

    #[must_use]
    pub fn call_exists(call_id: CallId) -> Self {
        let refusal = Self::new(ErrorCode::CallExists, "join the running call instead");
        Self { call_id: Some(call_id), ..refusal }
    }

    #[must_use]
    pub fn rate_limited(wait: Duration) -> Self {
        let refusal = Self::new(ErrorCode::RateLimited, "ask less often");
        Self { retry_after: Some(wait), ..refusal }
    }

    /// A fault of the server: the cause is logged and not sent to the caller.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(ErrorCode::Internal, "the error was logged")
    }
}
