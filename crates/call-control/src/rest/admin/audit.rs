use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    audit::{Action, AuditEntry},
    control::Control,
    error::Refusal,
    ids::{CallId, GroupId, UserId},
    rest::{
        extract::{Caller, Json, Query, page_request},
        problems::{BadQuery, Forbidden, Signed},
    },
    store::{AuditFilter, Page},
};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(in crate::rest) struct AuditQuery {
    action: Option<Action>,
    group_id: Option<GroupId>,
    call_id: Option<CallId>,
    /// Who did it, or whom it was done to.
    user_id: Option<UserId>,
    /// At this time or later.
    from: Option<DateTime<Utc>>,
    /// Before this time.
    to: Option<DateTime<Utc>>,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u8>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Who did what, when, and from where
///
/// Newest first. For the service and server admins.
#[utoipa::path(
    get, path = "/audit", tag = "admin", security(("token" = [])),
    params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>), Signed, Forbidden, BadQuery)
)]
pub(in crate::rest) async fn list_audit(
    State(control): State<Control>,
    Caller(by): Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    by.require_admin()?;
    let page = page_request(query.limit, query.cursor.as_deref())?;
    let filter = AuditFilter {
        action: query.action,
        group: query.group_id,
        call: query.call_id,
        user: query.user_id,
        from: query.from,
        to: query.to,
    };
    Ok(Json(control.store.audit(filter, page).await?))
}
