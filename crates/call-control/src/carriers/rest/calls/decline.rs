use axum::extract::State;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Counted, Declining, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

/// Decline a call that the caller is rung for
///
/// All devices of the caller stop ringing. A waiting call that everybody declined is cancelled. Declining twice changes
/// nothing.
#[utoipa::path(
    post, path = "/calls/{id}/decline", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Declining,
    )
)]
pub(in crate::carriers::rest) async fn decline_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.decline(&by, call).await.map(Json)
}
