//! The problems an operation can answer with, for the OpenAPI document.

use utoipa::IntoResponses;

use crate::error::Problem;

/// Any request with a token.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum Signed {
    /// The token is missing, expired or not valid here.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The database cannot be reached; see `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Besides [`Signed`], what a request about one thing can meet.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum About {
    /// The request is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// Only members of the group, or only some of them, may do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
}

/// Besides [`Signed`], what only some people may ask.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum Forbidden {
    /// Only some may do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
}

/// Besides [`Signed`], what a request about nothing but its parameters can meet.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum BadQuery {
    /// The request is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
}

/// Besides [`About`], what a request about a running call can meet.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum Over {
    /// The call has ended, or whom it is about is not in it.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
}

/// Besides [`Signed`], what a request with a body can meet.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only describes")]
pub(super) enum Body {
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(Problem),
}
