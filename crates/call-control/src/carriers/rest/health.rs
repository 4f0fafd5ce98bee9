//! `/health`: liveness and readiness probes.

use axum::{extract::State, http::StatusCode};

use crate::{carriers::http::problems::Down, control::Control, error::Refusal};

/// The process runs
#[utoipa::path(
    get, path = "/health/live", tag = "operations",
    responses((status = 204, description = "It does"))
)]
pub(in crate::carriers::rest) async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// The server can take requests
///
/// It can if the database takes a write. An answer is repeated for a second.
#[utoipa::path(
    get, path = "/health/ready", tag = "operations",
    responses(
        (status = 204, description = "It can"),
        Down,
    )
)]
pub(in crate::carriers::rest) async fn ready(State(control): State<Control>) -> Result<StatusCode, Refusal> {
    control.store.ready().await?;
    Ok(StatusCode::NO_CONTENT)
}
