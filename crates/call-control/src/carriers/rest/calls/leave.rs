use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::same_call;
use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Body, Counted, Leaving, Signed},
        rest::extract::{Caller, Json, OptionalJson, Path},
    },
    control::Control,
    error::Refusal,
    ids::{CallId, LegId},
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"legId": "0d4c3f9a-2e51-4a0c-8a57-4f2f6f0f3c21"}))]
pub(in crate::carriers::rest) struct LeaveCall {
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
        Counted, Signed, About, Body, Leaving,
    )
)]
pub(in crate::carriers::rest) async fn leave_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    OptionalJson(body): OptionalJson<LeaveCall>,
) -> Result<Json<CallView>, Refusal> {
    same_call(call, body.call_id)?;
    control.calls.leave(&by, call, body.leg_id).await.map(Json)
}
