use axum::{extract::State, http::StatusCode};

use crate::{
    carriers::{
        http::problems::{About, Counted, Deleting, Signed},
        rest::extract::{Caller, Path, group_of},
    },
    control::Control,
    error::Refusal,
};

/// Delete a group
///
/// Ends its running call, and forgets the group with all its calls. Its recordings are deleted.
#[utoipa::path(
    delete, path = "/groups/{id}", tag = "groups", security(("token" = [])),
    params(("id" = String, Path, min_length = 1, max_length = 255)),
    responses(
        (status = 204, description = "It is gone"),
        Counted, Signed, About, Deleting,
    )
)]
pub(in crate::carriers::rest) async fn delete_group(
    State(control): State<Control>,
    Caller(by): Caller,
    Path(group): Path<String>,
) -> Result<StatusCode, Refusal> {
    control.groups.delete(&by, group_of(&group)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
