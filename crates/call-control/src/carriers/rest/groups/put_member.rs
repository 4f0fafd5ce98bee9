use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Putting, Signed},
        rest::extract::{Caller, Json, Path, group_of, user_to_put},
    },
    control::Control,
    error::Refusal,
    name::DisplayName,
    store::{Member, Role},
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "member", "name": "Ada"}))]
pub(in crate::carriers::rest) struct PutMember {
    #[serde(default)]
    role: Role,
    /// What others see. A user who has not been seen before and gets none is shown by a short id.
    name: Option<DisplayName>,
}

/// Keep a member in step with the app
///
/// Adds them or changes their role; repeating that changes nothing. Users who are not known yet are written down. For
/// the service and server admins.
#[utoipa::path(
    put, path = "/groups/{id}/members/{userId}", tag = "admin", security(("token" = [])),
    params(
        ("id" = String, Path, min_length = 1, max_length = 255),
        ("userId" = String, Path, min_length = 1, max_length = 255),
    ),
    request_body = PutMember,
    responses(
        (status = 200, description = "They were a member", body = Member),
        (status = 201, description = "They are one from here on", body = Member),
        Counted, Signed, About, Body, Putting,
    )
)]
pub(in crate::carriers::rest) async fn put_member(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((group, user)): Path<(String, String)>,
    Json(body): Json<PutMember>,
) -> Result<(StatusCode, Json<Member>), Refusal> {
    by.require_admin()?;
    let (group, user) = (group_of(&group)?, user_to_put(&control, &user).await?);
    let (member, new) = control.groups.put_member(&by, group, user, body.role, body.name.as_ref()).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(member)))
}
