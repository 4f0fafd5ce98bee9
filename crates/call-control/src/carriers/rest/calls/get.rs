use axum::extract::State;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
};

/// One call
#[utoipa::path(
    get, path = "/calls/{id}", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn get_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.find_one(&by, call).await.map(Json)
}
