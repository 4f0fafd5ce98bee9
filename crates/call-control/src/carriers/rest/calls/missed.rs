use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{Barred, Body, Counted, Malformed, Signed},
        rest::extract::{Json, Moment, Paging, Query, User},
    },
    control::Control,
    error::Refusal,
    store::{MissedCall, Page},
};

/// The calls that the caller was rung for and did not answer, newest first
///
/// Whoever joined later has not missed it. Calls that were declined are not here.
#[utoipa::path(
    get, path = "/calls/user/missed", tag = "calls", security(("token" = [])),
    params(Paging),
    responses(
        (status = 200, body = Page<MissedCall>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn missed_calls(
    State(control): State<Control>,
    User(identity): User,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<MissedCall>>, Refusal> {
    control.calls.missed(identity.user_id, paging.request()?).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"seenUntil": "2026-03-02T09:30:12Z"}))]
pub(in crate::carriers::rest) struct SeeMissed {
    /// `rungAt` of the newest call that was seen.
    #[schema(value_type = String, format = DateTime)]
    seen_until: Moment,
}

/// Note that the caller saw the calls that they missed
#[utoipa::path(
    patch, path = "/calls/user/missed", tag = "calls", security(("token" = [])),
    request_body = SeeMissed,
    responses(
        (status = 204, description = "They have `seenAt` now."),
        Counted, Signed, Body, Barred,
    )
)]
pub(in crate::carriers::rest) async fn see_missed_calls(
    State(control): State<Control>,
    User(identity): User,
    Json(body): Json<SeeMissed>,
) -> Result<StatusCode, Refusal> {
    control.calls.see_missed(identity.user_id, body.seen_until.0).await.map(|()| StatusCode::NO_CONTENT)
}
