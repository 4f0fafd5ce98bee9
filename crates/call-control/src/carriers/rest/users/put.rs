use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{Barred, Body, Counted, MadeHere, Signed},
        rest::{
            extract::{Caller, Json, Path, user_to_put},
            groups::Named,
        },
    },
    clock::now,
    control::Control,
    error::Refusal,
    store::User,
};

/// Keep a user in step with the app
///
/// Writes them down or renames them; repeating that changes nothing. The id is a UUID, or whatever text the app's
/// tokens carry as `sub`; the answer says as which UUID. An id of the app that is a UUID of version 5 is written
/// `external:<UUID>`, since this server makes such ids itself. For the service and server admins.
#[utoipa::path(
    put, path = "/users/{id}", tag = "admin", security(("token" = [])),
    params(("id" = String, Path, min_length = 1, max_length = 255)),
    request_body = Named,
    responses(
        (status = 200, body = User),
        Counted, Signed, Barred, MadeHere, Body,
    )
)]
pub(in crate::carriers::rest) async fn put_user(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Json(body): Json<Named>,
) -> Result<Json<User>, Refusal> {
    by.require_admin()?;
    let (id, name, now) = (user_to_put(&control, &id).await?, body.name.as_str(), now());
    control.put_user(id, name).await?;
    Ok(Json(User { id, name: name.to_owned(), created_at: now }))
}
