use axum::{extract::State, http::StatusCode};

use super::Named;
use crate::{
    carriers::{
        http::problems::{Barred, Body, Counted, Signed},
        rest::extract::{Caller, Json},
    },
    control::Control,
    error::Refusal,
    store::Group,
};

/// Make a group
///
/// The caller is its owner.
#[utoipa::path(
    post, path = "/groups", tag = "groups", security(("token" = [])),
    request_body = Named,
    responses(
        (status = 201, body = Group, example = json!({
            "id": "5b0f7a52-7f0f-4a53-9a86-3a1a0a6b1f11", "name": "Team",
            "createdAt": "2026-03-02T09:00:00Z", "updatedAt": "2026-03-02T09:00:00Z",
        })),
        Counted, Signed, Barred, Body,
    )
)]
pub(in crate::carriers::rest) async fn create_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Json(body): Json<Named>,
) -> Result<(StatusCode, Json<Group>), Refusal> {
    let group = control.groups.create(&by, &body.name).await?;
    Ok((StatusCode::CREATED, Json(group)))
}
