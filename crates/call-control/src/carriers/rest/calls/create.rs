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
    carriers::{
        http::problems::{About, Body, Counted, Signed, Start, Wishing, WithMetadata},
        rest::{extract::Caller, once::Repeatable},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({
    "groupId": "5b0f7a52-7f0f-4a53-9a86-3a1a0a6b1f11", "type": "video", "metadata": {"title": "Standup"},
}))]
pub(in crate::carriers::rest) struct CreateCall {
    group_id: GroupId,
    #[serde(default, rename = "type")]
    call_type: CallType,
    /// At most 16 KiB. With `recordingEnabled: true` the call is recorded once somebody else has joined.
    #[serde(default)]
    metadata: Metadata,
}

/// Start a call in a group
///
/// The caller is in it at once, and every device of every member is told. With an `Idempotency-Key`, repeating the
/// request within a day gets the same answer and starts nothing.
#[utoipa::path(
    post, path = "/calls", tag = "calls", security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        pattern = r"^[\x21-\x7e]+$",
        description = "Up to 255 visible ASCII characters that the caller never uses for another request")),
    request_body = CreateCall,
    responses(
        (status = 201, description = "The call is waiting for others", body = CallView),
        Counted, Signed, About, Body, WithMetadata, Start, Wishing,
    )
)]
pub(in crate::carriers::rest) async fn create_call(
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
