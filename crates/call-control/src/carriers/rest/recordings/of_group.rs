use axum::extract::State;

use super::Wanted;
use crate::{
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Caller, Json, Path, Query, page_request},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
    recordings::RecordingView,
    store::Page,
};

/// The recordings of a group, newest first
///
/// Those that the caller may see by `RECORDING_ACCESS`.
#[utoipa::path(
    get, path = "/recordings/group/{groupId}", tag = "recordings", security(("token" = [])),
    params(("groupId" = GroupId, Path), Wanted),
    responses(
        (status = 200, body = Page<RecordingView>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn recordings_of_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<RecordingView>>, Refusal> {
    let page = page_request(wanted.limit, wanted.cursor.as_deref())?;
    control.recordings.of_group(&by, group, wanted.status, page).await.map(Json)
}
