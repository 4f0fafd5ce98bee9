//! Performs the effects of the state machine, in their order.

use std::time::Duration;

use tokio::time::timeout;

use super::{CallTask, announce};
use crate::{
    actor::Actor,
    call::{Attachment, Changes, Command, Effect, RecordedEvent},
    clock::now,
    hub::{Audience, SocketId},
    ids::LegId,
    store::StoreError,
    wire::{
        Frame,
        event::{CallReplaced, ServerEvent},
    },
};

/// When a command's changes have to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// First: this makes the task the owner of its call. If it fails or is in doubt, the task does not start.
    Founding,
    /// First: if it fails, no effect is performed. If it is in doubt, all are performed, but no socket is
    /// attached.
    First,
    /// Later, if the database is unreachable: the command already happened, or must not be refused.
    Eventual,
}

impl CallTask {
    /// Performs the effects. `socket` is the joining socket, if the command is a join.
    pub(super) async fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        durability: Durability,
        mut socket: Option<SocketId>,
    ) -> Result<(), StoreError> {
        let mut done = Ok(());
        for effect in effects {
            match effect {
                Effect::Store(changes) => match self.store(*changes, durability).await {
                    Ok(()) => {}
                    Err(doubt @ StoreError::InDoubt(_)) if durability == Durability::First => {
                        (done, socket) = (Err(doubt), None);
                    }
                    Err(error) => return Err(error),
                },
                Effect::Attach(leg, how) => self.admit(leg, how, socket),
                Effect::Restrict(user) => {
                    let permissions = self.call.permissions(user);
                    self.shared.hub.permit_signals(self.id(), user, permissions.can_signal);
                    self.media.restrict(user, &permissions).await;
                }
                Effect::CloseLeg(leg) => self.media.close_leg(leg).await,
                Effect::FollowRecording { ended } => self.follow_recording(ended).await,
                Effect::Announce(recorded) => self.announce(recorded).await,
                Effect::Ring(users) => self.shared.ring(&self.call, &users),
                Effect::StopRinging(user, reason) => self.shared.stop_ringing(self.id(), user, reason),
                Effect::Replaced(leg) => self.tell_replaced(leg),
                Effect::Detach(leg) => {
                    self.shared.presence.went(leg);
                    self.shared.hub.detach(self.id(), leg);
                }
            }
        }
        done
    }

    async fn store(&mut self, changes: Changes, durability: Durability) -> Result<(), StoreError> {
        let written = match durability {
            Durability::Founding => self.ledger.found(&changes).await,
            Durability::First => self.ledger.write(changes).await,
            Durability::Eventual => self.ledger.write_or_keep(changes).await,
        };
        self.fenced |= matches!(written, Err(StoreError::Fenced));
        written
    }

    /// Attaches the leg to the socket. From here on the leg receives the call's events, so that it misses
    /// none between this point and its snapshot.
    fn admit(&mut self, leg: LegId, how: Attachment, socket: Option<SocketId>) {
        let Some(user) = self.call.leg(leg).map(|leg| leg.person.id) else { return };
        let permissions = self.call.permissions(user);
        self.shared.hub.permit_signals(self.id(), user, permissions.can_signal);
        self.media.open_leg(leg, user, permissions);
        if how != Attachment::Joined && socket.is_some_and(|new| !self.shared.hub.carries(new, leg)) {
            self.tell_replaced(leg);
        }
        if socket.is_some_and(|socket| self.shared.hub.attach(socket, self.id(), leg)) {
            self.shared.presence.arrived(leg);
        } else {
            // The socket closed while its join waited, or the join is in doubt. `ConnectionLost` causes no
            // effects.
            let _ = self.call.handle(Command::ConnectionLost { leg }, &Actor::SERVER, now());
        }
    }

    /// Notifies the socket that still carries this leg that another one replaced it.
    fn tell_replaced(&self, leg_id: LegId) {
        let replaced = CallReplaced { call_id: self.id(), leg_id };
        self.shared.hub.send(&Audience::Leg(leg_id), &ServerEvent::CallReplaced(replaced));
    }

    async fn announce(&mut self, recorded: RecordedEvent) {
        let audience = if announce::concerns_members(&recorded.event) {
            self.members().await
        } else {
            Audience::Call(self.id())
        };
        let seq = recorded.stamp.seq;
        match Frame::new(&announce::server_event(&self.call, recorded)) {
            Ok(frame) => {
                self.shared.hub.post(&audience, &frame);
                self.recent.push(seq, frame);
            }
            Err(error) => tracing::error!(call = %self.id(), seq, %error, "an event has no JSON form"),
        }
    }

    /// The members of the group; if the store does not return them in time, only the legs of the call.
    async fn members(&self) -> Audience {
        let members = self.shared.store.member_ids(self.call.origin().group_id);
        if let Ok(Ok(members)) = timeout(MEMBERS_PATIENCE, members).await {
            Audience::Users(members)
        } else {
            tracing::warn!(call = %self.id(), "only those in the call hear of its change");
            Audience::Call(self.id())
        }
    }
}

/// How long a call waits for the list of its members.
const MEMBERS_PATIENCE: Duration = Duration::from_secs(1);
