use axum::{body::Body, extract::State, http::header, response::IntoResponse};

use super::language_of;
use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::Refusal,
    ids::RecordingId,
};

/// The captions of a recording in a language
#[utoipa::path(
    get, path = "/recordings/{id}/captions/{language}", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path), ("language" = String, Path, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", example = "de")),
    responses(
        (status = 200, body = String, content_type = "text/vtt"),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn get_captions(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((recording, language)): Path<(RecordingId, String)>,
) -> Result<impl IntoResponse, Refusal> {
    let file = control.recordings.captions(&by, recording, &language_of(&language)?).await?;
    let kind = [(header::CONTENT_TYPE, file.content_type.clone())];
    let length = file.length;
    Ok((kind, Body::from_stream(file.bytes(0, length))))
}
