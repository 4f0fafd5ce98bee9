//! The database. SQLite and Postgres share the SQL text, and the Rust code of each query is compiled for
//! both.

mod audit;
mod calls;
mod engine;
mod error;
mod file;
mod gate;
mod groups;
mod invitations;
mod legs;
mod open;
mod ownership;
mod page;
mod readiness;
mod receipts;
mod recordings;
mod users;

use sqlx::{Postgres, Sqlite};

pub use audit::AuditFilter;
pub use calls::{CallFilter, StoredCall};
pub use error::{Away, StoreError};
pub use file::FileFault;
pub use groups::{Group, Member, NewMember, Role};
pub use invitations::{InvitationView, MissedCall};
pub use legs::StoredEvent;
pub use ownership::{Owner, Ownership};
pub use page::{Cursor, Page, PageRequest, TimeCursor};
pub use recordings::{
    Involvement, RecordingFilter, RecordingsOf, Settlement, Sight, StoredFile, StoredRecording, StoredTrack,
};
pub use users::User;

use gate::Gate;
use readiness::Readiness;

/// Handle of the database. Cheap to clone; all clones share the connections and the outage state.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    readiness: Readiness,
}

/// The two databases. [`on!`] runs the same body on either.
#[derive(Clone, Debug)]
enum Db {
    /// SQLite runs one write transaction at a time, so all writes share one connection and queue for it.
    Sqlite {
        readers: Gate<Sqlite>,
        writer: Gate<Sqlite>,
    },
    Postgres(Gate<Postgres>),
}

/// Runs a reading statement on a connection of the database in use.
macro_rules! on {
    ($db:expr, |$connection:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { readers, .. } => $crate::store::once!(readers, |$connection| $body),
            $crate::store::Db::Postgres(gate) => $crate::store::once!(gate, |$connection| $body),
        }
    };
}

/// Runs a writing statement.
macro_rules! on_writer {
    ($db:expr, |$connection:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { writer, .. } => $crate::store::once!(writer, |$connection| $body),
            $crate::store::Db::Postgres(gate) => $crate::store::once!(gate, |$connection| $body),
        }
    };
}

macro_rules! once {
    ($gate:expr, |$connection:ident| $body:expr) => {
        async {
            let mut turn = $gate.enter().await?;
            let work = $crate::store::gate::within(turn.deadline(), async {
                let $connection = turn.connection();
                $body.map_err($crate::store::StoreError::from)
            });
            let outcome = work.await;
            let end = $crate::store::gate::End::of_statement(&outcome);
            turn.finish(outcome, end)
        }
        .await
    };
}

/// Evaluates a body in a transaction. It commits at the end of the body, and rolls back if the body returns
/// early. On SQLite the write lock is taken at the begin: a reading transaction cannot be upgraded while
/// others write.
macro_rules! tx {
    ($db:expr, |$tx:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Sqlite { writer, .. } => {
                $crate::store::transaction!(writer, begin_with("BEGIN IMMEDIATE"), |$tx| $body)
            }
            $crate::store::Db::Postgres(gate) => $crate::store::transaction!(gate, begin(), |$tx| $body),
        }?
    };
}

macro_rules! transaction {
    ($gate:expr, $begin:ident($($how:expr)?), |$tx:ident| $body:expr) => {
        async {
            let mut turn = $gate.enter().await?;
            let deadline = turn.deadline();
            let whole = async {
                let begin = async { Ok(sqlx::Connection::$begin(turn.connection() $(, $how)?).await?) };
                let begun = $crate::store::gate::within(deadline, begin).await;
                let mut transaction = match begun {
                    Ok(transaction) => transaction,
                    Err(error) => return (Err(error), $crate::store::gate::End::Unknown),
                };
                let work = $crate::store::gate::within(deadline, async {
                    let $tx = &mut *transaction;
                    Ok($body)
                });
                let outcome = work.await;
                $crate::store::gate::end(transaction, outcome, deadline).await
            };
            let (outcome, end) = whole.await;
            turn.finish(outcome, end)
        }
        .await
    };
}

use {on, on_writer, once, transaction, tx};

#[cfg(test)]
mod tests;
