//! The database: one SQL text for SQLite and Postgres, checked by the compiler against both.

mod audit;
mod calls;
mod error;
mod groups;
mod legs;
mod open;
mod page;
mod receipts;
mod users;

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::{PgPool, SqlitePool};

pub use audit::AuditFilter;
pub use calls::{CallFilter, StoredCall};
pub use error::StoreError;
pub use groups::{Group, Member, NewMember, Role};
pub use legs::StoredEvent;
pub use page::{Cursor, Page, PageRequest, TimeCursor};
pub use users::User;

/// Cheap to clone; all clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
}

/// The two engines. [`on!`] runs the same body on either.
#[derive(Clone, Debug)]
enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The time as both engines can keep it: Postgres holds microseconds.
#[must_use]
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Evaluates a body with the pool of whichever engine it is.
macro_rules! on {
    ($db:expr, |$pool:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite($pool) => $body,
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
}

/// Evaluates a body in a transaction that commits when the body is through, and rolls back when it returns early.
/// SQLite takes its write lock first: a transaction that read before cannot be upgraded while others write.
macro_rules! tx {
    ($db:expr, |$tx:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let value = $body;
                $tx.commit().await?;
                value
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let value = $body;
                $tx.commit().await?;
                value
            }
        }
    };
}

use {on, tx};

#[cfg(test)]
mod tests;
