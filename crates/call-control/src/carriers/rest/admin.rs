//! Operations for the app that uses the server, and for server admins.

pub(super) mod audit;
pub(super) mod sweep;

use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::Moment;
use crate::{
    audit::Action,
    ids::{CallId, GroupId, UserId},
};

/// Which entries are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    action: Option<Action>,
    group_id: Option<GroupId>,
    call_id: Option<CallId>,
    /// Who did it, or whom it was done to.
    user_id: Option<UserId>,
    /// At this time or later.
    #[param(value_type = Option<DateTime<Utc>>)]
    from: Option<Moment>,
    /// Before this time.
    #[param(value_type = Option<DateTime<Utc>>)]
    to: Option<Moment>,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}
