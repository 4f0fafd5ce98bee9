//! Write queue of one call. Changes are stored one after another. While the database is unreachable, changes
//! that cannot be refused wait here, in order, and are stored in the background while the call goes on.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    call::{Changes, RecordingRow},
    store::{Away, Store, StoreError},
};

pub(super) struct Ledger {
    store: Store,
    tally: Arc<Tally>,
    /// Oldest first.
    waiting: VecDeque<Arc<Changes>>,
    /// The attempt to store the oldest change, if one is under way.
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    retry_at: Option<Instant>,
}

/// Effect of database outages on the event logs, counted in events over all calls of this server.
#[derive(Debug, Default)]
pub(super) struct Tally {
    unstored: AtomicU64,
    lost: AtomicU64,
}

impl Ledger {
    pub(super) const fn new(store: Store, tally: Arc<Tally>) -> Self {
        Self { store, tally, waiting: VecDeque::new(), writing: None, retry_at: None }
    }

    /// Stores the first changes of a new owner. If that fails they are not kept for later.
    pub(super) async fn found(&self, changes: &Changes) -> Result<(), StoreError> {
        self.store.commit(changes).await
    }

    /// Stores changes that may be refused. Fails at once while the database is unreachable, and after
    /// [`PATIENCE`] if earlier changes still cannot be stored.
    ///
    /// # Errors
    /// [`StoreError`]. With [`StoreError::InDoubt`] the changes are kept and end up stored exactly once.
    pub(super) async fn write(&mut self, changes: Changes) -> Result<(), StoreError> {
        if self.store.is_away() {
            return Err(Away::Resting.into());
        }
        timeout(PATIENCE, self.drain()).await.map_err(|_| Away::Late)??;
        let written = self.store.commit(&changes).await;
        if let Err(StoreError::InDoubt(_)) = &written {
            self.tally.count_unstored(&changes);
            self.keep(changes);
            self.retry_at = Some(Instant::now() + RETRY_AFTER);
        }
        written
    }

    /// Stores changes that cannot be refused, because they record what already happened. If that takes longer
    /// than [`PATIENCE`] they are kept and stored later.
    ///
    /// # Errors
    /// Only [`StoreError::Fenced`].
    pub(super) async fn write_or_keep(&mut self, changes: Changes) -> Result<(), StoreError> {
        if !self.waiting.is_empty() {
            self.tally.count_unstored(&changes);
            self.keep(changes);
            return Ok(());
        }
        self.keep(changes);
        if let Ok(Err(fenced)) = timeout(PATIENCE, self.progress()).await {
            return Err(fenced);
        }
        if let Some(unstored) = self.waiting.front() {
            tracing::warn!(call = %unstored.call.id, "the database does not take a change; it is kept for later");
            self.tally.count_unstored(unstored);
        }
        Ok(())
    }

    /// Tries to store the oldest waiting change; never returns if no change waits. Cancel safe: the next call
    /// continues the same attempt.
    ///
    /// # Errors
    /// Only [`StoreError::Fenced`].
    pub(super) async fn progress(&mut self) -> Result<(), StoreError> {
        let Some(oldest) = self.waiting.front() else { return std::future::pending().await };
        if let Some(retry_at) = self.retry_at {
            sleep_until(retry_at).await;
        }
        let writing = self.writing.get_or_insert_with(|| {
            let (store, oldest) = (self.store.clone(), Arc::clone(oldest));
            tokio::spawn(async move { store.commit(&oldest).await })
        });
        let written = writing.await;
        (self.writing, self.retry_at) = (None, None);
        match written {
            Ok(Ok(())) => {
                self.waiting.pop_front();
            }
            Ok(Err(StoreError::Fenced)) => {
                self.waiting.clear();
                return Err(StoreError::Fenced);
            }
            Ok(Err(error)) => self.try_later(&error),
            Err(broken) => self.try_later(&broken),
        }
        Ok(())
    }

    /// Stores all waiting changes, without a time limit.
    ///
    /// # Errors
    /// Only [`StoreError::Fenced`].
    pub(super) async fn drain(&mut self) -> Result<(), StoreError> {
        while !self.waiting.is_empty() {
            self.progress().await?;
        }
        Ok(())
    }

