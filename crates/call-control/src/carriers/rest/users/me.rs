use crate::{
    carriers::{
        http::problems::{Barred, Body, Counted, Signed},
        rest::extract::{Json, User},
    },
    clock::now,
    control::Control,
    error::Refusal,
    ids::UserId,
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::carriers::rest) struct Me {
    id: UserId,
    name: String,
    /// When the token of this request expires.
    expires_at: DateTime<Utc>,
    /// No device rings; callers see no difference.
    do_not_disturb: bool,
}

/// Who the server takes the caller for
#[utoipa::path(
    get, path = "/users/me", tag = "users", security(("token" = [])),
    responses(
        (status = 200, body = Me),
        Counted, Signed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn get_me(
    State(control): State<Control>,
    User(identity): User,
) -> Result<Json<Me>, Refusal> {
    let do_not_disturb = control.store.does_not_disturb(identity.user_id).await?;
    Ok(Json(Me {
        id: identity.user_id,
        name: identity.name,
        expires_at: identity.expires_at,
        do_not_disturb,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"doNotDisturb": true}))]
pub(in crate::carriers::rest) struct ChangeMe {
    do_not_disturb: bool,
}

/// Choose whether the caller's devices ring
///
/// It holds for later rings. What rings goes on.
#[utoipa::path(
    patch, path = "/users/me", tag = "users", security(("token" = [])),
    request_body = ChangeMe,
    responses(
        (status = 200, body = Me),
        Counted, Signed, Body, Barred,
    )
)]
pub(in crate::carriers::rest) async fn change_me(
    State(control): State<Control>,
    User(identity): User,
    Json(ChangeMe { do_not_disturb }): Json<ChangeMe>,
) -> Result<Json<Me>, Refusal> {
    control.store.set_do_not_disturb(identity.user_id, do_not_disturb, now()).await?;
    Ok(Json(Me {
        id: identity.user_id,
        name: identity.name,
        expires_at: identity.expires_at,
        do_not_disturb,
    }))
}
