use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed, Unfinished},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{FileId, RecordingId, RecordingTrackId},
    recordings::Target,
};

/// What the link is to open.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a link is for a fileId, or for a trackId with live: true")]
#[schema(example = json!({"fileId": "5d0a1f0e-2f5c-4f1c-9a35-0c1d6b1f7a10"}))]
pub(in crate::carriers::rest) enum MakeLink {
    File(FileLink),
    Live(LiveLink),
}

/// A file of a finished recording.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::carriers::rest) struct FileLink {
    file_id: FileId,
}

/// A track of a running recording.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::carriers::rest) struct LiveLink {
    track_id: RecordingTrackId,
    #[schema(schema_with = only_true)]
    live: Yes,
}

/// The value true.
#[derive(Deserialize)]
#[serde(try_from = "bool")]
struct Yes;

#[derive(Debug, thiserror::Error)]
#[error("expected true")]
struct NotTrue;

impl TryFrom<bool> for Yes {
    type Error = NotTrue;

    fn try_from(value: bool) -> Result<Self, NotTrue> {
        if value { Ok(Self) } else { Err(NotTrue) }
    }
}

fn only_true() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])).build()
}

impl From<MakeLink> for Target {
    fn from(wanted: MakeLink) -> Self {
        match wanted {
            MakeLink::File(FileLink { file_id }) => Self::File(file_id),
            MakeLink::Live(LiveLink { track_id, live: Yes }) => Self::Live(track_id),
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
    let target = Target::from(wanted);
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
