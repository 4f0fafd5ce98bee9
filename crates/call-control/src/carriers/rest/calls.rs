//! `/calls`: the durable record of calls.

pub(super) mod active_of_group;
pub(super) mod active_of_user;
pub(super) mod create;
pub(super) mod decline;
pub(super) mod end;
pub(super) mod events;
pub(super) mod get;
pub(super) mod invitations;
pub(super) mod join;
pub(super) mod leave;
pub(super) mod legs;
pub(super) mod lock;
pub(super) mod metadata;
pub(super) mod missed;
pub(super) mod mute;
pub(super) mod of_group;
pub(super) mod participants;
pub(super) mod permit;
pub(super) mod remove;
pub(super) mod ring;

use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Moment, bad_request};
use crate::{
    call::{CallStatus, CallType},
    error::Refusal,
    ids::{CallId, UserId},
};

/// What of a group's history is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct History {
    /// Only calls that are in this status.
    status: Option<CallStatus>,
    /// Only calls of this type.
    #[serde(rename = "type")]
    call_type: Option<CallType>,
    /// Only calls that this user was in.
    member: Option<UserId>,
    /// Only calls created at this time or later.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<Moment>,
    /// Only calls created before this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<Moment>,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Checks that the id in a body, if present, is the id in the path.
fn same_call(path: CallId, body: Option<CallId>) -> Result<(), Refusal> {
    match body {
        Some(id) if id != path => Err(bad_request("callId is not that of the path".to_owned())),
        Some(_) | None => Ok(()),
    }
}
