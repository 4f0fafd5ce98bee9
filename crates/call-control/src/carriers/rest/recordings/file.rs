use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{LinkQuery, ticket_of};
use crate::{
    carriers::{
        http::{
            problems::{Limited, Malformed, OpenFile as Problems},
            range::{self, Part},
        },
        rest::extract::{Path, Query},
    },
    control::Control,
    error::{ErrorCode, Refusal},
    ids::FileId,
    recordings::OpenFile,
};

/// The bytes of a file
///
/// Takes a link of `POST /recordings/{id}/links`, and no token. One range of bytes is answered alone, several with the
/// whole file. The files of a recording that is not finished are not given.
#[utoipa::path(
    get, path = "/recordings/files/{fileId}", tag = "recordings",
    params(("fileId" = FileId, Path), LinkQuery),
    responses(
        (status = 200, description = "The whole file", content_type = "application/octet-stream"),
        (status = 206, description = "The bytes that `Range` asks for", content_type = "application/octet-stream"),
        (status = 304, description = "The client has the file, as `If-None-Match` says"),
        Limited, Malformed, Problems,
    )
)]
pub(in crate::carriers::rest) async fn get_recording_file(
    State(control): State<Control>,
    Path(file): Path<FileId>,
    Query(link): Query<LinkQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (file, described) = open(&control, file, link).await?;
    if range::is_known(&headers, &file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, described).into_response());
    }
    let (status, first, end) = match range::wanted(&headers, &file.etag, file.length) {
        Part::Whole => (StatusCode::OK, 0, file.length),
        Part::Some { first, last } => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Part::Outside => return Ok(outside(file.length)),
    };
    let mut response = (status, described).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", end - 1, file.length);
        response.headers_mut().insert(header::CONTENT_RANGE, text(&range));
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, (end - first).into());
    *response.body_mut() = Body::from_stream(file.bytes(first, end));
    Ok(response)
}

/// What a `GET` of the whole file would say of it
#[utoipa::path(
    head, path = "/recordings/files/{fileId}", tag = "recordings",
    params(("fileId" = FileId, Path), LinkQuery),
    responses(
        (status = 200, description = "Length, type and entity tag of the file"),
        (status = 304, description = "The file is the one that `If-None-Match` names"),
        Limited, Malformed, Problems,
    )
)]
pub(in crate::carriers::rest) async fn head_recording_file(
    State(control): State<Control>,
    Path(file): Path<FileId>,
    Query(link): Query<LinkQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (file, described) = open(&control, file, link).await?;
    if range::is_known(&headers, &file.etag) {
        return Ok((StatusCode::NOT_MODIFIED, described).into_response());
    }
    let mut response = described.into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, file.length.into());
    Ok(response)
}

/// Opens the file of a link. Returns it with the headers that describe it.
async fn open(control: &Control, file: FileId, link: LinkQuery) -> Result<(OpenFile, HeaderMap), Refusal> {
    let ticket = ticket_of(&link.reader, link.issued, link.expires, link.signature)?;
    let file = control.recordings.open(file, &ticket).await?;
    let disposition = match link.download {
        Some(_) => attachment(&control.recordings.name_of(&file).await?),
        None => "inline".to_owned(),
    };
    let headers = [
        (header::CONTENT_TYPE, text(&file.content_type)),
        (header::ETAG, text(&file.etag)),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CONTENT_DISPOSITION, text(&disposition)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private")),
        // The link must not reach another site.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((file, headers.into_iter().collect()))
}

fn outside(length: u64) -> Response {
    let mut response =
        Refusal::new(ErrorCode::RangeNotSatisfiable, format!("the file has {length} bytes")).into_response();
    response.headers_mut().insert(header::CONTENT_RANGE, text(&format!("bytes */{length}")));
    response
}

/// `Content-Disposition` with the name in ASCII, and in any script (RFC 6266 §4.3, RFC 8187 §3.2).
fn attachment(name: &str) -> String {
    let plain: String = name.chars().map(|letter| if letter.is_ascii() { letter } else { '-' }).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// Of visible ASCII, as all callers give it.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_any_script_is_saved_as_it_is() {
        assert_eq!(
            attachment("2026-11-29 1204 Zoë camera 0.webm"),
            "attachment; filename=\"2026-11-29 1204 Zo- camera 0.webm\"; \
             filename*=UTF-8''2026-11-29%201204%20Zo%C3%AB%20camera%200.webm"
        );
    }
}
