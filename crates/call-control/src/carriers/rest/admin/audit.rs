use axum::extract::State;

use super::AuditQuery;
use crate::{
    audit::AuditEntry,
    carriers::{
        http::problems::{Barred, Counted, Malformed, Signed},
        rest::extract::{Caller, Json, Moment, Query, page_request},
    },
    control::Control,
    error::Refusal,
    store::{AuditFilter, Page},
};

/// Who did what, when, and from where
///
/// Newest first. For the service and server admins.
#[utoipa::path(
    get, path = "/audit", tag = "admin", security(("token" = [])),
    params(AuditQuery),
    responses(
        (status = 200, body = Page<AuditEntry>),
        Counted, Signed, Malformed, Barred,
    )
)]
pub(in crate::carriers::rest) async fn list_audit(
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
        from: query.from.map(|Moment(time)| time),
        to: query.to.map(|Moment(time)| time),
    };
    Ok(Json(control.store.audit(filter, page).await?))
}
