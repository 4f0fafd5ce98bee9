use axum::extract::State;

use crate::{
    call::LegView,
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Paging, Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    store::Page,
};

/// Who was in a call and when
#[utoipa::path(
    get, path = "/calls/{id}/legs", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path), Paging),
    responses(
        (status = 200, body = Page<LegView>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn legs_of_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<LegView>>, Refusal> {
    control.calls.legs(&by, call, paging.request()?).await.map(Json)
}
