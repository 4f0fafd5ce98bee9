//! The call service, independent of HTTP: each public method is one operation.
//!
//! Records are read from the store. Changes of a live call go through its owner task, in order. A call is
//! live from its creation until it ends.

mod access;
mod amend;
mod announce;
mod ledger;
mod live;
pub mod media;
mod moderation;
mod orphan;
mod presence;
mod receipts;
mod recording;
mod request;
mod ringing;
mod sockets;
mod startup;
mod task;

use std::{sync::Arc, time::Duration};

use switchyard_media_worker::Media;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use receipts::Once;
pub use recording::{
    RecorderConfig, RecorderCounters, RecordingAccess, RecordingBy, RecordingConfig, RecordingFigures,
    RecordingWish, StudioError,
};
pub use request::{Created, NewCall};

use access::Entry;
use ledger::Tally;
use live::Registry;
use presence::Presence;
use receipts::InProgress;
use recording::Studio;
use ringing::Rings;
use task::CallTask;

use crate::{
    actor::Actor,
    call::{
        Beginning, Call, CallError, CallView, Command, Effect, EndReason, Ending, LegReason, LegView,
        Metadata, Origin, Rules, Via,
    },
    clock::now,
    error::{ErrorCode, Refusal},
    hub::Hub,
    ice::IceServers,
    ids::{CallId, GroupId, LegId, UserId},
    limits::Limits,
    store::{CallFilter, Ownership, Page, PageRequest, Store, StoreError, StoredEvent, TimeCursor},
};

/// Handle of the service. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Shared>,
}

