//! What people do live, through a socket.

use switchyard_media_worker::media::{
    Direction,
    ortc::{RtpCapabilities, TransportParameters},
};

use super::{
    Calls,
    access::Entry,
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
    /// Brings a socket into a call. Joining again on the same socket returns the same leg; with the resume token of
    /// a leg that is still open the socket takes that leg up, even while the database is away.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `call_locked`, `removed`, `too_many_participants`, `node_overloaded`,
    /// `unavailable`, and what the wished-for media can run into.
    pub async fn attach(&self, by: &Actor, socket: SocketId, join: Join) -> Result<Joined, Refusal> {
        let person = by.person()?.clone();
        let call = join.call_id;
        let entry = match self.require_entry(by, call).await {
            Err(refusal) if refusal.code == ErrorCode::Unavailable && join.resume_token.is_some() => {
                Entry::OnlyBack
            }
            entry => entry?,
        };
        let attach = Box::new(Attach { by: by.clone(), person, entry, socket, join });
        match self.ask(call, |reply| Request::Attach { attach, reply }).await {
            Ok(joined) => {
                self.ensure_still_member(by, call).await?;
                Ok(joined)
            }
            Err(refusal) if refusal.code == ErrorCode::CallEnded => Err(self.why_unowned(call).await),
            Err(refusal) => Err(refusal),
        }
    }

    /// What this leg missed, or where that is not at hand, the call as it is.
    ///
    /// # Errors
    /// `not_in_call`, `call_ended`.
    pub async fn sync(&self, call: CallId, leg: LegId, since: Option<Since>) -> Result<Synced, Refusal> {
        self.ask(call, |reply| Request::Sync { leg, since, reply }).await
    }

    /// The leg's socket is gone without a word: it has the resume window to come back.
    pub async fn connection_lost(&self, call: CallId, leg: LegId) {
        // A call that is over has no legs left to lose.
        let _ = self.ask(call, |reply| Request::Lost { leg, reply }).await;
    }

    /// Ends a leg whose user could not show a valid token in time.
    ///
    /// # Errors
    /// `not_in_call`, `call_ended`, `unavailable`.
    pub async fn expire(&self, call: CallId, user: UserId, leg: LegId) -> Result<(), Refusal> {
        let leave = Command::Leave { user, leg: Some(leg), reason: LegReason::Removed };
        self.command(call, leave, &Actor::SERVER).await.map(drop)
    }

    /// # Errors
    /// `not_in_call`, and whatever the command itself runs into.
    pub async fn media(
        &self,
        call: CallId,
        leg: LegId,
        command: MediaCommand,
    ) -> Result<MediaReply, Refusal> {
        self.ask(call, |reply| Request::Media { leg, command, reply }).await
    }

    /// # Errors
    /// `not_in_call`, `limit_exceeded`, `node_overloaded`.
    pub async fn create_transport(
        &self,
        call: CallId,
        leg: LegId,
        direction: Direction,
    ) -> Result<TransportParameters, Refusal> {
        self.ask(call, |reply| Request::CreateTransport { leg, direction, reply }).await
    }

    /// # Errors
    /// `not_in_call`.
    pub async fn set_rtp_capabilities(
        &self,
        call: CallId,
        leg: LegId,
        capabilities: RtpCapabilities,
    ) -> Result<(), Refusal> {
        self.ask(call, |reply| Request::SetCapabilities { leg, capabilities, reply }).await
    }
}
