//! Whether the database takes writes.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use super::{Away, Store, StoreError, on_writer};
use crate::clock::now;

/// The last answer of [`Store::ready`]. Locked during a write: other probes wait for its outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Readiness(Arc<Mutex<Option<Known>>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    since: Instant,
    ready: bool,
}

impl Store {
    /// Writes a row, which a database that is full or only answers reads refuses.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] and [`StoreError::InDoubt`] if the database is unreachable,
    /// [`StoreError::Database`] if it refuses the write.
    pub async fn ping(&self) -> Result<(), StoreError> {
        on_writer!(&self.db, |connection| {
            sqlx::query(
                "INSERT INTO readiness (id, checked_at) VALUES (1, $1)
                 ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at",
            )
            .bind(now())
            .execute(connection)
            .await
            .map(drop)
        })
    }

    /// As [`Store::ping`], but at most once a second: another probe gets the last answer, so that probes of
    /// anybody cost the database little.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the last write failed.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.ready_at(Instant::now()).await
    }

    async fn ready_at(&self, asked: Instant) -> Result<(), StoreError> {
        let mut known = self.readiness.0.lock().await;
        if let Some(Known { ready, .. }) = known.filter(|known| asked < known.since + FRESH) {
            return if ready { Ok(()) } else { Err(Away::Resting.into()) };
        }
        let outcome = self.ping().await;
        *known = Some(Known { since: asked.max(Instant::now()), ready: outcome.is_ok() });
        outcome
    }
}

/// How long an answer is repeated.
const FRESH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::{store::on, testing::on_both_engines};

    async fn written(store: &Store) -> Option<DateTime<Utc>> {
        let row: Result<Option<(DateTime<Utc>,)>, StoreError> = on!(&store.db, |connection| {
            sqlx::query_as("SELECT checked_at FROM readiness").fetch_optional(connection).await
        });
        row.unwrap().map(|(at,)| at)
    }

    on_both_engines! {
        async fn readiness_is_a_row_written_at_most_once_a_second(database) {
            let store = database.open().await;
            assert_eq!(written(&store).await, None);
            let start = Instant::now();
            store.ready_at(start).await.unwrap();
            let first = written(&store).await.expect("a probe writes");
            for _ in 0..10 {
                store.ready_at(start).await.unwrap();
            }
            assert_eq!(written(&store).await, Some(first));
            store.ready_at(Instant::now() + FRESH).await.unwrap();
            assert!(written(&store).await > Some(first));
        }

        async fn a_database_that_is_gone_is_not_ready(database) {
            let store = database.open().await;
            store.close().await;
            assert!(store.ready().await.is_err());
            assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
        }
    }
}
