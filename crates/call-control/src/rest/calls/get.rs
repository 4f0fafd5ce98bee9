use axum::extract::State;

use crate::{
    call::CallView,
    control::Control,
    error::Refusal,
    ids::CallId,
    rest::{
        extract::{Caller, Json, Path},
        problems::{About, Counted, Signed},
    },
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
pub(in crate::rest) async fn get_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
) -> Result<Json<CallView>, Refusal> {
    control.calls.find_one(&by, call).await.map(Json)
}
