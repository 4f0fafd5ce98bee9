use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    control::Control,
    error::{Problem, Refusal},
    ids::{GroupId, UserId},
    rest::{
        extract::{Caller, Json, Path},
        problems::{About, Body, Signed},
    },
    store::{Member, Role},
};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::rest) struct AddMember {
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
        (status = 201, body = Member),
        Signed, About, Body,
        (status = 409, description = "The user is a member", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn add_member(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Json(body): Json<AddMember>,
) -> Result<(StatusCode, Json<Member>), Refusal> {
    let member = control.groups.add_member(&by, group, body.user_id, body.role).await?;
    Ok((StatusCode::CREATED, Json(member)))
}
