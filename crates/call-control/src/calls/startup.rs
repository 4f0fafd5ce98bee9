//! Takeover of running calls without an owner task, and the periodic background tasks.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use switchyard_media_worker::{MediaError, media::Event};
use tokio::sync::mpsc;

use super::{Calls, media::CallMedia, recording::until_done, task::CallTask};
use crate::{
    actor::Actor,
    call::{Call, CallRecord, CallType},
    clock::now,
    ids::CallId,
    store::StoreError,
};

impl Calls {
    /// Rule 6: starts an owner task for each running call of the database. If this fails for one call the
    /// others are still taken over, and [`Calls::adopt`] tries that call again.
    pub(super) async fn take_over(&self) -> Result<(), StoreError> {
        for record in self.shared.store.running_calls().await? {
            let id = record.id;
            if let Err(error) = self.take_over_one(record).await {
                tracing::error!(call = %id, %error, "a running call cannot be taken over yet");
            }
        }
        Ok(())
    }

    /// Takes over running calls that have no owner task here and have not changed for this long: the outcome
    /// of their create was in doubt, or an earlier takeover failed. Takes over none while another server may
    /// own the database: they may be its calls.
    pub(super) async fn adopt(&self, unchanged_for: Duration) -> Result<(), StoreError> {
        if !self.shared.ownership.is_held() {
            return Ok(());
        }
        let quiet = self.shared.store.running_calls_unchanged_since(now() - unchanged_for).await?;
        for record in quiet.into_iter().filter(|record| self.shared.live.get(record.id).is_none()) {
            let id = record.id;
            match self.take_over_one(record).await {
                Ok(()) => tracing::warn!(call = %id, "a running call without an owner was taken over"),
                // Another owner has written the call in the meantime.
                Err(TakeOverError::Store(StoreError::Fenced)) => {}
                Err(error) => tracing::warn!(call = %id, %error, "a running call cannot be taken over yet"),
            }
        }
        Ok(())
    }

    async fn take_over_one(&self, record: CallRecord) -> Result<(), TakeOverError> {
        let (media, events) = self.open_media(record.id, record.call_type).await?;
        let (rules, now) = (self.shared.config.rules, now());
        let rows = self.shared.store.rows_of_call(record.id, rules.forgotten_until(now)).await?;
        let (call, effects) =
            Call::restore(record, rows, media.room(), rules, now).map_err(StoreError::from)?;
        CallTask::launch(&self.shared, call, effects, media, events).await?;
        Ok(())
    }

    /// Creates the router of a call.
    pub(super) async fn open_media(
        &self,
        call: CallId,
        call_type: CallType,
    ) -> Result<(CallMedia, mpsc::Receiver<Event>), MediaError> {
        CallMedia::open(&self.shared.media, call, call_type, self.shared.config.limits).await
    }

    /// Starts the background tasks, which run until [`Calls::shutdown`].
    pub(super) fn keep_house(&self) {
        self.repeat(PRESENCE_PERIOD, |calls| async move {
            if let Err(error) = calls.shared.presence.note(&calls.shared.store).await {
                tracing::debug!(%error, "who is connected could not be noted");
            }
        });
        self.repeat(SWEEP_PERIOD, |calls| async move {
            match calls.cleanup_stale(&Actor::SERVER).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "stale calls were ended"),
                Err(error) => tracing::warn!(%error, "stale calls could not be ended"),
            }
            if let Err(error) = calls.shared.store.forget_receipts(now() - RECEIPTS_KEPT).await {
                tracing::warn!(%error, "old answers could not be forgotten");
            }
        });
        self.repeat(ADOPT_PERIOD, |calls| async move {
            if let Err(error) = calls.adopt(ORPHANED_AFTER).await {
                tracing::debug!(%error, "calls without an owner could not be looked for");
            }
        });
        // Joins are refused while the database is unreachable, so this probe has to find out when it is back.
        self.repeat(PROBE_PERIOD, |calls| async move {
            if calls.shared.store.is_away() {
                let _ = calls.shared.store.ping().await;
            }
        });
    }

    /// Starts listening to the recorder, before calls are taken over and continue their recordings.
    pub(super) fn keep_recordings(&self) {
        self.until_stop(self.clone().hear_recorder());
        self.until_stop(self.clone().keep_records());
    }

    /// Looks after recordings that an earlier run of the server left, once its calls are taken over.
    pub(in crate::calls) fn tidy_up(&self) {
        let calls = self.clone();
        self.until_stop(async move {
            until_done("unfinished recordings", || calls.tidy_recordings()).await;
        });
    }

    fn repeat<C>(&self, period: Duration, chore: impl Fn(Self) -> C + Send + 'static)
    where
        C: Future<Output = ()> + Send,
    {
        let calls = self.clone();
        self.until_stop(async move {
            let mut every = interval(period);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                // Boxed, so that a background task frees its buffers between runs.
                Box::pin(chore(calls.clone())).await;
            }
        });
    }

    /// Works in the background. A stop of the server interrupts it.
    pub(super) fn until_stop<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) {
        self.shared.tasks.spawn(self.shared.stop.clone().run_until_cancelled_owned(work));
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
/// How long the answer to a create is kept for repetitions of it.
const RECEIPTS_KEPT: Duration = Duration::from_secs(24 * 3600);
const ADOPT_PERIOD: Duration = Duration::from_secs(5);
/// Longer than everything that a new owner does before its call counts as owned.
const ORPHANED_AFTER: Duration = Duration::from_secs(10);
const PROBE_PERIOD: Duration = Duration::from_secs(1);
