//! Registry of the live calls of this server and of the channels to their owner tasks.

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

/// Channel to the owner task of a live call.
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

    /// The live calls of a group. Concurrent creates are each live until the database refuses all but one, so
    /// there may be more than one.
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
        // Each change is a single insert or remove, so a poisoned map is still consistent.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Sends a request and waits for the answer; `None` if the owner task ends without one.
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
    /// Sends a request to the owner task of a live call and waits for the answer.
    ///
    /// # Errors
    /// `call_ended` if the call is not live here; otherwise those of the request.
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
