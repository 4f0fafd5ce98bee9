//! Problem documents: the error answers of REST.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::error::{ErrorCode, Refusal};
use crate::ids::CallId;

/// An error as REST answers it (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `/problems/<slug>`, stable like `code`.
    #[schema(value_type = ProblemType)]
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: ErrorCode,
    /// The running call, when `code` is `call_exists`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_id: Option<CallId>,
}

/// Every `type` there is, for the OpenAPI document: one for each [`ErrorCode`].
#[derive(Debug)]
pub enum ProblemType {}

impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let RefOr::T(Schema::Object(codes)) = ErrorCode::schema() else { return RefOr::default() };
        let codes = codes.enum_values.unwrap_or_default();
        let types = codes.iter().filter_map(Value::as_str).map(|code| type_of(&code.replace('_', "-")));
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(types)).into()
    }
}

impl ToSchema for ProblemType {}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self {
            r#type: type_of(refusal.code.slug()),
            title: refusal.code.title().to_owned(),
            status: status(refusal.code).as_u16(),
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
        let mut response = (status(code), Json(Problem::from(self))).into_response();
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

/// The HTTP status of an error code.
pub(crate) const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest | ErrorCode::UnknownEvent => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden
        | ErrorCode::CallLocked
        | ErrorCode::Removed
        | ErrorCode::RecordingOff
        | ErrorCode::LinkExpired => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::NotInCall
        | ErrorCode::Conflict
        | ErrorCode::CallEnded
        | ErrorCode::CallExists
        | ErrorCode::AlreadyRecording
        | ErrorCode::NotRecording => StatusCode::CONFLICT,
        ErrorCode::IdempotencyMismatch
        | ErrorCode::Unsupported
        | ErrorCode::CallEncrypted
        | ErrorCode::LimitExceeded
        | ErrorCode::TooManyMembers
        | ErrorCode::TooManyParticipants
        | ErrorCode::TooManyProducers
        | ErrorCode::TooManyConsumers
        | ErrorCode::TooManySockets => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::MetadataTooLarge | ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Unavailable | ErrorCode::NodeOverloaded | ErrorCode::NodeDraining => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn type_of(slug: &str) -> String {
    format!("/problems/{slug}")
}

/// Rounds up, to at least 1: a `Retry-After` of 0 would mean at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// `Retry-After` for a fault of unknown duration.
const USUAL_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use crate::carriers::http::problem::*;

    #[test]
    fn every_code_has_a_type_of_the_same_name_in_the_document() {
        let listed = |schema| serde_json::to_value(schema).unwrap()["enum"].clone();
        let codes: Vec<ErrorCode> = serde_json::from_value(listed(ErrorCode::schema())).unwrap();
        let types: Vec<String> = serde_json::from_value(listed(ProblemType::schema())).unwrap();
        assert!(codes.len() > 20);
        let sent: Vec<_> =
            codes.into_iter().map(|code| Problem::from(Refusal::new(code, "")).r#type).collect();
        assert_eq!(types, sent);
    }

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
