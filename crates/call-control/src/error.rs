//! What a caller can be told when something does not work: one stable code, the same over REST and sockets.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{call::CallError, ids::CallId};

/// The stable codes: `code` in problem documents and in the error acks of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
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
            CallError::Full => ErrorCode::TooManyParticipants,
            CallError::MetadataTooLarge { .. } => ErrorCode::MetadataTooLarge,
        };
        Self::new(code, error.to_string())
    }
}

/// An error as REST answers it (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/problems/<slug>`, stable like `code`.
    #[schema(example = "/problems/not-found")]
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: ErrorCode,
    /// The running call, when `code` is `call_exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            r#type: format!("/problems/{}", refusal.code.slug()),
            title: refusal.code.title().to_owned(),
            status: refusal.code.status().as_u16(),
            detail: refusal.detail.into_owned(),
            code: refusal.code,
            call_id: refusal.call_id,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.code;
        let wait = self.retry_after.or_else(|| code.retryable().then_some(USUAL_WAIT));
        let mut response = (code.status(), Json(Problem::from(self))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if code == ErrorCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, whole_seconds(wait).into());
        }
        response
    }
}

/// Never 0, which would mean at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// After a fault that nobody knows the length of.
const USUAL_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_long_to_wait_if_waiting_helps() {
        let said = |refusal: Refusal| refusal.into_response().headers().get(header::RETRY_AFTER).cloned();
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (4_000, "4")] {
            let refusal = Refusal::rate_limited(Duration::from_millis(millis));
            assert_eq!(said(refusal).unwrap(), seconds, "{millis} ms");
        }
        assert_eq!(said(Refusal::new(ErrorCode::Unavailable, "")).unwrap(), "2");
        assert_eq!(said(Refusal::new(ErrorCode::Forbidden, "")), None);
    }
}
