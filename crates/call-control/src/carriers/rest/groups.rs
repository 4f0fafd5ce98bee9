//! `/groups`: groups and their members, who may take part in calls.

pub(super) mod add_member;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod members;
pub(super) mod put;
pub(super) mod put_member;
pub(super) mod remove_member;
pub(super) mod rename;
pub(super) mod set_role;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::name::DisplayName;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Team"}))]
pub(in crate::carriers::rest) struct Named {
    pub(in crate::carriers::rest) name: DisplayName,
}
