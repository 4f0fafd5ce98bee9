use axum::extract::State;

use crate::{
    call::CallView,
    carriers::{
        http::problems::{About, Counted, Signed},
        rest::extract::{Caller, Json, Path},
    },
    control::Control,
    error::{ErrorCode, Refusal},
    ids::GroupId,
};

/// The running call of a group
///
/// 404 when there is none.
#[utoipa::path(
    get, path = "/calls/group/{groupId}/active", tag = "calls", security(("token" = [])),
    params(("groupId" = GroupId, Path)),
    responses(
        (status = 200, body = CallView),
        Counted, Signed, About,
    )
)]
pub(in crate::carriers::rest) async fn active_call_of_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<GroupId>,
) -> Result<Json<CallView>, Refusal> {
    let call = control.calls.find_active_by_group(&by, group).await?;
    call.map(Json).ok_or_else(|| Refusal::new(ErrorCode::NotFound, "the group has no running call"))
}