#[derive(Clone, Debug)]
pub struct CallsConfig {
    pub rules: Rules,
    pub limits: Limits,
    /// Rule 7: a call that has run longer than this is ended.
    pub max_call_age: Duration,
    pub ice_servers: IceServers,
    pub recording: RecordingConfig,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CallsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recording(#[from] StudioError),
}

/// State shared by the service and the owner tasks.
struct Shared {
    config: CallsConfig,
    store: Store,
    ownership: Arc<Ownership>,
    media: Media,
    studio: Studio,
    hub: Hub,
    live: Registry,
    rings: Rings,
    presence: Presence,
    in_progress: InProgress,
    tally: Arc<Tally>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Calls {
    /// Takes over the calls that were running when the server last stopped, and starts serving.
    ///
    /// # Errors
    /// [`CallsError`] when the database cannot be read, or the recordings folder cannot be used.
    pub async fn start(
        config: CallsConfig,
        store: Store,
        ownership: Arc<Ownership>,
        media: Media,
        hub: Hub,
    ) -> Result<Self, CallsError> {
        let studio = Studio::start(config.recording.clone(), &media)?;
        let shared = Shared {
            config,
            store,
            ownership,
            media,
            studio,
            hub,
            live: Registry::default(),
            rings: Rings::default(),
            presence: Presence::default(),
            in_progress: InProgress::default(),
            tally: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let calls = Self { shared: Arc::new(shared) };
        calls.keep_recordings();
        calls.take_over().await?;
        calls.tidy_up();
        calls.keep_house();
        Ok(calls)
    }

    /// Stops the tasks, and finishes the files of recordings. Running calls are not ended: the next start takes them
    /// over, and continues their recordings.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.stop_recorder().await;
    }

    /// Starts a call in a group without a running call. The caller is in the call at once, with a leg that
    /// has no device.
    ///
    /// # Errors
    /// `forbidden` for callers who are not members, `call_exists` with the id of the running call,
    /// `metadata_too_large`, `conflict` and `idempotency_mismatch` for a key in use, `node_overloaded`,
    /// `unavailable`.
    pub async fn create(&self, by: &Actor, new: NewCall) -> Result<Created, Refusal> {
        let user = by.person()?.id;
        self.require_member(new.group_id, by).await?;
        self.require_first_recording_keys(by, &new.metadata)?;
        let claim = match &new.once {
            None => None,
            Some(once) => match self.claim(user, once).await? {
                Ok(claim) => Some(claim),
                Err(answer) => return Ok(Created::Before(answer)),
            },
        };
        let (calls, by) = (self.clone(), by.clone());
        self.whole(async move {
            let created = calls.start_call(&by, new).await;
            drop(claim);
            created.map(|call| Created::Now(Box::new(call)))
        })
        .await
    }

    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn find_one(&self, by: &Actor, call: CallId) -> Result<CallView, Refusal> {
        Ok(self.readable(by, call).await?.view(now()))
    }

    /// The group's running call, if there is one.
    ///
    /// # Errors
    /// `forbidden`, `unavailable`.
    pub async fn find_active_by_group(
        &self,
        by: &Actor,
        group: GroupId,
    ) -> Result<Option<CallView>, Refusal> {
        self.require_insight(group, by).await?;
        Ok(self.shared.store.running_call(group).await?.map(|call| call.view(now())))
    }

    /// The group's calls, newest first.
    ///
    /// # Errors
    /// `forbidden`, `unavailable`.
    pub async fn find_by_group(
        &self,
        by: &Actor,
        group: GroupId,
        filter: CallFilter,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<CallView>, Refusal> {
        self.require_insight(group, by).await?;
        let now = now();
        Ok(self.shared.store.calls_of_group(group, filter, page).await?.map(|call| call.view(now)))
    }

    /// The running calls of all groups that the user is in, newest first.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn find_active_for_user(&self, user: UserId) -> Result<Vec<CallView>, Refusal> {
        let now = now();
        let calls = self.shared.store.running_calls_for(user).await?;
        Ok(calls.into_iter().map(|call| call.view(now)).collect())
    }

    /// Joins without a device: opens an unattached leg. A second join changes nothing.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `call_locked`, `removed`, `too_many_participants`, `node_overloaded`,
    /// `unavailable`.
    pub async fn join(&self, by: &Actor, call: CallId) -> Result<CallView, Refusal> {
        let person = by.person()?.clone();
        let privileged = self.say(by, call).await?.entry()? == Entry::Privileged;
        let command = Command::Join { leg: LegId::random(), person, via: Via::Rest, privileged };
        let joined = self.command(call, command, by).await?;
        self.ensure_still_member(by, call).await?;
        Ok(joined)
    }

    /// Ends one leg of the user, or without `leg` all; a second leave changes nothing. A user who is not a
    /// member any more may leave as well.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `not_in_call`, `unavailable`.
    pub async fn leave(&self, by: &Actor, call: CallId, leg: Option<LegId>) -> Result<CallView, Refusal> {
        let user = by.person()?.id;
        let left = self.command(call, Command::Leave { user, leg, reason: LegReason::Left }, by).await;
        match self.readable(by, call).await {
            // The answer contains the call, which only members may read, even if the caller was in it.
            Err(refusal) if refusal.code != ErrorCode::Unavailable => Err(refusal),
            Ok(_) | Err(_) => left,
        }
    }

    /// Ends the call for all; a second end changes nothing.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but the initiator and the group's admins, `unavailable`.
    pub async fn end(&self, by: &Actor, call: CallId, reason: EndReason) -> Result<CallView, Refusal> {
        self.require_say_always(by, call).await?;
        self.command(call, Command::End(reason.into()), by).await
    }

    /// Applies a JSON merge patch (RFC 7396) to the metadata, also after the call has ended.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but the initiator and the group's admins, `metadata_too_large`,
    /// `unavailable`.
    pub async fn update_metadata(
        &self,
        by: &Actor,
        call: CallId,
        patch: Metadata,
    ) -> Result<CallView, Refusal> {
        self.require_say(by, call).await?;
        self.require_recording_keys(by, call, &patch).await?;
        let recording = self.shared.studio.usual_recording();
        self.command(call, Command::MergeMetadata { patch, recording }, by).await
    }

    /// All legs of the call, in the order they joined.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn legs(
        &self,
        by: &Actor,
        call: CallId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<LegView>, Refusal> {
        self.readable(by, call).await?;
        Ok(self.shared.store.legs(call, page).await?.map(LegView::from))
    }

    /// The event log of a call, in the order of `seq`.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn events(
        &self,
        by: &Actor,
        call: CallId,
        page: PageRequest<i64>,
    ) -> Result<Page<StoredEvent>, Refusal> {
        self.readable(by, call).await?;
        Ok(self.shared.store.events(call, page).await?)
    }

    /// Rule 7: ends the calls that have run longer than `max_call_age`, and returns their number.
    ///
    /// # Errors
    /// `forbidden` for all but server admins, `unavailable`.
    pub async fn cleanup_stale(&self, by: &Actor) -> Result<usize, Refusal> {
        by.require_admin()?;
        let stale = self.shared.store.running_calls_before(now() - self.shared.config.max_call_age).await?;
        let mut ended = 0;
        for call in &stale {
            match self.command(call.id, Command::End(Ending::Timeout), by).await {
                Ok(_) => ended += 1,
                Err(error) => tracing::warn!(call = %call.id, %error, "a stale call could not be ended"),
            }
        }
        Ok(ended)
    }

