//! What a caller can be told when something does not work: one stable code, the same over REST and sockets.

mod problem;

use std::{borrow::Cow, time::Duration};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use crate::{call::CallError, ids::CallId};

pub use problem::{Problem, ProblemType};

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
    /// Whether the same request may succeed later without any change.
    #[must_use]
    pub const fn retryable(self) -> bool {
        self.entry().3
    }

    pub(crate) const fn status(self) -> StatusCode {
        self.entry().0
    }

    /// The last path segment of the problem's `type`.
    pub(crate) const fn slug(self) -> &'static str {
        self.entry().1
    }

    const fn title(self) -> &'static str {
        self.entry().2
    }

    /// Status, slug, title, retryable.
    const fn entry(self) -> (StatusCode, &'static str, &'static str, bool) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "The request is malformed", false),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "Sign in first", false),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed", false),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found", false),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", false)
            }
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Send JSON", false)
            }
            Self::NotInCall => (StatusCode::CONFLICT, "not-in-call", "Not in this call", false),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Conflicts with the current state", false),
            Self::CallEnded => (StatusCode::CONFLICT, "call-ended", "The call has ended", false),
            Self::CallExists => {
                (StatusCode::CONFLICT, "call-exists", "The group already has a running call", false)
            }
            Self::CallLocked => (StatusCode::FORBIDDEN, "call-locked", "The call is locked", false),
            Self::Removed => (StatusCode::FORBIDDEN, "removed", "Removed from this call", false),
            Self::IdempotencyMismatch => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-mismatch",
                "The key belongs to another request",
                false,
            ),
            Self::Unsupported => (StatusCode::UNPROCESSABLE_ENTITY, "unsupported", "Not supported", false),
            Self::LimitExceeded => {
                (StatusCode::UNPROCESSABLE_ENTITY, "limit-exceeded", "A limit is reached", false)
            }
            Self::TooManyMembers => limit("too-many-members", "The group is full"),
            Self::TooManyParticipants => limit("too-many-participants", "The call is full"),
            Self::TooManyProducers => limit("too-many-producers", "This device sends all it may"),
            Self::TooManyConsumers => limit("too-many-consumers", "This device receives all it may"),
            Self::TooManySockets => limit("too-many-sockets", "This user has all the connections they may"),
            Self::MetadataTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "metadata-too-large", "The metadata is too large", false)
            }
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", false),
            Self::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", true),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout", "Took too long", true),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now", true)
            }
            Self::NodeOverloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "node-overloaded", "This server is at its limit", true)
            }
            Self::NodeDraining => {
                (StatusCode::SERVICE_UNAVAILABLE, "node-draining", "This server is shutting down", true)
            }
            Self::UnknownEvent => (StatusCode::BAD_REQUEST, "unknown-event", "Unknown event", false),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke on our side", false)
            }
        }
    }
}

const fn limit(slug: &'static str, title: &'static str) -> (StatusCode, &'static str, &'static str, bool) {
    (StatusCode::UNPROCESSABLE_ENTITY, slug, title, false)
}

/// Why an operation was refused: a code to act on, and a sentence for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.slug())]
pub struct Refusal {
    pub code: ErrorCode,
    pub detail: Cow<'static, str>,
    /// The call that stands in the way, for [`ErrorCode::CallExists`].
    pub call_id: Option<CallId>,
    /// How long to wait before the same request may succeed, if that is known.
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

    /// For faults of our own: the cause goes to the log, the caller learns nothing of it.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(ErrorCode::Internal, "the error was logged")
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::Ended => ErrorCode::CallEnded,
            CallError::NotInCall => ErrorCode::NotInCall,
            CallError::UnknownLeg => ErrorCode::NotFound,
            CallError::Locked => ErrorCode::CallLocked,
            CallError::Removed => ErrorCode::Removed,
            CallError::TooManyLegs => ErrorCode::LimitExceeded,
            CallError::Full => ErrorCode::TooManyParticipants,
            CallError::MetadataTooLarge { .. } => ErrorCode::MetadataTooLarge,
        };
        Self::new(code, error.to_string())
    }
}
