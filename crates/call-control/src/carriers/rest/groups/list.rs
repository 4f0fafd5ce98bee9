use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Json, Paging, Query, User},
    },
    control::Control,
    error::Refusal,
    store::{Group, Page},
};

/// The caller's groups
#[utoipa::path(
    get, path = "/groups", tag = "groups", security(("token" = [])),
    params(Paging),
    responses(
        (status = 200, body = Page<Group>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn list_groups(
    State(control): State<Control>,
    User(identity): User,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Group>>, Refusal> {
    control.groups.of_user(identity.user_id, paging.request()?).await.map(Json)
}
