use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Body, Counted, Ringing, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{CallId, UserId},
    wire::command::Rung,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"userIds": ["e4b7c2a8-9a51-4d3e-b0f6-8c1d2e3f4a5b"]}))]
pub(in crate::carriers::rest) struct RingPeople {
    /// Members of the group.
    #[schema(value_type = Vec<UserId>, max_items = 50)]
    user_ids: Rung,
}

/// Ring members of the group who are not in the call
///
/// For those who are in it, its initiator and the group's admins. A new call rings everybody in its group by itself.
/// Those who are in the call, or are being rung, are left out. If one of the others cannot be rung, nobody is.
#[utoipa::path(
    post, path = "/calls/{id}/ring", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    request_body = RingPeople,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, Ringing,
    )
)]
pub(in crate::carriers::rest) async fn ring_people(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Json(body): Json<RingPeople>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.ring(&by, call, &body.user_ids.into_vec()).await.map(Json)
}
