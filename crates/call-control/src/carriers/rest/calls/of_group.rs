use axum::extract::State;

use super::History;
use crate::{
    call::CallView,
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Caller, Json, Moment, Path, Query, page_request},
    },
    control::Control,
    error::Refusal,
    ids::GroupId,
    store::{CallFilter, Page},
};

/// The calls of a group, newest first
#[utoipa::path(
    get, path = "/calls/group/{groupId}", tag = "calls", security(("token" = [])),
    params(("groupId" = GroupId, Path), History),
    responses(
        (status = 200, body = Page<CallView>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn calls_of_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
    Query(history): Query<History>,
) -> Result<Json<Page<CallView>>, Refusal> {
    let page = page_request(history.limit, history.cursor.as_deref())?;
    let filter = CallFilter {
        status: history.status,
        call_type: history.call_type,
        member: history.member,
        from: history.from.map(|Moment(time)| time),
        to: history.to.map(|Moment(time)| time),
    };
    control.calls.find_by_group(&by, group, filter, page).await.map(Json)
}
