use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::same_call;
use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Body, Counted, Entry, Signed},
        rest::extract::{Caller, Json, OptionalJson, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({}))]
pub(in crate::carriers::rest) struct JoinCall {
    /// If given, the same as in the path.
    call_id: Option<CallId>,
}

/// Join a call
///
/// Opens a leg that the caller's next device to join over a socket takes. Joining twice changes nothing.
#[utoipa::path(
    post, path = "/calls/{id}/join", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = Option<JoinCall>,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, Entry,
    )
)]
pub(in crate::carriers::rest) async fn join_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    OptionalJson(body): OptionalJson<JoinCall>,
) -> Result<Json<CallView>, Refusal> {
    same_call(call, body.call_id)?;
    control.calls.join(&by, call).await.map(Json)
}
