use axum::{extract::State, http::StatusCode};

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed, Unfinished},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
};

/// Delete a recording
///
/// Its files are removed and its links end at once; what stays is that there was a recording. For the call's initiator,
/// the group's owners, server admins and the service. For the last two it is enough that it was stopped: its files may go
/// later.
#[utoipa::path(
    delete, path = "/recordings/{id}", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        Counted, Signed, About, Unfinished,
    )
)]
pub(in crate::carriers::rest) async fn delete_recording(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
) -> Result<StatusCode, Refusal> {
    control.recordings.delete(&by, recording).await?;
    Ok(StatusCode::NO_CONTENT)
}
