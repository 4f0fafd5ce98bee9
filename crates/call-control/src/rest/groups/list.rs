use axum::extract::State;

use crate::{
    control::Control,
    error::{Problem, Refusal},
    rest::{
        extract::{Caller, Json, Paging, Query},
        problems::Signed,
    },
    store::{Group, Page},
};

/// The caller's groups
#[utoipa::path(
    get, path = "/groups", tag = "groups", security(("token" = [])),
    params(Paging),
    responses(
        (status = 200, body = Page<Group>),
        Signed,
        (status = 400, description = "The request is malformed", body = Problem,
            content_type = "application/problem+json"),
    )
)]
pub(in crate::rest) async fn list_groups(
    State(control): State<Control>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Group>>, Refusal> {
    control.groups.of_user(caller.id(), paging.request()?).await.map(Json)
}
