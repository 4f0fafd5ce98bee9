use axum::extract::State;

use crate::{
    control::Control,
    error::Refusal,
    ids::GroupId,
    rest::{
        extract::{Caller, Json, Path},
        problems::{About, Signed},
    },
    store::Group,
};

/// One group
#[utoipa::path(
    get, path = "/groups/{id}", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path)),
    responses((status = 200, body = Group), Signed, About)
)]
pub(in crate::rest) async fn get_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
) -> Result<Json<Group>, Refusal> {
    control.groups.find(&by, group).await.map(Json)
}
