use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::{CallType, CallView, Metadata},
    calls::{Created, NewCall},
    control::Control,
    error::{Problem, Refusal},
    ids::GroupId,
    rest::{
        extract::Caller,
        once::Repeatable,
        problems::{About, Body, Signed},
    },
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::rest) struct CreateCall {
    group_id: GroupId,
    #[serde(default, rename = "type")]
    call_type: CallType,
    /// At most 16 KiB.
    #[serde(default)]
    metadata: Metadata,
}

/// Start a call in a group
///
/// The caller is in it at once, and every device of every member is told. With an `Idempotency-Key`, repeating the
/// request within a day gets the same answer and starts nothing.
#[utoipa::path(
    post, path = "/calls", tag = "calls", security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, max_length = 255,
        description = "Up to 255 visible ASCII characters that the caller never uses for another request")),
    request_body = CreateCall,
    responses(
        (status = 201, description = "The call is waiting for others", body = CallView),
        Signed, About, Body,
        (status = 409, description = "The group already has a running call: `callId`; or the key's first request \
            is still being worked on", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key came with another body before", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn create_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Repeatable { body, once }: Repeatable<CreateCall>,
) -> Result<Response, Refusal> {
    let new = NewCall { group_id: body.group_id, call_type: body.call_type, metadata: body.metadata, once };
    Ok(match control.calls.create(&by, new).await? {
        Created::Now(call) => (StatusCode::CREATED, Json(*call)).into_response(),
        Created::Before(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
    })
}
