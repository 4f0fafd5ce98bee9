use crate::{
    carriers::{
        http::problems::{Barred, Counted, Signed},
        rest::extract::{Json, User},
    },
    ids::UserId,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::carriers::rest) struct Me {
    id: UserId,
    name: String,
    /// When the token of this request expires.
    expires_at: DateTime<Utc>,
}

/// Who the server takes the caller for
#[utoipa::path(
    get, path = "/users/me", tag = "users", security(("token" = [])),
    responses(
        (status = 200, body = Me),
        Counted, Signed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn get_me(User(identity): User) -> Json<Me> {
    Json(Me { id: identity.user_id, name: identity.name, expires_at: identity.expires_at })
}
