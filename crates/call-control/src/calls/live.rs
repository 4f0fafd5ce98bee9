//! Which calls are live here, and how to reach their owners.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Calls,
    request::{Reply, Request},
};
use crate::{
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId, UserId},
};

#[derive(Default)]
pub(super) struct Registry {
    calls: Mutex<HashMap<CallId, Live>>,
}

/// The way to the owner of a live call.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) group: GroupId,
    pub(super) initiated_by: UserId,
    pub(super) requests: mpsc::Sender<Request>,
}

impl Registry {
    pub(super) fn insert(&self, call: CallId, live: Live) {
        self.lock().insert(call, live);
    }

    pub(super) fn remove(&self, call: CallId) {
        self.lock().remove(&call);
    }

    pub(super) fn get(&self, call: CallId) -> Option<Live> {
        self.lock().get(&call).cloned()
    }

    /// Of creates that race for a group each is live for a moment, so there may be more than one.
    pub(super) fn of_group(&self, group: GroupId) -> Vec<CallId> {
        self.lock().iter().filter(|(_, live)| live.group == group).map(|(call, _)| *call).collect()
    }

    pub(super) fn all(&self) -> Vec<CallId> {
        self.lock().keys().copied().collect()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, Live>> {
        // Single inserts and removals leave nothing half-done behind.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Waits for the owner's answer; `None` if it stopped owning the call first.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Option<Result<T, Refusal>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.ok()?;
        answer.await.ok()
    }
}

impl Calls {
    /// Asks the owner of a live call.
    pub(super) async fn ask<T>(
        &self,
        call: CallId,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, Refusal> {
        let over = || Refusal::new(ErrorCode::CallEnded, "the call has ended");
        let live = self.shared.live.get(call).ok_or_else(over)?;
        live.ask(request).await.ok_or_else(over)?
    }
}
