//! What people do live, through a socket.

use switchyard_media_worker::media::{
    Direction,
    ortc::{RtpCapabilities, TransportParameters},
};

use super::{
    Calls,
    request::{Attach, Request},
};
use crate::{
    call::Person,
    error::Refusal,
    ids::{CallId, LegId},
    signaling::{
        command::{Join, MediaCommand},
        hub::SocketId,
        reply::{Joined, MediaReply, Snapshot},
    },
};

impl Calls {
    /// Brings a socket into a call. Joining again on the same socket returns the same leg.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `unavailable`, and what the wished-for media can run into.
    pub async fn attach(&self, by: &Person, socket: SocketId, join: Join) -> Result<Joined, Refusal> {
        let call = join.call_id;
        self.readable(by.id, call).await?;
        let attach = Box::new(Attach { person: by.clone(), socket, join });
        self.ask(call, |reply| Request::Attach { attach, reply }).await
    }

    /// The call as this leg finds it.
    ///
    /// # Errors
    /// `not_in_call`, `unavailable`.
    pub async fn sync(&self, call: CallId, leg: LegId) -> Result<Snapshot, Refusal> {
        self.ask(call, |reply| Request::Sync { leg, reply }).await
    }

    /// The leg's socket is gone without a word: it has the resume window to come back.
    pub async fn connection_lost(&self, call: CallId, leg: LegId) {
        // A call that is over has no legs left to lose.
        let _ = self.ask(call, |reply| Request::Lost { leg, reply }).await;
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
