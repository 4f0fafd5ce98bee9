//! Group membership decides everything.

use super::Calls;
use crate::{
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId, UserId},
    store::{Role, StoredCall},
};

impl Calls {
    pub(super) async fn require_member(&self, group: GroupId, user: UserId) -> Result<Role, Refusal> {
        let role = self.shared.store.role(group, user).await?;
        role.ok_or_else(|| Refusal::new(ErrorCode::Forbidden, "only members of the group may do this"))
    }

    pub(super) async fn stored(&self, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.shared.store.call(call).await?;
        stored.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such call"))
    }

    /// The call, for a member of its group.
    pub(super) async fn readable(&self, user: UserId, call: CallId) -> Result<StoredCall, Refusal> {
        let stored = self.stored(call).await?;
        self.require_member(stored.record.group_id, user).await?;
        Ok(stored)
    }

    /// Who started the call, and the admins of its group, have a say in it.
    pub(super) async fn require_say(&self, user: UserId, call: CallId) -> Result<(), Refusal> {
        let stored = self.stored(call).await?;
        let role = self.require_member(stored.record.group_id, user).await?;
        if stored.record.initiated_by_id == user || role >= Role::Admin {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "only its initiator and the group's admins may do this"))
        }
    }
}
