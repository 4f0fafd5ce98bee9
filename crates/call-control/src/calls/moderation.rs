//! What moderators do: the initiator while a member, the group's admins and owners, and admins of the server.

use switchyard_media_worker::media::ProducerId;

use super::{Calls, request::Request};
use crate::{
    actor::Actor,
    call::{CallView, Command, StandingChange},
    error::{ErrorCode, Refusal},
    ids::{CallId, UserId},
    wire::reply::ParticipantView,
};

impl Calls {
    /// Keeps people out who are not in the call, or lets them in again.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `call_ended`, `unavailable`.
    pub async fn lock(&self, by: &Actor, call: CallId, locked: bool) -> Result<CallView, Refusal> {
        self.require_say(by, call).await?;
        self.command(call, Command::Lock(locked), by).await
    }

    /// Changes what a member of the group may do in the call, whether they are in it or not.
    ///
    /// # Errors
    /// `not_found` also for somebody who is no member, `forbidden` also for somebody of a higher role and for oneself,
    /// `call_ended`, `unavailable`.
    pub async fn permit(
        &self,
        by: &Actor,
        call: CallId,
        user: UserId,
        change: StandingChange,
    ) -> Result<CallView, Refusal> {
        self.require_say_over(by, call, user).await?;
        if by.user_id() == Some(user) && !by.is_admin() {
            return Err(Refusal::new(ErrorCode::Forbidden, "nobody moderates themselves"));
        }
        self.command(call, Command::Permit { user, change }, by).await
    }

    /// Puts somebody out of the call. They stay out until a moderator admits them.
    ///
    /// # Errors
    /// `not_found`, `forbidden` also for somebody of a higher role, `not_in_call`, `call_ended`, `unavailable`.
    pub async fn remove(&self, by: &Actor, call: CallId, user: UserId) -> Result<CallView, Refusal> {
        self.require_say_over(by, call, user).await?;
        self.command(call, Command::Remove { user }, by).await
    }

    /// Asks a producer's sender to pause it, or with `force` pauses it.
    ///
    /// # Errors
    /// `not_found`, `forbidden` also for somebody of a higher role, `call_ended`, `unavailable`.
    pub async fn mute(
        &self,
        by: &Actor,
        call: CallId,
        producer: ProducerId,
        force: bool,
    ) -> Result<CallView, Refusal> {
        self.require_say(by, call).await?;
        let producer = self.ask(call, |reply| Request::Producer { producer, reply }).await?;
        self.require_say_over(by, call, producer.user_id).await?;
        let by = by.clone();
        self.ask(call, |reply| Request::Mute { producer, force, by, reply }).await
    }

    /// Who is in the call, and what each may do; nobody once it is over.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn participants(&self, by: &Actor, call: CallId) -> Result<Vec<ParticipantView>, Refusal> {
        self.readable(by, call).await?;
        match self.ask(call, |reply| Request::Participants { reply }).await {
            Err(refusal) if refusal.code == ErrorCode::CallEnded => match self.why_unowned(call).await {
                over if over.code == ErrorCode::CallEnded => Ok(Vec::new()),
                refusal => Err(refusal),
            },
            answer => answer,
        }
    }

    /// Nobody moderates people of a role above their own.
    async fn require_say_over(&self, by: &Actor, call: CallId, user: UserId) -> Result<(), Refusal> {
        let (group, own) = self.require_say(by, call).await?;
        let role = self.shared.store.role(group, user).await?;
        let role = role.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such member"))?;
        if role <= own {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "their role in the group is above yours"))
        }
    }
}
