use std::collections::BTreeSet;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    call::{CallView, Source, StandingChange},
    carriers::{
        http::problems::{About, Body, Counted, Running, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::{CallId, UserId},
};

/// What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"canPublish": ["mic"], "canSubscribe": true, "canSignal": false}))]
pub(in crate::carriers::rest) struct Permit {
    /// The sources that may be sent; an empty list makes a listener.
    can_publish: Option<BTreeSet<Source>>,
    /// Whether anything may be received.
    can_subscribe: Option<bool>,
    /// Whether `call:signal` may be sent.
    can_signal: Option<bool>,
    /// `true` lets somebody in who was removed, or whom a lock keeps out.
    admitted: Option<bool>,
}

impl From<Permit> for StandingChange {
    fn from(Permit { can_publish, can_subscribe, can_signal, admitted }: Permit) -> Self {
        Self { can_publish, can_subscribe, can_signal, admitted }
    }
}

/// Change what a member may do in a call
///
/// For its initiator and the group's admins, about people whose role is not above theirs. What somebody may not send
/// or receive any more ends at once.
#[utoipa::path(
    patch, path = "/calls/{id}/participants/{userId}", tag = "moderation", security(("token" = [])),
    params(("id" = CallId, Path), ("userId" = UserId, Path)),
    request_body = Permit,
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About, Body, Running,
    )
)]
pub(in crate::carriers::rest) async fn permit_participant(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((call, user)): Path<(CallId, UserId)>,
    Json(body): Json<Permit>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.permit(&by, call, user, body.into()).await.map(Json)
}
