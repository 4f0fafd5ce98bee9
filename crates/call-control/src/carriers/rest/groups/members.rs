use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Paging, Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
    store::{Member, Page},
};

/// The members of a group
#[utoipa::path(
    get, path = "/groups/{id}/members", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path), Paging),
    responses(
        (status = 200, body = Page<Member>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn list_members(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<Member>>, Refusal> {
    control.groups.members(&by, group, paging.request()?).await.map(Json)
}
