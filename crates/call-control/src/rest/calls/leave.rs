use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::same_call;
use crate::{
    call::CallView,
    control::Control,
    error::{Problem, Refusal},
    ids::{CallId, LegId},
    rest::{
        extract::{Caller, Json, OptionalJson, Path},
        problems::{About, Body, Signed},
    },
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::rest) struct LeaveCall {
    /// If given, the same as in the path.
    call_id: Option<CallId>,
    /// Only this one of the caller's legs.
    leg_id: Option<LegId>,
}

/// Leave a call
///
/// Ends all of the caller's legs. When nobody is left, the call is over. Leaving twice changes nothing.
#[utoipa::path(
    post, path = "/calls/{id}/leave", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = Option<LeaveCall>,
    responses(
        (status = 200, body = CallView),
        Signed, About, Body,
        (status = 409, description = "The caller was never in the call", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn leave_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    OptionalJson(body): OptionalJson<LeaveCall>,
) -> Result<Json<CallView>, Refusal> {
    same_call(call, body.call_id)?;
    control.calls.leave(&by, call, body.leg_id).await.map(Json)
}
