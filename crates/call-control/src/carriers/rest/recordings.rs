//! `/recordings`: what was recorded of calls.

pub(super) mod captions;
pub(super) mod delete;
pub(super) mod delete_track;
pub(super) mod file;
pub(super) mod get;
pub(super) mod link;
pub(super) mod of_call;
pub(super) mod of_group;
pub(super) mod put_captions;

use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::bad_request;
use crate::{call::RecordingStatus, error::Refusal, recordings::Language};

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
    reader: String,
    expires: i64,
    signature: String,
    /// With it, of any value, browsers save the file under a name that tells whose it is.
    download: Option<String>,
}

/// The language that a path names.
fn language_of(tag: &str) -> Result<Language, Refusal> {
    let invalid = || bad_request("a language is a tag such as de or pt-BR".to_owned());
    Language::parse(tag).ok_or_else(invalid)
}
