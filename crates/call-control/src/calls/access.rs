//! Access to calls: a user needs to be a member of the call's group; server admins may see and moderate any
//! call.

use super::{Calls, request::Request};
use crate::{
    actor::Actor,
    call::LegReason,
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId},
    store::{Role, StoredCall},
};

impl Calls {
    /// The caller's role in the group, for taking part in its calls.
    ///
    /// # Errors
    /// `forbidden` for a user who is not a member, and for the service.
    pub(super) async fn require_member(&self, group: GroupId, by: &Actor) -> Result<Role, Refusal> {
        let user = by.person()?.id;
        self.shared.store.role(group, user).await?.ok_or_else(not_a_member)
    }

    /// The caller's role in the group, for reading or moderating its calls. Server admins and the service
    /// count as owners.
    ///
    /// # Errors
    /// `forbidden` for a user who is not a member.
    pub(super) async fn require_insight(&self, group: GroupId, by: &Actor) -> Result<Role, Refusal> {
        if by.is_admin() { Ok(Role::Owner) } else { self.require_member(group, by).await }
    }

    pub(super) async fn stored(&self, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.shared.store.call(call).await?;
        stored.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such call"))
    }

    /// The call, if the caller may read it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub(super) async fn readable(&self, by: &Actor, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.stored(call).await?;
        self.require_insight(stored.record.group_id, by).await?;
        Ok(stored)
    }

    /// How this member may join: whether a lock of the call applies to them.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for a user who is not a member.
    pub(super) async fn require_entry(&self, by: &Actor, call: CallId) -> Result<Entry, Refusal> {
        let record = self.stored(call).await?.record;
        let role = self.require_member(record.group_id, by).await?;
        let moderates = role >= Role::Admin || by.user_id() == Some(record.initiated_by_id);
        Ok(if moderates { Entry::Privileged } else { Entry::Ordinary })
    }

    /// Repeats the membership check after a join. A member may be removed between the access check and the
    /// join; the removal then finds no leg to end.
    pub(super) async fn ensure_still_member(&self, by: &Actor, call: CallId) -> Result<(), Refusal> {
        let Some(live) = self.shared.live.get(call) else { return Ok(()) };
        match self.require_member(live.group, by).await {
            Err(refusal) if refusal.code == ErrorCode::Forbidden => {
                self.put_out(&Actor::SERVER, call, by.person()?.id, LegReason::NotAMember).await?;
                Err(refusal)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Why this server has no owner task for the call.
    pub(super) async fn why_unowned(&self, call: CallId) -> Refusal {
        match self.stored(call).await {
            Ok(stored) if stored.record.status.is_running() => {
                Refusal::new(ErrorCode::Unavailable, "the call is starting or moving; try again")
            }
            Ok(_) => Refusal::new(ErrorCode::CallEnded, "the call has ended"),
            Err(refusal) => refusal,
        }
    }

    /// Checks that the caller may moderate: the call's initiator, or an admin or owner of its group. Returns
    /// the group and the caller's role.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub(super) async fn require_say(&self, by: &Actor, call: CallId) -> Result<(GroupId, Role), Refusal> {
        let record = self.stored(call).await?.record;
        let role = self.require_insight(record.group_id, by).await?;
        if by.user_id() == Some(record.initiated_by_id) || role >= Role::Admin {
            Ok((record.group_id, role))
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "only its initiator and the group's admins may do this"))
        }
    }

    /// As [`Calls::require_say`], for operations that must work while the database is unreachable. Then only
    /// the initiator of a live call may moderate, while in the call: a user who loses the membership is
    /// removed from the call.
    pub(super) async fn require_say_always(&self, by: &Actor, call: CallId) -> Result<(), Refusal> {
        match self.require_say(by, call).await {
            Err(refusal) if refusal.code == ErrorCode::Unavailable && self.started_it(by, call).await => {
                Ok(())
            }
            said => said.map(drop),
        }
    }

    async fn started_it(&self, by: &Actor, call: CallId) -> bool {
        let Some(live) = self.shared.live.get(call) else { return false };
        let Some(user) = by.user_id().filter(|user| *user == live.initiated_by) else { return false };
        let participants = live.ask(|reply| Request::Participants { reply }).await;
        participants.is_some_and(|participants| {
            participants.is_ok_and(|participants| participants.iter().any(|who| who.user_id == user))
        })
    }
}

/// How a user may join a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Only by resuming a leg: the database is unreachable, so the membership cannot be checked.
    OnlyBack,
    Ordinary,
    /// A moderator: a lock of the call does not apply.
    Privileged,
}

fn not_a_member() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "only members of the group may do this")
}
