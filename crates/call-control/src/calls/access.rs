//! Group membership decides everything; admins of the server see and moderate everything.

use super::Calls;
use crate::{
    actor::Actor,
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId},
    store::{Role, StoredCall},
};

impl Calls {
    /// The role of somebody who takes part.
    pub(super) async fn require_member(&self, group: GroupId, by: &Actor) -> Result<Role, Refusal> {
        let user = by.person()?.id;
        self.shared.store.role(group, user).await?.ok_or_else(not_a_member)
    }

    /// The role of somebody who looks on or moderates.
    pub(super) async fn require_insight(&self, group: GroupId, by: &Actor) -> Result<Role, Refusal> {
        if by.is_admin() { Ok(Role::Owner) } else { self.require_member(group, by).await }
    }

    pub(super) async fn stored(&self, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.shared.store.call(call).await?;
        stored.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such call"))
    }

    /// The call, for somebody who may look at it.
    pub(super) async fn readable(&self, by: &Actor, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.stored(call).await?;
        self.require_insight(stored.record.group_id, by).await?;
        Ok(stored)
    }

    /// Whether a lock keeps this member out of the call.
    pub(super) async fn require_entry(&self, by: &Actor, call: CallId) -> Result<Entry, Refusal> {
        let record = self.stored(call).await?.record;
        let role = self.require_member(record.group_id, by).await?;
        let moderates = role >= Role::Admin || by.user_id() == Some(record.initiated_by_id);
        Ok(if moderates { Entry::Privileged } else { Entry::Ordinary })
    }

    /// Who started the call, and the admins of its group, have a say in it. Returns the group and their role.
    pub(super) async fn require_say(&self, by: &Actor, call: CallId) -> Result<(GroupId, Role), Refusal> {
        let record = self.stored(call).await?.record;
        let role = self.require_insight(record.group_id, by).await?;
        if by.user_id() == Some(record.initiated_by_id) || role >= Role::Admin {
            Ok((record.group_id, role))
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "only its initiator and the group's admins may do this"))
        }
    }
}

/// How somebody may come into a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Only by taking up a leg again: whether they are still a member cannot be told at the moment.
    OnlyBack,
    Ordinary,
    /// Moderators come in whether it is locked or not.
    Privileged,
}

fn not_a_member() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "only members of the group may do this")
}
