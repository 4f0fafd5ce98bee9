use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{About, Body, Counted, LastOwner, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{GroupId, UserId},
    store::{Member, Role},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "admin"}))]
pub(in crate::carriers::rest) struct SetRole {
    role: Role,
}

/// Give a member another role
///
/// For admins and owners, who change and give no role above their own. The last owner stays owner.
#[utoipa::path(
    patch, path = "/groups/{id}/members/{userId}", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path), ("userId" = UserId, Path)),
    request_body = SetRole,
    responses(
        (status = 200, body = Member),
        Counted, Signed, About, Body, LastOwner,
    )
)]
pub(in crate::carriers::rest) async fn set_role(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((group, user)): Path<(GroupId, UserId)>,
    Json(body): Json<SetRole>,
) -> Result<Json<Member>, Refusal> {
    control.groups.set_role(&by, group, user, body.role).await.map(Json)
}
