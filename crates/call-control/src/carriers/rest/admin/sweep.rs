use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    carriers::{
        http::problems::{Barred, Counted, Signed},
        rest::extract::{Caller, Json},
    },
    control::Control,
    error::Refusal,
};

#[derive(Serialize, ToSchema)]
pub(in crate::carriers::rest) struct Swept {
    /// How many calls were ended.
    ended: usize,
}

/// End the calls that have been running for too long
///
/// It also happens by itself, once a minute. For the service and server admins.
#[utoipa::path(
    post, path = "/admin/sweep", tag = "admin", security(("token" = [])),
    responses(
        (status = 200, body = Swept),
        Counted, Signed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn sweep(
    State(control): State<Control>,
    Caller(by): Caller,
) -> Result<Json<Swept>, Refusal> {
    Ok(Json(Swept { ended: control.calls.cleanup_stale(&by).await? }))
}
