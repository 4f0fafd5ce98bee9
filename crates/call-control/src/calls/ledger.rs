//! One call's way into the store. When the database is away, what cannot be refused waits here, in order.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    call::Changes,
    store::{Store, StoreError},
};

pub(super) struct Ledger {
    store: Store,
    waiting: VecDeque<Changes>,
    retry_at: Option<Instant>,
}

impl Ledger {
    pub(super) const fn new(store: Store) -> Self {
        Self { store, waiting: VecDeque::new(), retry_at: None }
    }

    /// When [`Ledger::flush`] should be tried again.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Stores the changes, after those that wait.
    pub(super) async fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.flush().await?;
        self.store.commit(changes).await
    }

    /// Stores the changes, or keeps them until the database is back: they tell of what cannot be undone.
    pub(super) async fn write_or_keep(&mut self, changes: Changes) -> Result<(), StoreError> {
        let written = if self.is_resting() { Err(None) } else { self.write(&changes).await.map_err(Some) };
        match written {
            Ok(()) => Ok(()),
            Err(None | Some(StoreError::Unavailable(_))) if self.waiting.len() < MOST_WAITING => {
                tracing::warn!(call = %changes.call.id, "the database is away; the change is kept for later");
                self.waiting.push_back(changes);
                self.retry_at.get_or_insert_with(|| Instant::now() + RETRY_AFTER);
                Ok(())
            }
            Err(None) => Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
            Err(Some(error)) => Err(error),
        }
    }

    /// Stores what waits, oldest first.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        while let Some(oldest) = self.waiting.front() {
            if let Err(error) = self.store.commit(oldest).await {
                self.retry_at = Some(Instant::now() + RETRY_AFTER);
                return Err(error);
            }
            self.waiting.pop_front();
        }
        self.retry_at = None;
        Ok(())
    }

    /// Whether the database was found away so recently that asking again would only hold the call up.
    fn is_resting(&self) -> bool {
        self.retry_at.is_some_and(|retry_at| Instant::now() < retry_at)
    }
}

/// Some hours of an ordinary call, some minutes of a lively one.
const MOST_WAITING: usize = 1_000;
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        actor::Actor,
        call::{Call, CallType, Effect, Metadata, Origin, Person, Rules},
        ids::{CallId, GroupId, LegId, UserId},
        store::now,
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
        let rules = Rules::default();
        let room = RouterId(Uuid::new_v4());
        let leg = LegId::random();
        let (_, effects) =
            Call::create(origin, creator, leg, room, Metadata::default(), rules, &Actor::SERVER);
        let store = |effect| if let Effect::Store(changes) = effect { Some(*changes) } else { None };
        effects.into_iter().find_map(store).unwrap()
    }

    #[tokio::test]
    async fn while_the_database_is_away_changes_wait_and_their_number_is_bounded() {
        let store = TestStore::sqlite().await.open().await;
        store.close().await;
        let mut ledger = Ledger::new(store);
        assert!(matches!(ledger.write(&changes()).await, Err(StoreError::Unavailable(_))));
        assert_eq!(ledger.retry_at(), None, "what was refused does not wait");
        for _ in 0..MOST_WAITING {
            ledger.write_or_keep(changes()).await.unwrap();
        }
        assert!(ledger.retry_at().is_some());
        assert!(matches!(ledger.write_or_keep(changes()).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(ledger.flush().await, Err(StoreError::Unavailable(_))));
        assert_eq!(ledger.waiting.len(), MOST_WAITING);
    }
}
