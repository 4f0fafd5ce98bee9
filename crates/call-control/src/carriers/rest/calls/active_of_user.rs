use axum::extract::State;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{Barred, Counted, Signed},
        rest::extract::{Json, User},
    },
    control::Control,
    error::Refusal,
    store::Page,
};

/// The running calls of all groups that the caller is in
#[utoipa::path(
    get, path = "/calls/user/active", tag = "calls", security(("token" = [])),
    responses(
        (status = 200, body = Page<CallView>),
        Counted, Signed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn active_calls_of_user(
    State(control): State<Control>,
    User(identity): User,
) -> Result<Json<Page<CallView>>, Refusal> {
    let items = control.calls.find_active_for_user(identity.user_id).await?;
    Ok(Json(Page { items, next_cursor: None }))
}
