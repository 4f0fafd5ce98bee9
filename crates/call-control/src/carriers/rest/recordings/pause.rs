use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::as_stored;
use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed, Taped},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
    recordings::RecordingView,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"paused": true}))]
pub(in crate::carriers::rest) struct PauseRecording {
    paused: bool,
}

/// Pause a recording, or let it go on
///
/// Nothing is written while it is paused. For those who may start one. Works while the database cannot be reached.
#[utoipa::path(
    patch, path = "/recordings/{id}/pause", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    request_body = PauseRecording,
    responses(
        (status = 200, body = RecordingView),
        (status = 204, description = "It is done, but the database cannot be reached"),
        Counted, Signed, About, Body, Taped,
    )
)]
pub(in crate::carriers::rest) async fn pause_recording(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
    Json(body): Json<PauseRecording>,
) -> Result<Response, Refusal> {
    let call = control.calls.call_of_recording(recording).await?;
    control.calls.pause_recording(&by, call, Some(recording), body.paused).await?;
    as_stored(&control, recording).await
}
