use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
    store::Group,
};

/// One group
#[utoipa::path(
    get, path = "/groups/{id}", tag = "groups", security(("token" = [])),
    params(("id" = GroupId, Path)),
    responses(
        (status = 200, body = Group, example = json!({
            "id": "5b0f7a52-7f0f-4a53-9a86-3a1a0a6b1f11", "name": "Team",
            "createdAt": "2026-03-02T09:00:00Z", "updatedAt": "2026-03-02T09:00:00Z",
        })),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn get_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
) -> Result<Json<Group>, Refusal> {
    control.groups.find(&by, group).await.map(Json)
}
