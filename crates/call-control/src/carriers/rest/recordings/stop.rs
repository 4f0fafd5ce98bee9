use axum::{extract::State, response::Response};

use super::as_stored;
use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
    recordings::RecordingView,
};

/// Stop a recording
///
/// Its files are finished soon after. Stopping a stopped one changes nothing. For those who may start one. Works while
/// the database cannot be reached.
#[utoipa::path(
    patch, path = "/recordings/{id}/stop", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    responses(
        (status = 200, body = RecordingView),
        (status = 204, description = "It is done, but the database cannot be reached"),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn stop_recording(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
) -> Result<Response, Refusal> {
    let call = control.calls.call_of_recording(recording).await?;
    control.calls.stop_recording(&by, call, Some(recording)).await?;
    as_stored(&control, recording).await
}
