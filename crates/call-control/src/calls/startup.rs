//! Taking over after a restart, and the chores that repeat.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use switchyard_media_worker::{MediaError, media::Event};
use tokio::sync::mpsc;

use super::{Calls, media::CallMedia, task::CallTask};
use crate::{
    actor::Actor,
    call::{Call, CallRecord, CallType},
    ids::CallId,
    store::{StoreError, now},
};

impl Calls {
    /// Rule 6: every call that was running gets an owner again.
    pub(super) async fn take_over(&self) -> Result<(), StoreError> {
        for record in self.shared.store.running_calls().await? {
            let id = record.id;
            if let Err(error) = self.take_over_one(record).await {
                tracing::error!(call = %id, %error, "a running call cannot be taken over");
            }
        }
        Ok(())
    }

    async fn take_over_one(&self, record: CallRecord) -> Result<(), TakeOverError> {
        let (media, events) = self.open_media(record.id, record.call_type).await?;
        let legs = self.shared.store.all_legs(record.id).await?;
        let (call, effects) = Call::restore(record, legs, media.room(), self.shared.config.rules, now())
            .map_err(StoreError::from)?;
        CallTask::launch(&self.shared, call, effects, media, events).await?;
        Ok(())
    }

    /// A router for a call.
    pub(super) async fn open_media(
        &self,
        call: CallId,
        call_type: CallType,
    ) -> Result<(CallMedia, mpsc::Receiver<Event>), MediaError> {
        CallMedia::open(&self.shared.media, call, call_type, self.shared.config.limits).await
    }

    /// Starts the chores that repeat until [`Calls::shutdown`].
    pub(super) fn keep_house(&self) {
        let calls = self.clone();
        self.shared.tasks.spawn(self.shared.stop.clone().run_until_cancelled_owned(async move {
            let mut every = interval(PRESENCE_PERIOD);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                if let Err(error) = calls.shared.presence.note(&calls.shared.store).await {
                    tracing::warn!(%error, "who is connected could not be noted");
                }
            }
        }));
        let calls = self.clone();
        self.shared.tasks.spawn(self.shared.stop.clone().run_until_cancelled_owned(async move {
            let mut every = interval(SWEEP_PERIOD);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                match calls.cleanup_stale(&Actor::SERVER).await {
                    Ok(0) => {}
                    Ok(swept) => tracing::info!(swept, "stale calls were ended"),
                    Err(error) => tracing::warn!(%error, "stale calls could not be ended"),
                }
                if let Err(error) = calls.shared.store.forget_receipts(now() - RECEIPTS_KEPT).await {
                    tracing::warn!(%error, "old answers could not be forgotten");
                }
            }
        }));
    }
}

#[derive(Debug, thiserror::Error)]
enum TakeOverError {
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

const PRESENCE_PERIOD: Duration = Duration::from_secs(5);
const SWEEP_PERIOD: Duration = Duration::from_secs(60);
/// How long the repetition of a request gets the answer of the first.
const RECEIPTS_KEPT: Duration = Duration::from_secs(24 * 3600);
