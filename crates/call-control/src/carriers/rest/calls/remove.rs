use axum::extract::State;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Counted, Removing, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{CallId, UserId},
};

/// Put somebody out of a call
///
/// They stay out until a moderator admits them. For the call's initiator and the group's admins, about people whose
/// role is not above theirs.
#[utoipa::path(
    delete, path = "/calls/{id}/participants/{userId}", tag = "moderation", security(("token" = [])),
    params(("id" = CallId, Path), ("userId" = UserId, Path)),
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Removing,
    )
)]
pub(in crate::carriers::rest) async fn remove_participant(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((call, user)): Path<(CallId, UserId)>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.remove(&by, call, user).await.map(Json)
}
