use axum::{extract::State, http::StatusCode};

use super::Named;
use crate::{
    carriers::{
        http::problems::{About, Body, Counted, Signed},
        rest::extract::{Caller, Json, Path, group_to_put},
    },
    control::Control,
    error::Refusal,
    store::Group,
};

/// Keep a group in step with the app
///
/// Makes it or renames it; repeating that changes nothing. The id is a UUID, or whatever text the app knows the group
/// by (a UUID of version 5 as `external:<UUID>`); the answer says as which UUID. For the service and server admins.
#[utoipa::path(
    put, path = "/groups/{id}", tag = "admin", security(("token" = [])),
    params(("id" = String, Path, min_length = 1, max_length = 255)),
    request_body = Named,
    responses(
        (status = 200, description = "It was there", body = Group),
        (status = 201, description = "It is new", body = Group),
        Counted, Signed, About, Body,
    )
)]
pub(in crate::carriers::rest) async fn put_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Json(body): Json<Named>,
) -> Result<(StatusCode, Json<Group>), Refusal> {
    by.require_admin()?;
    let id = group_to_put(&control, &id).await?;
    let (group, new) = control.groups.put(&by, id, &body.name).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(group)))
}
