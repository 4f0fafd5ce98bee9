use axum::{extract::State, http::header, response::IntoResponse};

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
};

/// Who spoke when in a recording, and when it was paused
///
/// JSON objects, one a line: `{"atMs": 1200, "speaker": "<track id>"}` when somebody begins to speak (`null`: nobody does), and
/// `{"atMs": 3400, "paused": true}`. Of a running recording as far as it is written.
#[utoipa::path(
    get, path = "/recordings/{id}/timeline", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    responses(
        (status = 200, body = String, content_type = "application/jsonl"),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn get_timeline(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
) -> Result<impl IntoResponse, Refusal> {
    let text = control.recordings.timeline(&by, recording).await?;
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], text))
}
