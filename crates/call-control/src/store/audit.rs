use chrono::{DateTime, Utc};
use sqlx::QueryBuilder;

use super::{Page, PageRequest, Store, StoreError, TimeCursor, on, tx};
use crate::{
    audit::{Action, AuditEntry},
    ids::{CallId, GroupId, UserId},
};

/// Writes one entry in an open transaction.
macro_rules! log {
    ($tx:ident, $entry:expr) => {{
        let entry: &$crate::audit::AuditEntry = &$entry;
        sqlx::query($crate::store::audit::INSERT_ENTRY)
            .bind(entry.id)
            .bind(entry.action)
            .bind(entry.actor)
            .bind(entry.actor_id)
            .bind(entry.group_id)
            .bind(entry.call_id)
            .bind(entry.subject_id)
            .bind(&entry.address)
            .bind(&entry.details)
            .bind(entry.created_at)
            .execute(&mut *$tx)
            .await?
    }};
}

/// Filter for entries; an absent field matches all.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter {
    pub action: Option<Action>,
    pub group: Option<GroupId>,
    pub call: Option<CallId>,
    /// The actor, or the user affected.
    pub user: Option<UserId>,
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl Store {
    /// Writes an entry about what changes no row.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::InDoubt`].
    pub async fn note(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        tx!(&self.db, |tx| {
            log!(tx, *entry);
        });
        Ok(())
    }

    /// The audit log, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit(
        &self,
        filter: AuditFilter,
        request: PageRequest<TimeCursor>,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let entries: Vec<AuditEntry> = on!(&self.db, |pool| {
            let mut query = QueryBuilder::new("SELECT * FROM audit_log WHERE 1 = 1");
            if let Some(action) = filter.action {
                query.push(" AND action = ").push_bind(action);
            }
            if let Some(group) = filter.group {
                query.push(" AND group_id = ").push_bind(group);
            }
            if let Some(call) = filter.call {
                query.push(" AND call_id = ").push_bind(call);
            }
            if let Some(user) = filter.user {
                query.push(" AND (actor_id = ").push_bind(user);
                query.push(" OR subject_id = ").push_bind(user).push(")");
            }
            if let Some(from) = filter.from {
                query.push(" AND created_at >= ").push_bind(from);
            }
            if let Some(to) = filter.to {
                query.push(" AND created_at < ").push_bind(to);
            }
            if let Some(after) = request.after {
                query.push(" AND (created_at, id) < (").push_bind(after.at);
                query.push(", ").push_bind(after.id).push(")");
            }
            query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(request.limit_and_one());
            query.build_query_as().fetch_all(pool).await
        })?;
        Ok(request.page(entries, |entry| TimeCursor { at: entry.created_at, id: entry.id }))
    }
}

pub(super) use log;

pub(super) const INSERT_ENTRY: &str = "
    INSERT INTO audit_log (id, action, actor, actor_id, group_id, call_id, subject_id, address, details, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
