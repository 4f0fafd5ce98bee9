//! What became of recordings, for the members of their groups: of each recording once a second at most, and its last
//! state, unless the members cannot be read just then.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    call::RecordingRow,
    calls::Calls,
    hub::Audience,
    ids::RecordingId,
    wire::event::{RecordingUpdated, ServerEvent},
};

/// The recordings of which something was told within the last second, with what is to be told of them next. Each change
/// is one that the database has stored, so there are as many as it can store in a second.
#[derive(Default)]
pub(super) struct News {
    told: Mutex<HashMap<RecordingId, Option<RecordingUpdated>>>,
}

impl News {
    /// Returns what is to be told at once. What comes too soon waits, in place of what waited before.
    fn add(&self, updated: RecordingUpdated) -> Option<RecordingUpdated> {
        match self.lock().entry(updated.id) {
            Entry::Occupied(mut told) => {
                told.insert(Some(updated));
                None
            }
            Entry::Vacant(untold) => {
                untold.insert(None);
                Some(updated)
            }
        }
    }

    /// What has come since something was told a second ago; with `None` nothing waits, and nothing is kept.
    fn next(&self, recording: RecordingId) -> Option<RecordingUpdated> {
        let mut told = self.lock();
        let next = told.get_mut(&recording).and_then(Option::take);
        if next.is_none() {
            told.remove(&recording);
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordingId, Option<RecordingUpdated>>> {
        // Each change is complete before the lock is released.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    /// Tells the members of its group what became of a recording: now, or once a second is over since they were told
    /// of it.
    pub(crate) fn tell_of_recording(&self, row: &RecordingRow) {
        let RecordingRow { id, call_id, group_id, status, .. } = *row;
        let updated = RecordingUpdated { id, call_id, group_id, status };
        let Some(first) = self.shared.studio.news.add(updated) else { return };
        let calls = self.clone();
        self.until_stop(async move {
            let mut next = Some(first);
            while let Some(updated) = next {
                calls.tell_members(updated).await;
                sleep(PERIOD).await;
                next = calls.shared.studio.news.next(id);
            }
        });
    }

    async fn tell_members(&self, updated: RecordingUpdated) {
        match self.shared.store.member_ids(updated.group_id).await {
            Ok(members) => {
                self.shared.hub.send(&Audience::Users(members), &ServerEvent::RecordingUpdated(updated));
            }
            Err(error) => tracing::debug!(%error, "nobody was told what became of a recording"),
        }
    }
}

const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::RecordingStatus::{self, Deleted, Incomplete, Ready},
        ids::{CallId, GroupId},
    };

    #[test]
    fn what_comes_too_soon_waits_and_the_last_of_it_is_told() {
        let (news, id, other) = (News::default(), RecordingId::random(), RecordingId::random());
        let (call_id, group_id) = (CallId::random(), GroupId::random());
        let add = |id, status| {
            let told = news.add(RecordingUpdated { id, call_id, group_id, status });
            told.map(|told| told.status)
        };
        let next = |id| news.next(id).map(|told| told.status);
        assert_eq!(add(id, Ready), Some(Ready));
        assert_eq!((add(id, Incomplete), add(id, Deleted)), (None::<RecordingStatus>, None));
        assert_eq!(add(other, Ready), Some(Ready), "recordings do not wait for each other");
        assert_eq!((next(id), next(id), next(other)), (Some(Deleted), None, None));
        assert!(news.lock().is_empty());
        assert_eq!(add(id, Ready), Some(Ready));
    }
}
