use axum::extract::State;

use crate::{
    carriers::rest::{
        extract::{Caller, Json, Path},
        problems::{About, Counted, Signed},
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
