use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Paging, Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    store::{InvitationView, Page},
};

/// Who was rung for a call, and what became of it
#[utoipa::path(
    get, path = "/calls/{id}/invitations", tag = "calls", security(("token" = [])),
    params(("id" = CallId, Path), Paging),
    responses(
        (status = 200, body = Page<InvitationView>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn invitations_of_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<InvitationView>>, Refusal> {
    control.calls.invitations(&by, call, paging.request()?).await.map(Json)
}
