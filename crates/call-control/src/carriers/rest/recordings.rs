//! `/recordings`: what was recorded of calls.

pub(super) mod captions;
pub(super) mod delete;
pub(super) mod delete_track;
pub(super) mod file;
pub(super) mod get;
pub(super) mod link;
pub(super) mod live;
pub(super) mod of_call;
pub(super) mod of_group;
pub(super) mod pause;
pub(super) mod put_captions;
pub(super) mod start;
pub(super) mod stop;
pub(super) mod timeline;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Json, bad_request};
use crate::{
    call::RecordingStatus,
    control::Control,
    error::{ErrorCode, Refusal},
    ids::RecordingId,
    recordings::{Language, Reader, Ticket},
};

/// Which of a group's recordings are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only recordings in this status; without it, all that are not deleted.
    status: Option<RecordingStatus>,
    /// How many items, 1 to 100; a page may have fewer although another follows.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The query of a link.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LinkQuery {
    #[param(pattern = "^(service|(admin-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
    reader: String,
    issued: i64,
    expires: i64,
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    signature: String,
    /// With it, of any value, browsers save the file under a name that tells whose it is.
    download: Option<String>,
}

/// The query of a link to a live track.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    #[param(pattern = "^(service|(admin-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
    reader: String,
    issued: i64,
    expires: i64,
    #[param(pattern = "^[A-Za-z0-9_-]{43}$")]
    signature: String,
    /// Seconds of the recording: begins at the last key frame before, and not at the last of all.
    from: Option<u64>,
}

/// The ticket in the query of a link.
fn ticket_of(reader: &str, issued: i64, expires: i64, signature: String) -> Result<Ticket, Refusal> {
    let reader = Reader::parse(reader).ok_or_else(|| bad_request("the link names no reader".to_owned()))?;
    Ok(Ticket { reader, issued, expires, signature })
}

/// The answer to what is done already, whether the database can be reached or not.
async fn as_stored(control: &Control, recording: RecordingId) -> Result<Response, Refusal> {
    match control.recordings.changed(recording).await {
        Err(refusal) if refusal.code == ErrorCode::Unavailable => Ok(StatusCode::NO_CONTENT.into_response()),
        view => view.map(|view| Json(view).into_response()),
    }
}

/// The language that a path names.
fn language_of(tag: &str) -> Result<Language, Refusal> {
    let invalid = || bad_request("a language is a tag such as de or pt-BR".to_owned());
    Language::parse(tag).ok_or_else(invalid)
}