    /// Ends the legs of a former member in the live calls of the group.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn expel(&self, by: &Actor, group: GroupId, user: UserId) -> Result<(), Refusal> {
        self.put_out_of(self.shared.live.of_group(group), by, user, LegReason::NotAMember).await
    }

    /// Ends all legs of a user, in all live calls.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn expel_everywhere(&self, by: &Actor, user: UserId) -> Result<(), Refusal> {
        self.put_out_of(self.shared.live.all(), by, user, LegReason::Removed).await
    }

    /// Ends a call whose group is about to be deleted.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn end_with_group(&self, by: &Actor, call: CallId) -> Result<(), Refusal> {
        self.command(call, Command::End(Ending::GroupDeleted), by).await.map(drop)
    }

    /// Runs the work to its end in a task of its own, even if the caller is cancelled.
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.shared.tasks.spawn(work).await.unwrap_or_else(|broken| Err(Refusal::internal(&broken)))
    }

    /// Ends the user's legs in each of the calls, also if one of them fails; returns the first error.
    async fn put_out_of(
        &self,
        calls: Vec<CallId>,
        by: &Actor,
        user: UserId,
        reason: LegReason,
    ) -> Result<(), Refusal> {
        let mut outcome = Ok(());
        for call in calls {
            outcome = outcome.and(self.put_out(by, call, user, reason).await);
        }
        outcome
    }

    async fn put_out(
        &self,
        by: &Actor,
        call: CallId,
        user: UserId,
        reason: LegReason,
    ) -> Result<(), Refusal> {
        match self.command(call, Command::Leave { user, leg: None, reason }, by).await {
            // The user is not in the call, or the call does not exist because the database refused its
            // create.
            Err(refusal) if matches!(refusal.code, ErrorCode::NotInCall | ErrorCode::NotFound) => Ok(()),
            other => other.map(drop),
        }
    }

    async fn start_call(&self, by: &Actor, new: NewCall) -> Result<CallView, Refusal> {
        let creator = by.person()?.clone();
        let limit = self.shared.config.rules.max_metadata_bytes;
        if new.metadata.is_larger_than(limit) {
            return Err(CallError::MetadataTooLarge { limit }.into());
        }
        if let Some(running) = self.shared.store.running_call(new.group_id).await? {
            return Err(Refusal::call_exists(running.record.id));
        }
        self.shared.media.admit()?;
        let origin = Origin {
            id: CallId::random(),
            group_id: new.group_id,
            initiated_by: creator.id,
            call_type: new.call_type,
            created_at: now(),
        };
        let (media, events) = self.open_media(origin.id, origin.call_type).await?;
        let invitees = self.members_to_ring(new.group_id, creator.id).await?;
        let rules = self.shared.config.rules;
        let user = creator.id;
        let first =
            Beginning { creator, leg: LegId::random(), room: media.room(), metadata: new.metadata, invitees };
        let (call, mut effects) = Call::create(origin, first, rules, by);
        let view = call.view(origin.created_at);
        if let Some(once) = new.once {
            let answer = serde_json::to_value(&view).map_err(|error| Refusal::internal(&error))?;
            let receipt = once.receipt(user, answer);
            effects
                .iter_mut()
                .filter_map(Effect::changes_mut)
                .for_each(|c| c.receipt = Some(receipt.clone()));
        }
        match CallTask::launch(&self.shared, call, effects, media, events).await {
            Ok(()) => {
                self.tell_busy(origin.id, user);
                Ok(view)
            }
            Err(StoreError::RunningCallExists) => Err(self.running_call_exists(new.group_id).await),
            Err(error) => Err(error.into()),
        }
    }

    /// Number of live calls on this server.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.shared.live.count()
    }

    /// Number of events sent before they were stored, because the database was unreachable or slow.
    #[must_use]
    pub fn events_unstored(&self) -> u64 {
        self.shared.tally.unstored()
    }

    /// Number of events missing in the logs of calls, because an outage outlasted the room for waiting
    /// changes.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.shared.tally.lost()
    }

    async fn running_call_exists(&self, group: GroupId) -> Refusal {
        match self.shared.store.running_call(group).await {
            Ok(Some(running)) => Refusal::call_exists(running.record.id),
            Ok(None) => Refusal::new(ErrorCode::Unavailable, "another call has just ended; try again"),
            Err(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
