//! Operations of moderators: the call's initiator while a member who was not removed, the group's admins and owners, and server
//! admins.

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
    /// Locks the call, so that users who are not in it cannot join, or unlocks it.
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
    /// `not_found` also if `user` is not a member, `forbidden` also if `user` has a higher role or is the
    /// caller (server admins excepted), `call_ended`, `unavailable`.
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

    /// Removes a user from the call. The user cannot join again until a moderator admits them.
    ///
    /// # Errors
    /// `not_found`, `forbidden` also if `user` has a higher role, `not_in_call`, `call_ended`, `unavailable`.
    pub async fn remove(&self, by: &Actor, call: CallId, user: UserId) -> Result<CallView, Refusal> {
        self.require_say_over(by, call, user).await?;
        self.command(call, Command::Remove { user }, by).await
    }

    /// Asks the sender of a producer to pause it; with `force` the server pauses it.
    ///
    /// # Errors
    /// `not_found`, `forbidden` also if the sender has a higher role, `call_ended`, `unavailable`.
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

    /// The participants of the call and their permissions; empty once the call has ended.
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

    /// As [`Calls::require_say`], and the role of `user` must not be above the caller's.
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
