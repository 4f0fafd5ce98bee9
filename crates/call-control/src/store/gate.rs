//! Access to the database connections. Each operation has a time limit, and a circuit breaker refuses
//! operations at once for a while after the database was unreachable.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Database, Pool, Transaction, pool::PoolConnection};
use tokio::time::{Instant, timeout_at};

use super::{
    StoreError,
    error::{Away, leaves_doubt},
};

/// A connection pool with its circuit breaker.
#[derive(Debug)]
pub(super) struct Gate<DB: Database> {
    pool: Pool<DB>,
    breaker: Arc<Breaker>,
}

impl<DB: Database> Gate<DB> {
    pub(super) fn new(pool: Pool<DB>) -> Self {
        Self { pool, breaker: Arc::default() }
    }

    /// Waits for a connection for one operation.
    pub(super) async fn enter(&self) -> Result<Turn<DB>, StoreError> {
        let pass = self.breaker.pass(Instant::now())?;
        let deadline = Instant::now() + OPERATION;
        let connection = self.pool.acquire().await.map_err(|error| {
            self.breaker.open(Instant::now());
            StoreError::from(error)
        })?;
        // Another operation may have found the database unreachable while this one waited.
        if pass == Pass::Ordinary && self.is_away() {
            return Err(Away::Resting.into());
        }
        Ok(Turn { connection, breaker: Arc::clone(&self.breaker), deadline, end: End::Unknown })
    }

    /// Whether the database was found unreachable and has not answered an operation since.
    pub(super) fn is_away(&self) -> bool {
        self.breaker.rest_until().is_some()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    #[cfg(test)]
    pub(super) const fn pool(&self) -> &Pool<DB> {
        &self.pool
    }
}

impl<DB: Database> Clone for Gate<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), breaker: Arc::clone(&self.breaker) }
    }
}

/// One operation and its connection. The connection returns to the pool only if the operation ended with
/// [`End::Acknowledged`]. Otherwise it is closed: the next answer on it could belong to this operation, or
/// the transaction of this operation could still be open.
pub(super) struct Turn<DB: Database> {
    connection: PoolConnection<DB>,
    breaker: Arc<Breaker>,
    deadline: Instant,
    end: End,
}

/// How an operation left its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The database has answered, and no transaction is open.
    Acknowledged,
    /// The answer may still come, or a transaction may be open for the database or for the driver. SQLite for
    /// example ends a transaction by itself when its disk is full, and the driver does not notice.
    Unknown,
}

impl End {
    /// The end of a statement outside of transactions.
    pub(super) fn of_statement<T>(outcome: &Result<T, StoreError>) -> Self {
        let answered = match outcome {
            Err(StoreError::Unavailable(away) | StoreError::InDoubt(away)) => away.is_answer(),
            Ok(_) | Err(_) => true,
        };
        if answered { Self::Acknowledged } else { Self::Unknown }
    }
}

impl<DB: Database> Turn<DB> {
    pub(super) fn connection(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reports the outcome to the circuit breaker, and gives the connection back.
    pub(super) fn finish<T>(mut self, outcome: Result<T, StoreError>, end: End) -> Result<T, StoreError> {
        self.end = end;
        match &outcome {
            Err(StoreError::Unavailable(away) | StoreError::InDoubt(away)) => {
                if away.is_outage() {
                    self.breaker.open(Instant::now());
                }
            }
            Ok(_) | Err(_) => self.breaker.close(),
        }
        outcome
    }
}

impl<DB: Database> Drop for Turn<DB> {
    fn drop(&mut self) {
        match self.end {
            End::Acknowledged => {}
            End::Unknown => self.connection.close_on_drop(),
        }
    }
}

/// Ends a transaction: with a COMMIT if its work is done, else with a ROLLBACK.
pub(super) async fn end<DB: Database, T>(
    transaction: Transaction<'_, DB>,
    work: Result<T, StoreError>,
    deadline: Instant,
) -> (Result<T, StoreError>, End) {
    match work {
        Ok(value) => match commit_within(deadline, transaction.commit()).await {
            Ok(()) => (Ok(value), End::Acknowledged),
            Err(error) => (Err(error), End::Unknown),
        },
        refused if End::of_statement(&refused) == End::Acknowledged => {
            match timeout_at(deadline, transaction.rollback()).await {
                Ok(Ok(())) => (refused, End::Acknowledged),
                Ok(Err(_)) | Err(_) => (refused, End::Unknown),
            }
        }
        silence => (silence, End::Unknown),
    }
}

/// Waits for a part of an operation until the deadline of the whole.
pub(super) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(Away::Late.into()))
}

/// Waits for a COMMIT. If it fails without a refusal of the database, its outcome is unknown.
async fn commit_within(
    deadline: Instant,
    commit: impl Future<Output = Result<(), sqlx::Error>>,
) -> Result<(), StoreError> {
    match timeout_at(deadline, commit).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if leaves_doubt(&error) => Err(StoreError::InDoubt(Away::Driver(error))),
        Ok(Err(refused)) => Err(refused.into()),
        Err(_) => Err(StoreError::InDoubt(Away::Late)),
    }
}

/// Circuit breaker. It refuses all operations for [`REST`] after the database was unreachable. Then it admits
/// one operation as a probe, so that in a long outage at most one caller at a time has to wait.
#[derive(Debug, Default)]
struct Breaker {
    rest_until: Mutex<Option<Instant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Ordinary,
    /// The operation that tests whether the database is back.
    Probe,
}

impl Breaker {
    fn pass(&self, now: Instant) -> Result<Pass, Away> {
        let mut rest_until = self.rest_until();
        match *rest_until {
            None => Ok(Pass::Ordinary),
            Some(until) if now < until => Err(Away::Resting),
            Some(_) => {
                *rest_until = Some(now + OPERATION);
                Ok(Pass::Probe)
            }
        }
    }

    fn open(&self, now: Instant) {
        if self.rest_until().replace(now + REST).is_none() {
            tracing::warn!("the database is away");
        }
    }

    fn close(&self) {
        if self.rest_until().take().is_some() {
            tracing::info!("the database is back");
        }
    }

    fn rest_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rest_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Time limit of one operation, including the wait for a connection.
pub(super) const OPERATION: Duration = Duration::from_secs(3);
/// How long operations are refused after the database was unreachable.
const REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_only_after_an_answer() {
        let end = |error: sqlx::Error| End::of_statement(&Err::<(), _>(error.into()));
        assert_eq!(End::of_statement(&Ok(())), End::Acknowledged);
        assert_eq!(end(sqlx::Error::RowNotFound), End::Acknowledged);
        for broken in [
            sqlx::Error::InvalidSavePointStatement,
            sqlx::Error::BeginFailed,
            sqlx::Error::Protocol("unexpected message".to_owned()),
            sqlx::Error::WorkerCrashed,
        ] {
            assert_eq!(end(broken), End::Unknown);
        }
    }

    #[test]
    fn after_an_outage_one_operation_finds_out_for_all() {
        let (breaker, found_away) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.pass(found_away).unwrap(), Pass::Ordinary);
        breaker.open(found_away);
        assert!(breaker.pass(found_away).is_err());
        let rested = found_away + REST;
        assert_eq!(breaker.pass(rested).unwrap(), Pass::Probe);
        assert!(breaker.pass(rested).is_err(), "the others do not wait with it");
        assert_eq!(breaker.pass(rested + OPERATION).unwrap(), Pass::Probe, "the first one never came back");
        breaker.close();
        assert_eq!(breaker.pass(rested).unwrap(), Pass::Ordinary);
    }
}