    /// Queues a change. If the queue is full, the last waiting change is merged with this one: the rows stay
    /// correct, but the events of that last change are lost, and counted.
    fn keep(&mut self, changes: Changes) {
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push_back(Arc::new(changes));
        } else if let Some(newest) = self.waiting.back_mut() {
            self.tally.count_lost(newest);
            take_in(Arc::make_mut(newest), changes);
        }
    }

    fn try_later(&mut self, error: &dyn std::error::Error) {
        tracing::debug!(%error, waiting = self.waiting.len(), "a change has to wait for the database");
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
    }
}

impl Tally {
    pub(super) fn unstored(&self) -> u64 {
        self.unstored.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn count_unstored(&self, changes: &Changes) {
        self.unstored.fetch_add(changes.events.len() as u64, Ordering::Relaxed);
    }

    fn count_lost(&self, changes: &Changes) {
        self.lost.fetch_add(changes.events.len() as u64, Ordering::Relaxed);
    }
}

/// Merges two consecutive changes into one, with the events of `newer` only.
fn take_in(older: &mut Changes, newer: Changes) {
    let follows = older.follows;
    let taken = mem::replace(older, Changes { follows, ..newer });
    let unchanged = taken.legs.into_iter().filter(|leg| older.legs.iter().all(|newer| newer.id != leg.id));
    let unchanged: Vec<_> = unchanged.collect();
    older.legs.extend(unchanged);
    let is_same = |row: &RecordingRow| older.recordings.iter().any(|newer| newer.id == row.id);
    let unchanged: Vec<_> = taken.recordings.into_iter().filter(|row| !is_same(row)).collect();
    older.recordings.extend(unchanged);
}

/// Enough changes for hours of an ordinary call, or for minutes of a busy one.
const MOST_WAITING: usize = 1_000;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a call waits for the database before it continues without.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        actor::{Actor, Person},
        call::{Beginning, Call, CallType, Effect, Metadata, Origin, Rules},
        clock::now,
        ids::{CallId, GroupId, LegId, UserId},
        testing::TestStore,
    };
    use switchyard_media_worker::media::RouterId;

    fn changes() -> Changes {
        let origin = Origin {
            id: CallId::random(),
            group_id: GroupId::random(),
            initiated_by: UserId::random(),
            call_type: CallType::Video,
            created_at: now(),
        };
        let creator = Person { id: origin.initiated_by, name: "Ada".to_owned() };
        let first = Beginning {
            creator,
            leg: LegId::random(),
            room: RouterId(Uuid::new_v4()),
            metadata: Metadata::default(),
            invitees: Vec::new(),
        };
        let (_, effects) = Call::create(origin, first, Rules::default(), &Actor::SERVER);
        let store = |effect| if let Effect::Store(changes) = effect { Some(*changes) } else { None };
        effects.into_iter().find_map(store).unwrap()
    }

    async fn ledger_of_a_database_that_is_away() -> Ledger {
        let store = TestStore::sqlite().await.open().await;
        store.close().await;
        Ledger::new(store, Arc::default())
    }

    #[tokio::test]
    async fn while_the_database_is_away_what_can_be_refused_is_refused() {
        let mut ledger = ledger_of_a_database_that_is_away().await;
        assert!(matches!(ledger.write(changes()).await, Err(StoreError::Unavailable(_))));
        assert!(ledger.waiting.is_empty(), "what was refused does not wait");
        assert_eq!(ledger.tally.unstored(), 0);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_keeps_the_state_when_it_has_to_lose_events() {
        let mut ledger = ledger_of_a_database_that_is_away().await;
        for _ in 0..MOST_WAITING {
            ledger.write_or_keep(changes()).await.unwrap();
        }
        assert_eq!((ledger.waiting.len(), ledger.tally.lost()), (MOST_WAITING, 0));
        let superseded = Arc::clone(ledger.waiting.back().unwrap());
        let newest = changes();
        ledger.write_or_keep(newest.clone()).await.unwrap();
        assert_eq!((ledger.waiting.len(), ledger.tally.lost()), (MOST_WAITING, 1));
        let kept = ledger.waiting.back().unwrap();
        assert_eq!((kept.call.id, kept.follows), (newest.call.id, superseded.follows));
        assert_eq!(kept.legs.len(), 2, "rows that only the older one changed stay changed");
        assert_eq!(ledger.tally.unstored(), MOST_WAITING as u64 + 1);
        assert!(matches!(ledger.write(changes()).await, Err(StoreError::Unavailable(_))));
    }
}
