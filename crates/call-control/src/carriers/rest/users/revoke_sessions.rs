use axum::{extract::State, http::StatusCode};

use crate::{
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Caller, Path, user_of},
    },
    clock::now,
    control::Control,
    error::Refusal,
};

/// Sign a user out everywhere
///
/// Their calls, sockets and tokens end at once; a token made later is taken again. For the service and server admins.
#[utoipa::path(
    delete, path = "/users/{id}/sessions", tag = "admin", security(("token" = [])),
    params(("id" = String, Path, min_length = 1, max_length = 255)),
    responses(
        (status = 204, description = "Signed out"),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn revoke_sessions(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    control.revoke_sessions(&by, user_of(&control, &id)?, now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
