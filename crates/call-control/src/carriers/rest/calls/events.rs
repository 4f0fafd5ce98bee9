use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Paging, Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    store::{Page, StoredEvent},
};

/// The ordered log of a call
#[utoipa::path(
    get, path = "/calls/{id}/events", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path), Paging),
    responses(
        (status = 200, body = Page<StoredEvent>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn events_of_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<StoredEvent>>, Refusal> {
    control.calls.events(&by, call, paging.request()?).await.map(Json)
}
