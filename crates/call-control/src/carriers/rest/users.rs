//! `/users`: the users known to the server.

pub(super) mod me;
pub(super) mod put;
pub(super) mod revoke_sessions;
pub(super) mod search;

use serde::Deserialize;
use utoipa::IntoParams;

/// The prefix of a name: at most 100 characters, without control characters.
#[derive(Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Prefix(String);

#[derive(Debug, thiserror::Error)]
#[error("a name is one line of at most 100 characters")]
pub(super) struct InvalidPrefix;

impl TryFrom<String> for Prefix {
    type Error = InvalidPrefix;

    fn try_from(text: String) -> Result<Self, InvalidPrefix> {
        let is_prefix = text.chars().count() <= 100 && !text.contains(char::is_control);
        if is_prefix { Ok(Self(text)) } else { Err(InvalidPrefix) }
    }
}

/// Whom to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// What the name starts with.
    #[serde(default)]
    #[param(value_type = Option<String>, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    name: Prefix,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}
