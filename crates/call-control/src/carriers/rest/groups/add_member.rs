use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{About, Adding, Body, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{GroupId, UserId},
    store::{Member, Role},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"userId": "c9a1f7d0-3f6b-4b52-8d0e-6c6f2d6f9e10", "role": "member"}))]
pub(in crate::carriers::rest) struct AddMember {
    user_id: UserId,
    #[serde(default)]
    role: Role,
}

/// Add a member
///
/// For admins and owners, who give no role above their own.
#[utoipa::path(
    post, path = "/groups/{id}/members", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path)),
    request_body = AddMember,
    responses(
        (status = 201, body = Member, example = json!({
            "userId": "c9a1f7d0-3f6b-4b52-8d0e-6c6f2d6f9e10", "name": "Ada", "role": "member",
        })),
        Counted, Signed, About, Body, Adding,
    )
)]
pub(in crate::carriers::rest) async fn add_member(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Json(body): Json<AddMember>,
) -> Result<(StatusCode, Json<Member>), Refusal> {
    let member = control.groups.add_member(&by, group, body.user_id, body.role).await?;
    Ok((StatusCode::CREATED, Json(member)))
}
