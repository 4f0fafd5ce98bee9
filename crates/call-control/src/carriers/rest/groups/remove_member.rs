use axum::{extract::State, http::StatusCode};

use crate::{
    carriers::{
        http::problems::{About, Counted, LastOwner, Signed},
        rest::extract::{Caller, Path, group_of, user_of},
    },
    control::Control,
    error::Refusal,
};

/// Remove a member
///
/// For the member, and for admins and owners unless the member's role is above theirs. Whoever goes is out of the
/// group's running call at once.
#[utoipa::path(
    delete, path = "/groups/{id}/members/{userId}", tag = "groups", security(("token" = [])),
    params(
        ("id" = String, Path, min_length = 1, max_length = 255),
        ("userId" = String, Path, min_length = 1, max_length = 255),
    ),
    responses(
        (status = 204, description = "The user is no member"),
        Counted, Signed, About, LastOwner,
    )
)]
pub(in crate::carriers::rest) async fn remove_member(
    State(control): State<Control>,
    Caller(by): Caller,
    Path((group, user)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let (group, user) = (group_of(&group)?, user_of(&control, &user)?);
    control.groups.remove_member(&by, group, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
