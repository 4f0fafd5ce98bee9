//! `/calls`: the durable record.

pub(super) mod active_of_group;
pub(super) mod active_of_user;
pub(super) mod create;
pub(super) mod end;
pub(super) mod events;
pub(super) mod get;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod legs;
pub(super) mod metadata;
pub(super) mod of_group;

use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::bad_request;
use crate::{call::CallStatus, error::Refusal, ids::CallId};

/// What of a group's history is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct History {
    /// Only calls that are in this status.
    status: Option<CallStatus>,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A body may repeat the id in the path.
fn same_call(path: CallId, body: Option<CallId>) -> Result<(), Refusal> {
    match body {
        Some(id) if id != path => Err(bad_request("callId is not that of the path".to_owned())),
        Some(_) | None => Ok(()),
    }
}
