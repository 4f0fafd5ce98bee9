//! Carrying out what the state machine says, in its order.

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

/// What a command asks of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// What makes this task the owner of its call. If it fails, or nobody knows, there is no owner.
    Founding,
    /// Stored first; if that fails, nothing is done. If nobody knows, all is done but for attaching a socket.
    First,
    /// It already happened, or must not be refused: when the database is away, storing waits.
    Eventual,
}

impl CallTask {
    /// `socket` is the one that is joining, if one is.
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
                Effect::Restrict(user) => self.media.restrict(user, &self.call.permissions(user)).await,
                Effect::CloseLeg(leg) => self.media.close_leg(leg).await,
                Effect::Announce(recorded) => self.announce(recorded).await,
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

    /// From here on the leg hears its call, so that nothing between now and its snapshot is missed.
    fn admit(&mut self, leg: LegId, how: Attachment, socket: Option<SocketId>) {
        let Some(user) = self.call.leg(leg).map(|leg| leg.person.id) else { return };
        self.media.open_leg(leg, user, self.call.permissions(user));
        if how != Attachment::Joined && socket.is_some_and(|new| !self.shared.hub.carries(new, leg)) {
            self.tell_replaced(leg);
        }
        if socket.is_some_and(|socket| self.shared.hub.attach(socket, self.id(), leg)) {
            self.shared.presence.arrived(leg);
        } else {
            // The socket went while its join was waiting, or its join is in doubt. Losing a leg has no effects yet.
            let _ = self.call.handle(Command::ConnectionLost { leg }, &Actor::SERVER, now());
        }
    }

    /// Tells whoever still listens as this leg that somebody else took its place.
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

    /// Everybody in the group; those in the call when the store cannot say soon.
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

/// How long a call stands still for the list of its members.
const MEMBERS_PATIENCE: Duration = Duration::from_secs(1);
