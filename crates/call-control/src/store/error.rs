use crate::{
    call::CorruptRecord,
    error::{ErrorCode, Refusal},
};

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// Another owner has changed the call since.
    #[error("the call belongs to somebody else by now")]
    Fenced,
    #[error("the group already has a running call")]
    RunningCallExists,
    #[error("it exists already")]
    Duplicate,
    /// The row refers to another that is not there.
    #[error("what it refers to does not exist")]
    MissingReference,
    #[error("a group keeps at least one owner")]
    LastOwner,
    #[error(transparent)]
    Corrupt(#[from] CorruptRecord),
    #[error("the database refused: {0}")]
    Database(#[source] sqlx::Error),
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("{0}")]
    Config(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Duplicate,
            sqlx::Error::Database(database) if database.is_foreign_key_violation() => Self::MissingReference,
            sqlx::Error::Database(database) if is_passing(database.as_ref()) => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => {
                tracing::warn!(%cause, "the database cannot be reached");
                Self::new(ErrorCode::Unavailable, "the database cannot be reached")
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
            StoreError::Corrupt(_)
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Config(_) => Self::internal(&error),
        }
    }
}

/// Faults that pass without anybody's doing: a lock held too long, a server starting, stopping or full.
fn is_passing(error: &dyn sqlx::error::DatabaseError) -> bool {
    const SQLITE_BUSY: [&str; 3] = ["5", "261", "517"];
    const POSTGRES_CLASSES: [&str; 4] = ["08", "40", "53", "57"];
    let Some(code) = error.code() else { return false };
    SQLITE_BUSY.contains(&code.as_ref()) || (code.len() == 5 && POSTGRES_CLASSES.contains(&&code[..2]))
}
