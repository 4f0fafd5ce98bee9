//! A running call whose owner task panicked.

use super::{Calls, announce};
use crate::{
    actor::Actor,
    call::{Call, Command, Effect},
    clock::now,
    error::Refusal,
    hub::Audience,
    ids::CallId,
    store::StoreError,
};

impl Calls {
    /// Records that the call failed, and notifies the members of its group.
    pub(super) async fn fail_orphan(&self, call: CallId) {
        tracing::error!(%call, "the owner of a call broke; the call fails");
        self.shared.live.remove(call);
        self.shared.studio.let_go(call).await;
        if let Err(error) = self.record_failure(call).await {
            tracing::error!(%call, %error, "a broken call could not be ended; it will be taken over");
        }
        self.shared.hub.forget_call(call);
    }

    async fn record_failure(&self, id: CallId) -> Result<(), Refusal> {
        let stored = self.stored(id).await?;
        let (rules, now) = (self.shared.config.rules, now());
        let rows = self.shared.store.rows_of_call(id, rules.forgotten_until(now)).await?;
        let mut call = Call::past(stored.record, rows, rules).map_err(StoreError::from)?;
        let message = "the server had an internal error".to_owned();
        for effect in call.handle(Command::Fail { message }, &Actor::SERVER, now)? {
            match effect {
                Effect::Store(changes) => self.shared.store.commit(&changes).await?,
                Effect::Announce(recorded) => {
                    let members = self.shared.store.member_ids(call.origin().group_id).await?;
                    self.shared.hub.send(&Audience::Users(members), &announce::server_event(&call, recorded));
                }
                Effect::Detach(leg) => self.shared.presence.went(leg),
                Effect::FollowRecording { ended } => {
                    if let Some((recording, end)) = ended {
                        self.shared.studio.close(recording, end).await;
                    }
                }
                Effect::StopRinging(user, reason) => self.shared.stop_ringing(id, user, reason),
                Effect::Ring(_)
                | Effect::Attach(..)
                | Effect::Restrict(_)
                | Effect::CloseLeg(_)
                | Effect::Replaced(_) => {}
            }
        }
        Ok(())
    }
}
