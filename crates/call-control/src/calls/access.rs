//! Access to calls: a user needs to be a member of the call's group; server admins may see and moderate any
//! call. [`Say`] is the one answer to what somebody may do in a call, for REST, sockets and joining.

use super::{Calls, request::Request};
use crate::{
    actor::Actor,
    call::{Admission, CallRecord, LegReason},
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId, UserId},
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

    /// What the caller may do in the call at this moment.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub(super) async fn say(&self, by: &Actor, call: CallId) -> Result<Say, Refusal> {
        let record = self.stored(call).await?.record;
        let (role, admission) = match by.user_id() {
            Some(user) => {
                let role = self.shared.store.role(record.group_id, user).await?;
                (role, self.admission(&record, user).await)
            }
            None => (None, Admission::Default),
        };
        Ok(Say {
            group: record.group_id,
            role,
            server_admin: by.is_admin(),
            initiator: by.user_id() == Some(record.initiated_by_id),
            removed: admission == Admission::Removed,
        })
    }

    /// What moderators decided about the user. The owner task of a live call knows before the database.
    async fn admission(&self, record: &CallRecord, user: UserId) -> Admission {
        let told = match self.shared.live.get(record.id) {
            Some(live) => live.ask(|reply| Request::Admission { user, reply }).await,
            None => None,
        };
        let stored = || record.moderation.0.standing(user).admission;
        told.and_then(Result::ok).unwrap_or_else(stored)
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

    /// Checks that the caller may moderate. Returns the group and the caller's role.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub(super) async fn require_say(&self, by: &Actor, call: CallId) -> Result<(GroupId, Role), Refusal> {
        let say = self.say(by, call).await?;
        Ok((say.group, say.moderation()?))
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
        by.user_id() == Some(live.initiated_by) && self.is_in_live(by, call).await
    }

    /// Whether the caller is in the live call. A user who loses the membership is removed from it.
    pub(super) async fn is_in_live(&self, by: &Actor, call: CallId) -> bool {
        let (Some(live), Some(user)) = (self.shared.live.get(call), by.user_id()) else { return false };
        let participants = live.ask(|reply| Request::Participants { reply }).await;
        participants.is_some_and(|participants| {
            participants.is_ok_and(|participants| participants.iter().any(|who| who.user_id == user))
        })
    }
}

/// What somebody may do in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Say {
    group: GroupId,
    /// `None` for a user who is not a member, and for the service.
    role: Option<Role>,
    server_admin: bool,
    /// Whether they started the call.
    initiator: bool,
    /// Whether a moderator removed them from the call, and nobody has admitted them since.
    removed: bool,
}

impl Say {
    /// How they may join: whether a lock of the call applies to them.
    ///
    /// # Errors
    /// `forbidden` for a user who is not a member.
    pub(super) fn entry(&self) -> Result<Entry, Refusal> {
        let role = self.role.ok_or_else(not_a_member)?;
        Ok(if self.moderates_as(role) { Entry::Privileged } else { Entry::Ordinary })
    }

    /// Whether they may see the call: server admins and the service may see any.
    ///
    /// # Errors
    /// `forbidden` for a user who is not a member.
    pub(super) fn insight(&self) -> Result<(), Refusal> {
        if self.server_admin { Ok(()) } else { self.role.map(drop).ok_or_else(not_a_member) }
    }

    pub(super) const fn is_server_admin(&self) -> bool {
        self.server_admin
    }

    /// The role with which they moderate: server admins and the service count as owners.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn moderation(&self) -> Result<Role, Refusal> {
        if self.server_admin {
            return Ok(Role::Owner);
        }
        let role = self.role.ok_or_else(not_a_member)?;
        if self.moderates_as(role) {
            Ok(role)
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "only its initiator and the group's admins may do this"))
        }
    }

    /// Admins and owners of the group do, and the initiator as long as nobody removed them from the call.
    fn moderates_as(&self, role: Role) -> bool {
        role >= Role::Admin || (self.initiator && !self.removed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initiator_has_a_say_until_a_moderator_removes_them() {
        let group = GroupId::random();
        let say = |role, initiator, removed| Say { group, role, server_admin: false, initiator, removed };
        let member = Some(Role::Member);
        for (say, moderates, entry) in [
            (say(member, true, false), true, Ok(Entry::Privileged)),
            (say(member, true, true), false, Ok(Entry::Ordinary)),
            (say(member, false, false), false, Ok(Entry::Ordinary)),
            (say(Some(Role::Admin), false, false), true, Ok(Entry::Privileged)),
            (say(Some(Role::Admin), false, true), true, Ok(Entry::Privileged)),
            (say(Some(Role::Owner), true, true), true, Ok(Entry::Privileged)),
            (say(None, true, false), false, Err(ErrorCode::Forbidden)),
            (Say { server_admin: true, ..say(None, false, true) }, true, Err(ErrorCode::Forbidden)),
        ] {
            assert_eq!(say.moderation().is_ok(), moderates, "{say:?}");
            assert_eq!(say.entry().map_err(|refusal| refusal.code), entry, "{say:?}");
        }
    }
}
