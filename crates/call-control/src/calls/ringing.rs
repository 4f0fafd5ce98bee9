//! Ringing people: who may be rung, and what their devices are told.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{Calls, Shared};
use crate::{
    actor::Actor,
    call::{Call, CallView, Command, Invitee, MAX_INVITATIONS, RingEnd, Ringing},
    clock::now,
    error::{ErrorCode, Refusal},
    hub::{Audience, SocketId},
    ids::{CallId, GroupId, UserId},
    store::{InvitationView, MissedCall, Page, PageRequest, TimeCursor},
    wire::{
        Frame,
        event::{CallBusy, CallRingEnded, CallRinging, Caller, ServerEvent},
    },
};

/// Whose devices ring, with what they were told: a device that connects meanwhile rings, too.
#[derive(Default)]
pub(super) struct Rings {
    by_user: Mutex<HashMap<UserId, HashMap<CallId, Frame>>>,
}

impl Rings {
    fn begin(&self, user: UserId, call: CallId, frame: Frame) {
        self.lock().entry(user).or_default().insert(call, frame);
    }

    fn end(&self, user: UserId, call: CallId) {
        let mut by_user = self.lock();
        if let Some(rings) = by_user.get_mut(&user) {
            rings.remove(&call);
            if rings.is_empty() {
                by_user.remove(&user);
            }
        }
    }

    /// Forgets what rings for a call that has no owner task any more.
    pub(super) fn forget(&self, call: CallId) {
        self.lock().retain(|_, rings| {
            rings.remove(&call);
            !rings.is_empty()
        });
    }

    fn of(&self, user: UserId) -> Vec<Frame> {
        self.lock().get(&user).into_iter().flat_map(HashMap::values).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, HashMap<CallId, Frame>>> {
        // No change panics half-way, so a poisoned map is still consistent.
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Lets the devices of these people ring.
    pub(super) fn ring(&self, call: &Call, users: &BTreeSet<UserId>) {
        let id = call.origin().id;
        for ringing in call.ringing().filter(|ringing| users.contains(&ringing.user)) {
            let user = ringing.user;
            match Frame::new(&told(call, ringing)) {
                Ok(frame) => {
                    self.rings.begin(user, id, frame.clone());
                    self.hub.post(&Audience::User(user), &frame);
                }
                Err(error) => tracing::error!(call = %id, %error, "a ring has no JSON form"),
            }
        }
    }

    pub(super) fn stop_ringing(&self, call_id: CallId, user_id: UserId, reason: RingEnd) {
        self.rings.end(user_id, call_id);
        let ended = CallRingEnded { call_id, user_id, reason };
        self.hub.send(&Audience::User(user_id), &ServerEvent::CallRingEnded(ended));
    }
}

fn told(call: &Call, ringing: Ringing) -> ServerEvent {
    let origin = call.origin();
    ServerEvent::CallRinging(CallRinging {
        call_id: origin.id,
        group_id: origin.group_id,
        call_type: origin.call_type,
        by: ringing.by.map(|by| Caller { user_id: by.id, name: by.name }),
        since: ringing.since,
        until: ringing.until,
    })
}

impl Calls {
    /// Rings members of the group who are not in the call. Those who are, or who are being rung, are left out.
    ///
    /// # Errors
    /// `not_found`, also for a user who is not a member; `forbidden` for members who are neither in the call nor
    /// moderate it; `call_ended`, `removed`, `call_locked`, `limit_exceeded`, `rate_limited` for somebody who was rung
    /// just now, `unavailable`. Then nobody is rung.
    pub async fn ring(&self, by: &Actor, call: CallId, users: &[UserId]) -> Result<CallView, Refusal> {
        let group = self.readable(by, call).await?.record.group_id;
        if !self.is_in_live(by, call).await {
            self.require_say(by, call).await?;
        }
        let invitees = self.shared.store.invitees_among(group, users).await?;
        if invitees.len() < users.len() {
            return Err(Refusal::new(ErrorCode::NotFound, "there is no such member"));
        }
        let view = self.command(call, Command::Ring(invitees), by).await?;
        if let Some(caller) = by.user_id() {
            self.tell_busy(call, caller);
        }
        Ok(view)
    }

    /// The caller does not want to join a call that they are rung for. A second time changes nothing.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for somebody who is not being rung, `call_ended`, `unavailable`.
    pub async fn decline(&self, by: &Actor, call: CallId) -> Result<CallView, Refusal> {
        let user = by.person()?.id;
        match self.readable(by, call).await {
            // The membership cannot be checked now. Whoever loses it is not rung any more.
            Err(refusal) if refusal.code == ErrorCode::Unavailable => {}
            readable => drop(readable?),
        }
        self.command(call, Command::Decline { user }, by).await
    }

    /// Who was rung for the call, and what became of it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn invitations(
        &self,
        by: &Actor,
        call: CallId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<InvitationView>, Refusal> {
        self.readable(by, call).await?;
        Ok(self.shared.store.invitations_with_names(call, page).await?)
    }

    /// The calls that the user was rung for and did not answer, newest first.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn missed(
        &self,
        user: UserId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<MissedCall>, Refusal> {
        Ok(self.shared.store.missed_calls(user, page).await?)
    }

    /// The user has seen the calls that they missed, up to the ring at `until`.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn see_missed(&self, user: UserId, until: DateTime<Utc>) -> Result<(), Refusal> {
        Ok(self.shared.store.see_missed_calls(user, until, now()).await?)
    }

    /// Lets a new socket of the user ring.
    pub(crate) fn ring_socket(&self, user: UserId, socket: SocketId) {
        for frame in self.shared.rings.of(user) {
            self.shared.hub.post(&Audience::Socket(socket), &frame);
        }
    }

    /// Whom a new call rings: the other members of its group, unless they are too many.
    pub(super) async fn members_to_ring(
        &self,
        group: GroupId,
        creator: UserId,
    ) -> Result<Vec<Invitee>, Refusal> {
        let mut invitees = self.shared.store.invitees(group, creator, MAX_INVITATIONS + 1).await?;
        if invitees.len() > MAX_INVITATIONS {
            invitees.clear();
        }
        Ok(invitees)
    }

    /// Tells the caller who of those being rung is in another call. Nobody waits for it.
    pub(super) fn tell_busy(&self, call_id: CallId, caller: UserId) {
        let calls = self.clone();
        self.shared.tasks.spawn(async move {
            match calls.shared.store.busy_invitees(call_id, caller).await {
                Ok(user_ids) if user_ids.is_empty() => {}
                Ok(user_ids) => {
                    let busy = ServerEvent::CallBusy(CallBusy { call_id, user_ids });
                    calls.shared.hub.send(&Audience::User(caller), &busy);
                }
                Err(error) => tracing::debug!(call = %call_id, %error, "who is busy could not be found out"),
            }
        });
    }
}
