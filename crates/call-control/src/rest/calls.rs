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

use super::extract::bad_request;
use crate::{error::Refusal, ids::CallId};

/// A body may repeat the id in the path.
fn same_call(path: CallId, body: Option<CallId>) -> Result<(), Refusal> {
    match body {
        Some(id) if id != path => Err(bad_request("callId is not that of the path".to_owned())),
        Some(_) | None => Ok(()),
    }
}
