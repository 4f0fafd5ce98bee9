use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::language_of;
use crate::{
    carriers::{
        http::problems::{About, CaptionsBody, Counted, Languages, Signed},
        rest::extract::{Caller, Path},
    },
    control::Control,
    error::{ErrorCode, Refusal},
    ids::RecordingId,
    recordings::MAX_CAPTIONS,
};

/// The body, for the document.
enum WebVtt {}

impl utoipa::PartialSchema for WebVtt {
    fn schema() -> RefOr<Schema> {
        let text =
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^WEBVTT([ \t\r\n][\s\S]*)?$"));
        text.examples(["WEBVTT\n\n00:00.000 --> 00:02.000\n<v Ada>Hello"]).build().into()
    }
}

impl ToSchema for WebVtt {}

/// Store the captions of a recording in a language
///
/// For a transcriber: WebVTT of at most 5 MiB, whose voices (`<v …>`) are ids of users. They replace earlier captions in
/// the same language. For the service and server admins.
#[utoipa::path(
    put, path = "/recordings/{id}/captions/{language}", tag = "recordings", security(("token" = [])),
    params(("id" = RecordingId, Path), ("language" = String, Path, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", example = "de")),
    request_body(content = WebVtt, content_type = "text/vtt"),
    responses(
        (status = 201, description = "The recording has captions in this language"),
        (status = 204, description = "They replaced earlier ones"),
        Counted, Signed, About, CaptionsBody, Languages,
    )
)]
pub(in crate::carriers::rest) async fn put_captions(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((recording, language)): Path<(RecordingId, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let language = language_of(&language)?;
    let text = read(&headers, body);
    let is_first = control.recordings.put_captions(&by, recording, &language, text).await?;
    Ok(if is_first { StatusCode::CREATED } else { StatusCode::NO_CONTENT })
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/vtt") {
        return Err(Refusal::new(ErrorCode::UnsupportedMediaType, "captions are text/vtt"));
    }
    let too_large = |_| Refusal::new(ErrorCode::TooLarge, "captions have at most 5 MiB");
    to_bytes(body, MAX_CAPTIONS).await.map_err(too_large)
}
