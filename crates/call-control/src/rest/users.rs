//! `/users`: who is who.

pub(super) mod me;
pub(super) mod put;
pub(super) mod revoke_sessions;
pub(super) mod search;

use serde::Deserialize;
use utoipa::IntoParams;

/// Whom to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// What the name starts with.
    #[serde(default)]
    name: String,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}
