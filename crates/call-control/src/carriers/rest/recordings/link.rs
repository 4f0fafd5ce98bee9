use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed, Unfinished},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{FileId, RecordingId},
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"fileId": "5d0a1f0e-2f5c-4f1c-9a35-0c1d6b1f7a10"}))]
pub(in crate::carriers::rest) struct MakeLink {
    file_id: FileId,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::carriers::rest) struct Link {
    /// Relative to the address of this server.
    #[schema(
        example = "/recordings/files/5d0a1f0e-2f5c-4f1c-9a35-0c1d6b1f7a10?reader=…&expires=1796000000&signature=…"
    )]
    url: String,
    expires_at: DateTime<Utc>,
}

/// Make a link to a file
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
    let ticket = control.recordings.link(&by, recording, wanted.file_id).await?;
    let link = Link {
        url: format!("/recordings/files/{}?{}", wanted.file_id, ticket.query()),
        expires_at: DateTime::from_timestamp(ticket.expires, 0).unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, Json(link)))
}
