use axum::extract::State;

use crate::{
    call::{CallView, StandingChange},
    control::Control,
    error::Refusal,
    ids::{CallId, UserId},
    rest::{
        extract::{Caller, Json, Path},
        problems::{About, Body, Over, Signed},
    },
};

/// Change what a member may do in a call
///
/// For its initiator and the group's admins, about people whose role is not above theirs. What somebody may not send
/// or receive any more ends at once.
#[utoipa::path(
    patch, path = "/calls/{id}/participants/{userId}", tag = "moderation", security(("token" = [])),
    params(("id" = CallId, Path), ("userId" = UserId, Path)),
    request_body = StandingChange,
    responses((status = 200, body = CallView), Signed, About, Body, Over)
)]
pub(in crate::rest) async fn permit_participant(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((call, user)): Path<(CallId, UserId)>,
    Json(change): Json<StandingChange>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.permit(&by, call, user, change).await.map(Json)
}
