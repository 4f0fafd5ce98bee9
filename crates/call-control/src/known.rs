//! Cache of the users seen recently, so that few requests have to read the user from the database.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::ids::UserId;

/// Bounded map of the stored data of users; the users unused for longest are dropped first.
#[derive(Default)]
pub(crate) struct KnownUsers {
    generations: Mutex<Generations>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownUser {
    /// The stored name; `None` if only a revocation is known.
    pub(crate) name: Option<String>,
    pub(crate) sessions_revoked_at: Option<DateTime<Utc>>,
}

/// Two maps of limited size. A user who is looked up moves to `recent`. When `recent` is full, `older` is
/// dropped and `recent` becomes `older`.
#[derive(Default)]
struct Generations {
    recent: HashMap<UserId, KnownUser>,
    older: HashMap<UserId, KnownUser>,
}

impl KnownUsers {
    pub(crate) fn get(&self, id: UserId) -> Option<KnownUser> {
        self.lock().touch(id).cloned()
    }

    /// Records a user as stored under this name. A later revocation in the map is kept.
    pub(crate) fn stored(
        &self,
        id: UserId,
        name: &str,
        sessions_revoked_at: Option<DateTime<Utc>>,
    ) -> KnownUser {
        let mut generations = self.lock();
        let before = generations.touch(id).and_then(|known| known.sessions_revoked_at);
        let sessions_revoked_at = sessions_revoked_at.max(before);
        let known = KnownUser { name: Some(name.to_owned()), sessions_revoked_at };
        generations.put(id, known.clone());
        known
    }

    /// Records a revocation, also for users not in the map: a concurrent request may have read the older row.
    pub(crate) fn revoked(&self, id: UserId, at: DateTime<Utc>) {
        let mut generations = self.lock();
        let (name, before) = generations
            .touch(id)
            .map(|known| (known.name.clone(), known.sessions_revoked_at))
            .unwrap_or_default();
        generations.put(id, KnownUser { name, sessions_revoked_at: before.max(Some(at)) });
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn touch(&mut self, id: UserId) -> Option<&KnownUser> {
        if let Some(known) = self.older.remove(&id) {
            self.put(id, known);
        }
        self.recent.get(&id)
    }

    fn put(&mut self, id: UserId, known: KnownUser) {
        if self.recent.len() >= GENERATION {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(id, known);
    }
}

/// Entries per map; two full maps take some megabytes.
const GENERATION: usize = 25_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn whoever_keeps_asking_stays_known_and_the_others_are_forgotten_in_time() {
        let known = KnownUsers::default();
        let (regular, visitor) = (UserId::random(), UserId::random());
        known.stored(regular, "Ada", None);
        known.stored(visitor, "Bob", None);
        for _ in 0..5 * GENERATION {
            known.stored(UserId::random(), "Somebody", None);
            assert!(known.get(regular).is_some());
        }
        assert_eq!(known.get(visitor), None);
        let generations = known.lock();
        assert!(generations.recent.len() + generations.older.len() <= 2 * GENERATION);
    }

    #[test]
    fn a_revocation_is_not_undone_by_what_was_read_before_it() {
        let known = KnownUsers::default();
        let (ada, revoked_at) = (UserId::random(), now());
        known.revoked(ada, revoked_at);
        assert_eq!(known.stored(ada, "Ada", None).sessions_revoked_at, Some(revoked_at));
        known.revoked(ada, revoked_at - std::time::Duration::from_secs(1));
        let ada = known.get(ada).unwrap();
        assert_eq!((ada.name.as_deref(), ada.sessions_revoked_at), (Some("Ada"), Some(revoked_at)));
    }
}
