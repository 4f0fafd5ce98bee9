use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Json, User};
use crate::{
    carriers::http::problems::{Barred, Counted, Signed},
    clock::now,
    control::Control,
    error::Refusal,
    wire::IceServer,
};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::carriers::rest) struct IceServerList {
    ice_servers: Vec<IceServer>,
}

/// STUN and TURN servers
///
/// With credentials for the caller, good for an hour to make TURN allocations with. An allocation that was made in
/// time is refreshed with the same ones for as long as it lives. Fetch new ones before an ICE restart.
#[utoipa::path(
    get, path = "/ice-servers", tag = "media", security(("token" = [])),
    responses(
        (status = 200, body = IceServerList),
        Counted, Signed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn list_ice_servers(
    State(control): State<Control>,
    User(identity): User,
) -> Result<Json<IceServerList>, Refusal> {
    Ok(Json(IceServerList { ice_servers: control.ice_servers.for_user(identity.user_id, now()) }))
}
