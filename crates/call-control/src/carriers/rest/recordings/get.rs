use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
    recordings::RecordingDetails,
};

/// One recording with its tracks and files
///
/// Says of each track when it was on and when pictures are missing. A deleted recording has neither tracks nor files.
#[utoipa::path(
    get, path = "/recordings/{id}", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path)),
    responses(
        (status = 200, body = RecordingDetails),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn get_recording(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(recording): Path<RecordingId>,
) -> Result<Json<RecordingDetails>, Refusal> {
    control.recordings.find_one(&by, recording).await.map(Json)
}
