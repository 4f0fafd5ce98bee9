//! Answers to requests.

use aws_lc_rs::digest;
use switchyard_media_worker::media::ortc::router_rtp_capabilities;

use super::{CallTask, effects::Durability};
use crate::{
    actor::Actor,
    call::{Attachment, CallView, Command, Effect, ProducerRef, ResumeHash, Via},
    calls::{
        access::Entry,
        request::{Attach, Request},
    },
    clock::now,
    error::{ErrorCode, Refusal},
    hub::SocketId,
    ids::{LegId, UserId},
    store::StoreError,
    wire::{
        command::Since,
        reply::{Consumed, Invited, Joined, Missed, ParticipantView, Snapshot, Synced},
    },
};

impl CallTask {
    /// Handles one request. If its sender no longer waits, the answer is dropped.
    pub(super) async fn answer(&mut self, request: Request) {
        match request {
            Request::Command { command, by, reply } => {
                let _ = reply.send(self.command(command, &by).await);
            }
            Request::Attach { attach, reply } => {
                let _ = reply.send(self.attach(*attach).await);
            }
            Request::Sync { leg, since, reply } => {
                let _ = reply.send(self.sync(leg, since));
            }
            Request::Participants { reply } => {
                let _ = reply.send(Ok(self.participants()));
            }
            Request::Admission { user, reply } => {
                let _ = reply.send(Ok(self.call.admission(user)));
            }
            Request::Producer { producer, reply } => {
                let _ = reply.send(self.media.producer(producer));
            }
            Request::Mute { producer, force, by, reply } => {
                let _ = reply.send(self.mute(producer, force, &by).await);
            }
            Request::Lost { leg, reply } => {
                // The leg may have been resumed on another socket in the meantime.
                if !self.shared.hub.is_carried(leg) {
                    self.shared.presence.went(leg);
                    self.go_on(Command::ConnectionLost { leg }).await;
                }
                let _ = reply.send(Ok(()));
            }
            Request::Media { leg, command, reply } => {
                let _ = reply.send(self.media.execute(leg, command).await);
            }
            Request::CreateTransport { leg, direction, reply } => {
                let _ = reply.send(self.media.create_transport(leg, direction).await);
            }
            Request::Repaired { recording, repaired, reply } => {
                self.continue_recording(recording, repaired).await;
                let _ = reply.send(Ok(()));
            }
            Request::SetCapabilities { leg, capabilities, reply } => {
                let _ = reply.send(self.media.set_capabilities(leg, capabilities));
            }
        }
    }

    /// Applies a command of a client, and returns the leg that it attached. A refused command changes
    /// nothing.
    pub(super) async fn obey(
        &mut self,
        command: Command,
        by: &Actor,
        socket: Option<SocketId>,
    ) -> Result<Option<(LegId, Attachment)>, Refusal> {
        // No overload check for users who are in the call already: they add a device or return.
        if let Command::Join { person, .. } = &command
            && !self.is_here(person.id)
        {
            self.shared.media.admit()?;
        }
        let durability = self.durability(&command);
        let effects = self.call.handle(command, by, now())?;
        let attached = effects.iter().find_map(Effect::attached);
        match self.carry_out(effects, durability, socket).await {
            Ok(()) => Ok(attached),
            // The changes may have been stored; if not, the ledger will store them.
            Err(doubt @ StoreError::InDoubt(_)) => Err(doubt.into()),
            Err(error) => {
                self.call.take_back();
                Err(error.into())
            }
        }
    }

    /// While the database is unreachable, users in the call continue; new joins and changes of settings are
    /// refused.
    fn durability(&self, command: &Command) -> Durability {
        match command {
            Command::Join { person, .. } if !self.is_here(person.id) => Durability::First,
            Command::MergeMetadata { .. }
            | Command::Lock(_)
            | Command::Permit { .. }
            | Command::Ring(_)
            | Command::StartRecording { .. } => Durability::First,
            Command::Join { .. }
            | Command::Leave { .. }
            | Command::Remove { .. }
            | Command::Decline { .. }
            | Command::Mute { .. }
            | Command::ConnectionLost { .. }
            | Command::End(_)
            | Command::Fail { .. }
            | Command::PauseRecording { .. }
            | Command::StopRecording { .. }
            | Command::FailRecording(_)
            | Command::Consent { .. }
            | Command::Record(_)
            | Command::Tick => Durability::Eventual,
        }
    }

    fn is_here(&self, user: UserId) -> bool {
        self.call.open_legs().any(|leg| leg.person.id == user)
    }

