use axum::extract::State;

use crate::{
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Paging, Path, Query},
    },
    control::Control,
    error::Refusal,
    ids::CallId,
    recordings::RecordingView,
    store::Page,
};

/// The recordings of a call, newest first
///
/// For those whom `RECORDING_ACCESS` lets see them; not with the deleted ones.
#[utoipa::path(
    get, path = "/calls/{id}/recordings", tag = "recordings", security(("token" = [])),
    params(("id" = CallId, Path), Paging),
    responses(
        (status = 200, body = Page<RecordingView>),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn recordings_of_call(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(call): Path<CallId>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<RecordingView>>, Refusal> {
    control.recordings.of_call(&by, call, paging.request()?).await.map(Json)
}
