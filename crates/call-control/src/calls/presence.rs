//! The set of connected legs. Their `last_seen_at` is stored every few seconds, so that after a crash the
//! record says until when each leg was connected.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::now,
    ids::LegId,
    store::{Store, StoreError},
};

#[derive(Default)]
pub(super) struct Presence {
    legs: Mutex<HashSet<LegId>>,
}

impl Presence {
    pub(super) fn arrived(&self, leg: LegId) {
        self.lock().insert(leg);
    }

    pub(super) fn went(&self, leg: LegId) {
        self.lock().remove(&leg);
    }

    pub(super) async fn note(&self, store: &Store) -> Result<(), StoreError> {
        let legs: Vec<_> = self.lock().iter().copied().collect();
        store.saw_legs(&legs, now()).await
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<LegId>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
