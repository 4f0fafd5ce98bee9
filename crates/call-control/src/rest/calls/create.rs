use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::{CallType, CallView, Metadata},
    calls::NewCall,
    control::Control,
    error::{Problem, Refusal},
    ids::GroupId,
    rest::{
        extract::{Caller, Json},
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
/// The caller is in it at once, and every device of every member is told.
#[utoipa::path(
    post, path = "/calls", tag = "calls", security(("token" = [])),
    request_body = CreateCall,
    responses(
        (status = 201, description = "The call is waiting for others", body = CallView),
        Signed, About, Body,
        (status = 409, description = "The group already has a running call: `callId`", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn create_call(
    State(control): State<Control>,
    caller: Caller,
    Json(body): Json<CreateCall>,
) -> Result<(StatusCode, Json<CallView>), Refusal> {
    let new = NewCall { group_id: body.group_id, call_type: body.call_type, metadata: body.metadata };
    let call = control.calls.create(&caller.person(), new).await?;
    Ok((StatusCode::CREATED, Json(call)))
}
