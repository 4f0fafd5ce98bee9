use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed, Unfinished},
        rest::extract::{Caller, Json, Path, bad_request},
    },
    control::Control,
    error::Refusal,
    ids::{FileId, RecordingId, RecordingTrackId},
    recordings::Target,
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"fileId": "5d0a1f0e-2f5c-4f1c-9a35-0c1d6b1f7a10"}))]
pub(in crate::carriers::rest) struct MakeLink {
    /// A file of a finished recording.
    file_id: Option<FileId>,
    /// A track of a running recording, together with `live`.
    track_id: Option<RecordingTrackId>,
    live: Option<bool>,
}

impl MakeLink {
    fn target(&self) -> Result<Target, Refusal> {
        match (self.file_id, self.track_id, self.live) {
            (Some(file), None, None | Some(false)) => Ok(Target::File(file)),
            (None, Some(track), Some(true)) => Ok(Target::Live(track)),
            (Some(_), ..) | (None, ..) => {
                Err(bad_request("a link is for a fileId, or for a trackId with live: true".to_owned()))
            }
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::carriers::rest) struct Link {
    /// Relative to the address of this server.
    #[schema(
        example = "/recordings/files/5d0a1f0e-2f5c-4f1c-9a35-0c1d6b1f7a10?reader=…&issued=…&expires=1796000000&signature=…"
    )]
    url: String,
    expires_at: DateTime<Utc>,
}

/// Make a link to a file, or to a track while it is recorded
///
/// The link needs no token, so that a player can use it: keep it secret. It is good for `RECORDING_LINK_SECONDS`, as long
/// as the caller may see the recording; a player asks for another when it is refused. Each link is an entry
/// `RECORDING_DOWNLOADED` of the audit log.
#[utoipa::path(
    post, path = "/recordings/{id}/links", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    request_body = MakeLink,
    responses(
        (status = 201, body = Link),
        Counted, Signed, About, Body, Unfinished,
    )
)]
pub(in crate::carriers::rest) async fn make_recording_link(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
    Json(wanted): Json<MakeLink>,
) -> Result<(StatusCode, Json<Link>), Refusal> {
    control.limiter.count_link(by.user_id())?;
    let target = wanted.target()?;
    let ticket = control.recordings.link(&by, recording, target).await?;
    let path = match target {
        Target::File(file) => format!("/recordings/files/{file}"),
        Target::Live(track) => format!("/recordings/{recording}/tracks/{track}/live"),
    };
    let link = Link {
        url: format!("{path}?{}", ticket.query()),
        expires_at: DateTime::from_timestamp(ticket.expires, 0).unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, Json(link)))
}
