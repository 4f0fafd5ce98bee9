use axum::{extract::State, http::StatusCode};

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed, Unfinished},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::Refusal,
    ids::{RecordingId, RecordingTrackId},
};

/// Delete one track of a recording
///
/// For a person who wants not to be in it. The files of the track are removed, and all links to the recording end. For
/// the call's initiator, the group's owners, server admins and the service.
#[utoipa::path(
    delete, path = "/recordings/{id}/tracks/{trackId}", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path), ("trackId" = RecordingTrackId, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        Counted, Signed, About, Unfinished,
    )
)]
pub(in crate::carriers::rest) async fn delete_recording_track(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((recording, track)): Path<(RecordingId, RecordingTrackId)>,
) -> Result<StatusCode, Refusal> {
    control.recordings.delete_track(&by, recording, track).await?;
    Ok(StatusCode::NO_CONTENT)
}
