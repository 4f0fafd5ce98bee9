use axum::extract::State;

use super::Named;
use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
    store::Group,
};

/// Rename a group
#[utoipa::path(
    patch, path = "/groups/{id}", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path)),
    request_body = Named,
    responses(
        (status = 200, body = Group),
        Counted, Signed, About, Body,
    )
)]
pub(in crate::carriers::rest) async fn rename_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Json(body): Json<Named>,
) -> Result<Json<Group>, Refusal> {
    control.groups.rename(&by, group, &body.name).await.map(Json)
}
