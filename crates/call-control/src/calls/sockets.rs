//! Operations that need a connected socket.

use switchyard_media_worker::media::{
    Direction,
    ortc::{ReceiverCapabilities, TransportParameters},
};

use super::{
    Calls,
    access::{Entry, Say},
    request::{Attach, Request},
};
use crate::{
    actor::Actor,
    call::{Command, LegReason},
    error::{ErrorCode, Refusal},
    hub::SocketId,
    ids::{CallId, LegId, UserId},
    wire::{
        command::{Join, MediaCommand, Since},
        reply::{Joined, MediaReply, Synced},
    },
};

impl Calls {
    /// Joins a socket to a call. Joining again on the same socket returns the same leg. With the resume token
    /// of an open leg the socket resumes that leg, even while the database is unreachable.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `call_locked`, `removed`, `too_many_participants`,
    /// `limit_exceeded` for too many legs of the user, `bad_request` for `consume` without its prerequisites,
    /// `node_overloaded`, `unavailable`, and the errors of creating the requested transports and consumers.
    pub async fn attach(&self, by: &Actor, socket: SocketId, join: Join) -> Result<Joined, Refusal> {
        let person = by.person()?.clone();
        let call = join.call_id;
        let say = match self.say(by, call).await {
            Err(refusal) if refusal.code == ErrorCode::Unavailable && join.resume_token.is_some() => None,
            say => Some(say?),
        };
        let entry = say.as_ref().map_or(Ok(Entry::OnlyBack), Say::entry)?;
        let may_record = self.may_record(by, call, say.as_ref()).await;
        let attach = Box::new(Attach { by: by.clone(), person, entry, may_record, socket, join });
        match self.ask(call, |reply| Request::Attach { attach, reply }).await {
            Ok(joined) => {
                self.ensure_still_member(by, call).await?;
                Ok(joined)
            }
            Err(refusal) if refusal.code == ErrorCode::CallEnded => Err(self.why_unowned(call).await),
            Err(refusal) => Err(refusal),
        }
    }

    /// The events after `since`; a snapshot of the call if `since` is absent or some of those events are not
    /// held.
    ///
    /// # Errors
    /// `not_in_call`, `call_ended`.
    pub async fn sync(&self, call: CallId, leg: LegId, since: Option<Since>) -> Result<Synced, Refusal> {
        self.ask(call, |reply| Request::Sync { leg, since, reply }).await
    }

    /// The leg's connection was lost: the leg stays open for the resume window.
    pub async fn connection_lost(&self, call: CallId, leg: LegId) {
        // An ended call has no open legs: there is nothing to do.
        let _ = self.ask(call, |reply| Request::Lost { leg, reply }).await;
    }

    /// Ends a leg whose user's token has expired or was revoked.
    ///
    /// # Errors
    /// `not_in_call`, `call_ended`, `unavailable`.
    pub async fn expire(&self, call: CallId, user: UserId, leg: LegId) -> Result<(), Refusal> {
        let leave = Command::Leave { user, leg: Some(leg), reason: LegReason::Removed };
        self.command(call, leave, &Actor::SERVER).await.map(drop)
    }

    /// # Errors
    /// `not_in_call`, `call_ended`, and the errors of the command.
    pub async fn media(
        &self,
        call: CallId,
        leg: LegId,
        command: MediaCommand,
    ) -> Result<MediaReply, Refusal> {
        self.ask(call, |reply| Request::Media { leg, command, reply }).await
    }

    /// # Errors
    /// `not_in_call`, `call_ended`, `limit_exceeded`, `node_overloaded`, `unavailable`.
    pub async fn create_transport(
        &self,
        call: CallId,
        leg: LegId,
        direction: Direction,
    ) -> Result<TransportParameters, Refusal> {
        self.ask(call, |reply| Request::CreateTransport { leg, direction, reply }).await
    }

    /// # Errors
    /// `not_in_call`, `call_ended`.
    pub async fn set_rtp_capabilities(
        &self,
        call: CallId,
        leg: LegId,
        capabilities: ReceiverCapabilities,
    ) -> Result<(), Refusal> {
        self.ask(call, |reply| Request::SetCapabilities { leg, capabilities, reply }).await
    }
}
