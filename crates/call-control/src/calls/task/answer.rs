//! Answering requests.

use switchyard_media_worker::media::ortc::router_rtp_capabilities;

use super::{CallTask, effects::Durability};
use crate::{
    call::{Command, Effect, Via},
    calls::request::{Attach, Request},
    error::{ErrorCode, Refusal},
    ids::{LegId, UserId},
    signaling::{
        hub::SocketId,
        reply::{Joined, ParticipantView, Snapshot},
    },
    store::now,
};

impl CallTask {
    /// Somebody who stopped waiting for the answer needs none.
    pub(super) async fn answer(&mut self, request: Request) {
        match request {
            Request::Command { command, reply } => {
                let done = self.obey(command, None).await;
                let _ = reply.send(done.map(|_| self.call.view(now())));
            }
            Request::Attach { attach, reply } => {
                let _ = reply.send(self.attach(*attach).await);
            }
            Request::Sync { leg, reply } => {
                let _ = reply.send(self.snapshot(leg));
            }
            Request::Lost { leg, reply } => {
                self.shared.presence.went(leg);
                self.go_on(Command::ConnectionLost { leg }).await;
                let _ = reply.send(Ok(()));
            }
            Request::Media { leg, command, reply } => {
                let _ = reply.send(self.media.execute(leg, command).await);
            }
            Request::CreateTransport { leg, direction, reply } => {
                let _ = reply.send(self.media.create_transport(leg, direction).await);
            }
            Request::SetCapabilities { leg, capabilities, reply } => {
                let _ = reply.send(self.media.set_capabilities(leg, capabilities));
            }
        }
    }

    /// Does what somebody asks, and returns the leg that it attached. A refused command changes nothing.
    async fn obey(&mut self, command: Command, socket: Option<SocketId>) -> Result<Option<LegId>, Refusal> {
        let durability = self.durability(&command);
        let mut next = self.call.clone();
        let effects = next.handle(command, now())?;
        let attached = effects.iter().find_map(Effect::attached);
        let before = std::mem::replace(&mut self.call, next);
        match self.carry_out(effects, durability, socket).await {
            Ok(()) => Ok(attached),
            Err(error) => {
                self.call = before;
                Err(error.into())
            }
        }
    }

    /// When the database is away, people already in the call carry on; whoever asks for more is refused.
    fn durability(&self, command: &Command) -> Durability {
        match command {
            Command::Join { person, .. } if !self.is_here(person.id) => Durability::First,
            Command::MergeMetadata(_) => Durability::First,
            Command::Join { .. }
            | Command::Leave { .. }
            | Command::ConnectionLost { .. }
            | Command::End(_)
            | Command::Fail { .. }
            | Command::Record(_)
            | Command::Tick => Durability::Eventual,
        }
    }

    fn is_here(&self, user: UserId) -> bool {
        self.call.open_legs().any(|leg| leg.person.id == user)
    }

    async fn attach(&mut self, attach: Attach) -> Result<Joined, Refusal> {
        let Attach { person, socket, join } = attach;
        let leg = match self.leg_of(socket) {
            Some(leg) => leg,
            None => {
                let via = Via::Socket { device: join.device };
                let command = Command::Join { leg: LegId::random(), person, via };
                self.obey(command, Some(socket)).await?.ok_or_else(not_in_call)?
            }
        };
        if let Some(capabilities) = join.rtp_capabilities {
            self.media.set_capabilities(leg, capabilities)?;
        }
        let (transports, consumed) = self.media.provide(leg, join.media).await?;
        Ok(Joined {
            snapshot: self.snapshot(leg)?,
            resume_token: resume_token(),
            resume_window_ms: u64::try_from(self.shared.config.rules.resume_window.as_millis())
                .unwrap_or(u64::MAX),
            transports,
            consumed: join.media.consume.then_some(consumed),
        })
    }

    /// The leg that this socket already has in the call.
    fn leg_of(&self, socket: SocketId) -> Option<LegId> {
        let leg = self.shared.hub.leg(socket, self.id())?;
        self.call.leg(leg).filter(|leg| leg.is_open()).map(|leg| leg.id)
    }

    fn snapshot(&self, leg: LegId) -> Result<Snapshot, Refusal> {
        let leg = self.call.leg(leg).filter(|leg| leg.is_open()).ok_or_else(not_in_call)?;
        let now = now();
        Ok(Snapshot {
            call_id: self.id(),
            user_id: leg.person.id,
            leg_id: leg.id,
            participants: self.participants(),
            producers: self.media.producers(),
            data_producers: self.media.data_producers(),
            router_rtp_capabilities: router_rtp_capabilities(),
            ice_servers: self.shared.config.ice_servers.for_user(leg.person.id, now),
            stamp: self.call.stamp(),
            call: self.call.view(now),
        })
    }

    fn participants(&self) -> Vec<ParticipantView> {
        let mut participants: Vec<ParticipantView> = Vec::new();
        for leg in self.call.open_legs() {
            match participants.iter_mut().find(|participant| participant.user_id == leg.person.id) {
                Some(participant) => participant.legs.push(leg.id),
                None => participants.push(ParticipantView {
                    user_id: leg.person.id,
                    name: leg.person.name.clone(),
                    legs: vec![leg.id],
                }),
            }
        }
        participants
    }
}

fn not_in_call() -> Refusal {
    Refusal::new(ErrorCode::NotInCall, "join the call first")
}

/// 256 random bits, in base64url.
fn resume_token() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
