use axum::{extract::State, http::StatusCode};

use super::Named;
use crate::{
    control::Control,
    error::{Problem, Refusal},
    rest::{
        extract::{Caller, Json},
        problems::{Body, Signed},
    },
    store::Group,
};

/// Make a group
///
/// The caller is its owner.
#[utoipa::path(
    post, path = "/groups", tag = "groups", security(("token" = [])),
    request_body = Named,
    responses(
        (status = 201, body = Group),
        Signed, Body,
        (status = 400, description = "The request is malformed", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn create_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Json(body): Json<Named>,
) -> Result<(StatusCode, Json<Group>), Refusal> {
    let group = control.groups.create(&by, &body.name).await?;
    Ok((StatusCode::CREATED, Json(group)))
}
