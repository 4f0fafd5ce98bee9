use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::same_call;
use crate::{
    call::{CallView, EndReason},
    carriers::{
        http::problems::{About, Body, Counted, Signed},
        rest::extract::{Caller, Json, OptionalJson, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"reason": "normal"}))]
pub(in crate::carriers::rest) struct EndCall {
    /// If given, the same as in the path.
    call_id: Option<CallId>,
    reason: EndReason,
}

/// End a call for everybody
///
/// For its initiator and the group's admins. Ending an ended call changes nothing.
#[utoipa::path(
    patch, path = "/calls/{id}/end", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = Option<EndCall>,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body,
    )
)]
pub(in crate::carriers::rest) async fn end_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    OptionalJson(body): OptionalJson<EndCall>,
) -> Result<Json<CallView>, Refusal> {
    same_call(call, body.call_id)?;
    control.calls.end(&by, call, body.reason).await.map(Json)
}
