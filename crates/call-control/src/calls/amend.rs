//! Commands on a call, whether it is live or has ended.

use super::{Calls, request::Request};
use crate::{
    actor::Actor,
    call::{Call, CallRows, CallView, Command, Effect},
    clock::now,
    error::{ErrorCode, Refusal},
    ids::CallId,
    store::{StoreError, StoredCall},
};

impl Calls {
    /// Sends a command to the call's owner task. An ended call has no owner task: only its record is changed.
    pub(super) async fn command(
        &self,
        call: CallId,
        command: Command,
        by: &Actor,
    ) -> Result<CallView, Refusal> {
        if let Some(live) = self.shared.live.get(call) {
            let (command, by) = (command.clone(), by.clone());
            if let Some(answer) = live.ask(|reply| Request::Command { command, by, reply }).await {
                return answer;
            }
        }
        let stored = self.stored(call).await?;
        if stored.record.status.is_running() {
            return Err(Refusal::new(ErrorCode::Unavailable, "the call is starting or moving; try again"));
        }
        self.amend(stored, command, by).await
    }

    /// Applies a command to the record of an ended call.
    async fn amend(&self, stored: StoredCall, command: Command, by: &Actor) -> Result<CallView, Refusal> {
        let (rules, now) = (self.shared.config.rules, now());
        // Only these ask who has been there, or was rung.
        let rows = if matches!(command, Command::Leave { .. } | Command::Decline { .. }) {
            self.shared.store.rows_of_call(stored.record.id, rules.forgotten_until(now)).await?
        } else {
            CallRows::default()
        };
        let mut call = Call::past(stored.record, rows, rules).map_err(StoreError::from)?;
        for effect in call.handle(command, by, now)? {
            if let Effect::Store(changes) = effect {
                self.shared.store.commit(&changes).await?;
            }
        }
        Ok(call.view(now))
    }
}
