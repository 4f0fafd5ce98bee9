use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    store::Page,
    wire::reply::ParticipantView,
};

/// Who is in a call, and what each may do
#[utoipa::path(
    get, path = "/calls/{id}/participants", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path)),
    responses(
        (status = 200, body = Page<ParticipantView>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn participants_of_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
) -> Result<Json<Page<ParticipantView>>, Refusal> {
    let items = control.calls.participants(&by, call).await?;
    Ok(Json(Page { items, next_cursor: None }))
}
