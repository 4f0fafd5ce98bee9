//! Sign-in by name, for development on one machine.

mod local;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use local::Local;
pub use local::watch_for_proxies;

use super::extract::Json;
use crate::{
    carriers::http::problems::{Body, Counted, DevOnly},
    clock::now,
    control::Control,
    error::{ErrorCode, Refusal},
    ids::UserId,
    name::DisplayName,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::carriers::rest) struct SignIn {
    name: DisplayName,
}

#[derive(Serialize, ToSchema)]
pub(in crate::carriers::rest) struct SignedIn {
    token: String,
    user: SignedInUser,
}

#[derive(Serialize, ToSchema)]
pub(in crate::carriers::rest) struct SignedInUser {
    id: UserId,
    name: String,
}

/// Sign in by name
///
/// Only on a server without `JWT_SECRET` and `JWKS_URL`, and only from the machine that it runs on: not through a
/// proxy, as far as one tells. The same name is always the same user.
#[utoipa::path(
    post, path = "/auth/dev-token", tag = "users",
    request_body = SignIn,
    responses(
        (status = 200, body = SignedIn),
        Counted, Body, DevOnly,
    )
)]
pub(in crate::carriers::rest) async fn dev_token(
    State(control): State<Control>,
    _local: Local,
    Json(body): Json<SignIn>,
) -> Result<Json<SignedIn>, Refusal> {
    if !control.auth.is_dev() {
        return Err(Refusal::new(ErrorCode::NotFound, "this server takes the app's own tokens"));
    }
    let (token, identity) = control.auth.dev_token(body.name.as_str(), now())?;
    control.remember(&identity).await?;
    let user = SignedInUser { id: identity.user_id, name: identity.name };
    Ok(Json(SignedIn { token, user }))
}
