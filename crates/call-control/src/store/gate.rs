//! Access to the database connections. Each operation has a time limit, and a circuit breaker refuses
//! operations at once for a while after the database was unreachable.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{Database, Pool, pool::PoolConnection};
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
        Ok(Turn { connection, breaker: Arc::clone(&self.breaker), deadline, answered: false })
    }

    /// Whether the database was found unreachable and has not answered an operation since.
    pub(super) fn is_away(&self) -> bool {
        self.breaker.rest_until().is_some()
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

impl<DB: Database> Clone for Gate<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), breaker: Arc::clone(&self.breaker) }
    }
}

/// One operation and its connection. If it is dropped half-way the connection is closed: the next answer on
/// the connection could belong to this operation, and one without an answer would never return to the pool.
pub(super) struct Turn<DB: Database> {
    connection: PoolConnection<DB>,
    breaker: Arc<Breaker>,
    deadline: Instant,
    answered: bool,
}

impl<DB: Database> Turn<DB> {
    pub(super) fn connection(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reports the outcome to the circuit breaker, and returns the connection to the pool.
    pub(super) fn finish<T>(mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            Err(StoreError::Unavailable(away) | StoreError::InDoubt(away)) => {
                self.answered = away.is_answer();
                if away.is_outage() {
                    self.breaker.open(Instant::now());
                }
            }
            Ok(_) | Err(_) => {
                self.answered = true;
                self.breaker.close();
            }
        }
        outcome
    }
}

impl<DB: Database> Drop for Turn<DB> {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
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
pub(super) async fn commit_within(
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
