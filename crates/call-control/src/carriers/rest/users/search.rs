use axum::extract::State;

use super::Search;
use crate::{
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Caller, Json, Query, page_request},
    },
    control::Control,
    error::{ErrorCode, Refusal},
    store::{Page, User},
};

/// Find people by name
///
/// Only under dev sign-in: elsewhere the app knows its people, and a stranger must not list them.
#[utoipa::path(
    get, path = "/users", tag = "users", security(("token" = [])),
    params(Search),
    responses(
        (status = 200, body = Page<User>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn search_users(
    State(control): State<Control>,
    _caller: Caller,
    Query(search): Query<Search>,
) -> Result<Json<Page<User>>, Refusal> {
    if !control.auth.is_dev() {
        return Err(Refusal::new(ErrorCode::Forbidden, "people can only be searched under dev sign-in"));
    }
    let page = page_request(search.limit, search.cursor.as_deref())?;
    Ok(Json(control.store.users_by_name(&search.name.0, page).await?))
}
