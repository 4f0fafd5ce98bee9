use axum::extract::State;

use crate::{
    call::{CallView, Metadata},
    carriers::{
        http::problems::{About, Body, Counted, Patching, Signed, WithMetadata},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

/// Change what the app wants to remember about a call
///
/// Merges the body by RFC 7396: null removes a member. For the call's initiator and the group's admins.
///
/// `recordingEnabled` starts or stops a recording, for those who may record; while the call waits, it is a wish for when
/// it starts. While the call is recorded, the server keeps `recordingEnabled`, and `recordingId`, which only it can set.
/// Both do not count for the size.
#[utoipa::path(
    patch, path = "/calls/{id}/metadata", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = Metadata,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, WithMetadata, Patching,
    )
)]
pub(in crate::carriers::rest) async fn update_metadata(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Json(patch): Json<Metadata>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.update_metadata(&by, call, patch).await.map(Json)
}
