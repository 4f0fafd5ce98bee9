use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{LiveQuery, ticket_of};
use crate::{
    carriers::{
        http::{
            NO_STORE,
            problems::{Limited, Malformed, OpenLive},
        },
        rest::extract::{Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::{RecordingId, RecordingTrackId},
};

/// The growing file of a track
///
/// Takes a link of `POST /recordings/{id}/links` with `live`, and no token. Begins with the head of the file and the last key
/// frame, and goes on until the file ends; `Content-Location` names the file. A reader who takes nothing for 20 s is cut
/// off.
#[utoipa::path(
    get, path = "/recordings/{id}/tracks/{trackId}/live", tag = "recordings",
    params(("id" = RecordingId, Path), ("trackId" = RecordingTrackId, Path), LiveQuery),
    responses(
        (status = 200, description = "The file, as it grows", content_type = "application/octet-stream"),
        Limited, Malformed, OpenLive,
    )
)]
pub(in crate::carriers::rest) async fn get_live_track(
    State(control): State<Control>,
    Path((recording, track)): Path<(RecordingId, RecordingTrackId)>,
    Query(link): Query<LiveQuery>,
) -> Result<Response, Refusal> {
    let ticket = ticket_of(&link.reader, link.issued, link.expires, link.signature)?;
    let file = control.recordings.open_live(recording, track, ticket, link.from).await?;
    let location = format!("/recordings/files/{}", file.id);
    let headers = [
        (header::CONTENT_TYPE, file.content_type.as_str()),
        (header::CONTENT_LOCATION, location.as_str()),
        (header::CACHE_CONTROL, NO_STORE),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = headers.into_response();
    *response.body_mut() = Body::from_stream(file.bytes());
    Ok(response)
}
