use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Body, Counted, Running, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"locked": true}))]
pub(in crate::carriers::rest) struct LockCall {
    locked: bool,
}

/// Keep newcomers out of a call, or let them in again
///
/// For its initiator and the group's admins, whom a lock does not keep out. Who is in it stays.
#[utoipa::path(
    patch, path = "/calls/{id}/lock", tag = "moderation", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = LockCall,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, Running,
    )
)]
pub(in crate::carriers::rest) async fn lock_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Json(body): Json<LockCall>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.lock(&by, call, body.locked).await.map(Json)
}
