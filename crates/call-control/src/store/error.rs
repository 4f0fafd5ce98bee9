use sqlx::{error::DatabaseError, sqlite::SqliteError};

use super::{FileFault, Owner};
use crate::{
    call::CorruptRecord,
    error::{ErrorCode, Refusal},
};

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable; nothing was changed.
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] Away),
    /// The database became unreachable during a COMMIT; its outcome is unknown.
    #[error("the database went away over a commit: {0}")]
    InDoubt(#[source] Away),
    /// Another server lives on this database.
    #[error("the database belongs to another server: {0}. One server may use a database at a time")]
    Owned(Owner),
    /// Another owner has changed the call in the meantime.
    #[error("the call belongs to somebody else by now")]
    Fenced,
    #[error("the group already has a running call")]
    RunningCallExists,
    #[error("it exists already")]
    Duplicate,
    /// A foreign key refers to a row that does not exist.
    #[error("what it refers to does not exist")]
    MissingReference,
    #[error("a group keeps at least one owner")]
    LastOwner,
    #[error("the group has as many members as it may")]
    GroupFull,
    #[error(transparent)]
    Corrupt(#[from] CorruptRecord),
    #[error("the database refused: {0}")]
    Database(#[source] sqlx::Error),
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("{0}")]
    Config(String),
    #[error("DATABASE_URL: {0}")]
    File(#[from] FileFault),
}

/// Why the database is unreachable.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    #[error(transparent)]
    Driver(sqlx::Error),
    /// A deadlock, a serialization failure, or a lock that was not granted.
    #[error(transparent)]
    Contended(sqlx::Error),
    /// The driver and the database disagree about the state of the connection. Another connection may work.
    #[error("the connection is out of step: {0}")]
    OutOfStep(#[source] sqlx::Error),
    #[error("it does not answer in time")]
    Late,
    /// The database was unreachable a moment ago, so the operation was not tried.
    #[error("it was away a moment ago")]
    Resting,
}

impl Away {
    /// Whether the error is an answer of the database.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Driver(error) | Self::Contended(error) => error.as_database_error().is_some(),
            Self::OutOfStep(_) | Self::Late | Self::Resting => false,
        }
    }

    /// Whether another connection to the same SQLite file has it locked.
    pub(super) fn is_lock(&self) -> bool {
        match self {
            Self::Driver(error) => {
                let refused = error.as_database_error();
                refused.and_then(sqlite_code).is_some_and(|code| SQLITE_LOCKS.contains(&code))
            }
            Self::Contended(_) | Self::OutOfStep(_) | Self::Late | Self::Resting => false,
        }
    }

    /// Whether other operations would fail as well.
    pub(super) const fn is_outage(&self) -> bool {
        match self {
            Self::Driver(_) | Self::Late => true,
            Self::Contended(_) | Self::OutOfStep(_) | Self::Resting => false,
        }
    }
}

impl From<Away> for StoreError {
    fn from(away: Away) -> Self {
        Self::Unavailable(away)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let Some(refused) = error.as_database_error() else {
            return if is_connection_fault(&error) {
                Away::Driver(error).into()
            } else if is_out_of_step(&error) {
                Away::OutOfStep(error).into()
            } else {
                Self::Database(error)
            };
        };
        match Fault::of(refused) {
            Some(Fault::Outage) => Away::Driver(error).into(),
            Some(Fault::Contention) => Away::Contended(error).into(),
            None if refused.is_unique_violation() => Self::Duplicate,
            None if refused.is_foreign_key_violation() => Self::MissingReference,
            None => Self::Database(error),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::debug!(%cause, "refused while the database cannot be reached");
                Self::new(ErrorCode::Unavailable, "the database cannot be reached")
            }
            StoreError::InDoubt(cause) => {
                tracing::warn!(%cause, "the database went away over a commit");
                Self::new(ErrorCode::Unavailable, "the database went away; it may or may not be done")
            }
            StoreError::Fenced => Self::new(ErrorCode::Unavailable, "the call has moved; try again"),
            StoreError::RunningCallExists => {
                Self::new(ErrorCode::CallExists, "the group already has a running call")
            }
            StoreError::Duplicate => Self::new(ErrorCode::Conflict, "it exists already"),
            StoreError::MissingReference => {
                Self::new(ErrorCode::NotFound, "what it refers to does not exist")
            }
            StoreError::LastOwner => Self::new(ErrorCode::Conflict, "a group keeps at least one owner"),
            StoreError::GroupFull => {
                Self::new(ErrorCode::TooManyMembers, "the group has as many members as it may")
            }
            StoreError::Corrupt(_)
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Owned(_)
            | StoreError::Config(_)
            | StoreError::File(_) => Self::internal(&error),
        }
    }
}

/// Whether the transaction may be committed although its COMMIT failed with this error.
pub(super) fn leaves_doubt(error: &sqlx::Error) -> bool {
    error.as_database_error().is_none_or(|refused| matches!(Fault::of(refused), Some(Fault::Outage)))
}

const fn is_connection_fault(error: &sqlx::Error) -> bool {
    use sqlx::Error;
    matches!(
        error,
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed
    )
}

const fn is_out_of_step(error: &sqlx::Error) -> bool {
    use sqlx::Error;
    matches!(error, Error::Protocol(_) | Error::BeginFailed | Error::InvalidSavePointStatement)
}

/// Temporary faults of the database.
enum Fault {
    /// A lock held by another process, a full or broken disk, or a server that starts, stops or has no
    /// resources.
    Outage,
    Contention,
}

impl Fault {
    fn of(refused: &dyn DatabaseError) -> Option<Self> {
        if refused.try_downcast_ref::<SqliteError>().is_some() {
            return SQLITE_OUTAGES.contains(&sqlite_code(refused)?).then_some(Self::Outage);
        }
        let code = refused.code()?;
        let class = code.get(..2)?;
        if class == POSTGRES_ROLLBACK || code == POSTGRES_LOCK_NOT_AVAILABLE {
            return Some(Self::Contention);
        }
        POSTGRES_OUTAGES.contains(&class).then_some(Self::Outage)
    }
}

/// The primary result code of SQLite: the low byte of an extended one.
fn sqlite_code(refused: &dyn DatabaseError) -> Option<u32> {
    refused.try_downcast_ref::<SqliteError>()?;
    Some(refused.code()?.parse::<u32>().ok()? & 0xff)
}

/// `SQLITE_BUSY`, `_LOCKED`.
const SQLITE_LOCKS: [u32; 2] = [5, 6];
/// `SQLITE_BUSY`, `_LOCKED`, `_IOERR`, `_FULL`, `_CANTOPEN`.
const SQLITE_OUTAGES: [u32; 5] = [5, 6, 10, 13, 14];
/// SQLSTATE classes: connection exception, insufficient resources, operator intervention, system error.
const POSTGRES_OUTAGES: [&str; 4] = ["08", "53", "57", "58"];
/// The SQLSTATE class of deadlocks and serialization failures.
const POSTGRES_ROLLBACK: &str = "40";
const POSTGRES_LOCK_NOT_AVAILABLE: &str = "55P03";
