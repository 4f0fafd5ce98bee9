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
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) {
            return Self::Unavailable(error);
        }
        match error.as_database_error() {
            Some(refused) if refused.is_unique_violation() => Self::Duplicate,
            Some(refused) if refused.is_foreign_key_violation() => Self::MissingReference,
            Some(_) | None => Self::Database(error),
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
            StoreError::GroupFull => {
                Self::new(ErrorCode::TooManyMembers, "the group has as many members as it may")
            }
            StoreError::Corrupt(_)
            | StoreError::Database(_)
            | StoreError::Migration(_)
            | StoreError::Config(_) => Self::internal(&error),
        }
    }
}

/// Faults that pass without anybody's doing: no connection, a lock held too long, a server starting, stopping or full.
fn is_away(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: [&str; 3] = ["5", "261", "517"];
    const POSTGRES_CLASSES: [&str; 4] = ["08", "40", "53", "57"];
    let disconnected = matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    );
    let code = error.as_database_error().and_then(|refused| refused.code());
    disconnected
        || code.is_some_and(|code| {
            let class = code.get(..2).filter(|_| code.len() == SQLSTATE_LENGTH);
            SQLITE_BUSY.contains(&code.as_ref())
                || class.is_some_and(|class| POSTGRES_CLASSES.contains(&class))
        })
}

const SQLSTATE_LENGTH: usize = 5;