    async fn attach(&mut self, attach: Attach) -> Result<Joined, Refusal> {
        let Attach { by, person, entry, may_record, socket, join } = attach;
        let (token, next) = resume_token();
        let own = self.leg_of(socket).and_then(|leg| self.call.leg(leg)).and_then(|leg| leg.resume);
        let resume = own.or_else(|| join.resume_token.as_ref().map(|token| hash(token.as_str())));
        let resumable = resume.is_some_and(|hash| self.call.resumable(person.id, hash).is_some());
        if entry == Entry::OnlyBack && !resumable {
            return Err(Refusal::new(ErrorCode::Unavailable, "the database cannot be reached"));
        }
        if join.media.consume && !resumable && !(join.media.recv && join.rtp_capabilities.is_some()) {
            return Err(Refusal::new(ErrorCode::BadRequest, "`consume` needs `recv` and `rtpCapabilities`"));
        }
        let via = Via::Socket { device: join.device, resume, next };
        let privileged = entry == Entry::Privileged;
        let command = Command::Join { leg: LegId::random(), person, via, privileged };
        let (leg, how) = self.obey(command, &by, Some(socket)).await?.ok_or_else(not_in_call)?;
        if let Some(capabilities) = join.rtp_capabilities {
            self.media.set_capabilities(leg, capabilities)?;
        }
        let (transports, Consumed { consumers, failed }) = self.media.provide(leg, join.media).await?;
        let (consumers, failed) = join.media.consume.then_some((consumers, failed)).unzip();
        Ok(Joined {
            snapshot: self.snapshot(leg)?,
            resume_token: token,
            resume_window_ms: u64::try_from(self.shared.config.rules.resume_window.as_millis())
                .unwrap_or(u64::MAX),
            resumed: how != Attachment::Joined,
            media_restart: how == Attachment::Resumed { media_restart: true },
            may_record,
            transports,
            consumers,
            failed,
        })
    }

    /// Mutes a producer. With `force` it is paused before this is announced, so that the announcement is
    /// true.
    async fn mute(&mut self, producer: ProducerRef, force: bool, by: &Actor) -> Result<CallView, Refusal> {
        if force && !self.media.silence(producer.producer_id).await? {
            return Ok(self.call.view(now()));
        }
        self.obey(Command::Mute { producer, force }, by, None).await?;
        Ok(self.call.view(now()))
    }

    fn sync(&self, leg: LegId, since: Option<Since>) -> Result<Synced, Refusal> {
        let stamp = self.call.stamp();
        let is_here = self.call.leg(leg).is_some();
        if let Some(events) = since.filter(|_| is_here).and_then(|since| self.recent.after(since, stamp)) {
            return Ok(Synced::Events(Missed { call_id: self.id(), events, stamp }));
        }
        self.snapshot(leg).map(|snapshot| Synced::Snapshot(Box::new(snapshot)))
    }

    /// The open leg of this socket in the call, if it has one.
    fn leg_of(&self, socket: SocketId) -> Option<LegId> {
        let leg = self.shared.hub.leg(socket, self.id())?;
        self.call.leg(leg).map(|leg| leg.id)
    }

    fn snapshot(&self, leg: LegId) -> Result<Snapshot, Refusal> {
        let leg = self.call.leg(leg).ok_or_else(not_in_call)?;
        let now = now();
        Ok(Snapshot {
            call_id: self.id(),
            user_id: leg.person.id,
            leg_id: leg.id,
            participants: self.participants(),
            invitations: self.invitations(),
            producers: self.media.producers(),
            data_producers: self.media.data_producers(),
            router_rtp_capabilities: router_rtp_capabilities(),
            ice_servers: self.shared.config.ice_servers.for_user(leg.person.id, now),
            stamp: self.call.stamp(),
            call: self.call.view(now),
        })
    }

    fn invitations(&self) -> Vec<Invited> {
        self.call.invitations().map(|(user_id, status)| Invited { user_id, status }).collect()
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
                    permissions: self.call.permissions(leg.person.id),
                }),
            }
        }
        participants
    }
}

fn not_in_call() -> Refusal {
    Refusal::new(ErrorCode::NotInCall, "join the call first")
}

/// A new resume token, 256 random bits in base64url (RFC 4648 §5), and its hash.
fn resume_token() -> (String, ResumeHash) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let hash = hash(&token);
    (token, hash)
}

fn hash(token: &str) -> ResumeHash {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut hash = ResumeHash([0; 32]);
    hash.0.copy_from_slice(digest.as_ref());
    hash
}
