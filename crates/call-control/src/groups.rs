//! Groups and their members, and who may change them.

use crate::{
    calls::Calls,
    error::{ErrorCode, Refusal},
    ids::{GroupId, UserId},
    name::DisplayName,
    store::{Group, Member, Page, PageRequest, Role, Store, TimeCursor, now},
};

/// Cheap to clone; all clones are one service.
#[derive(Clone)]
pub struct Groups {
    store: Store,
    calls: Calls,
}

impl Groups {
    #[must_use]
    pub const fn new(store: Store, calls: Calls) -> Self {
        Self { store, calls }
    }

    /// Makes a group with the caller as its owner.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn create(&self, by: UserId, name: &DisplayName) -> Result<Group, Refusal> {
        let now = now();
        let group =
            Group { id: GroupId::random(), name: name.as_str().to_owned(), created_at: now, updated_at: now };
        self.store.create_group(&group, by).await?;
        Ok(group)
    }

    /// # Errors
    /// `not_found`, `forbidden` for outsiders, `unavailable`.
    pub async fn find(&self, by: UserId, group: GroupId) -> Result<Group, Refusal> {
        let found = self.existing(group).await?;
        self.role(group, by).await?;
        Ok(found)
    }

    /// The groups a user is in, oldest first.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn of_user(&self, user: UserId, page: PageRequest<TimeCursor>) -> Result<Page<Group>, Refusal> {
        Ok(self.store.groups_of(user, page).await?)
    }

    /// # Errors
    /// `not_found`, `forbidden` for all but owners, `unavailable`.
    pub async fn rename(&self, by: UserId, group: GroupId, name: &DisplayName) -> Result<Group, Refusal> {
        self.require(by, group, Role::Owner).await?;
        self.store.rename_group(group, name.as_str(), now()).await?.ok_or_else(no_such_group)
    }

    /// Ends the group's running call and forgets the group with its whole history.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but owners, `conflict` while members keep starting calls, `unavailable`.
    pub async fn delete(&self, by: UserId, group: GroupId) -> Result<(), Refusal> {
        self.require(by, group, Role::Owner).await?;
        for _ in 0..DELETE_ATTEMPTS {
            match self.store.delete_group(group).await? {
                Some(running) => self.calls.end_with_group(running).await?,
                None => return Ok(()),
            }
        }
        Err(Refusal::new(ErrorCode::Conflict, "new calls keep being started in the group"))
    }

    /// # Errors
    /// `not_found`, `forbidden` for outsiders, `unavailable`.
    pub async fn members(
        &self,
        by: UserId,
        group: GroupId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<Member>, Refusal> {
        self.find(by, group).await?;
        Ok(self.store.members(group, page).await?)
    }

    /// Nobody gives a role above their own.
    ///
    /// # Errors
    /// `not_found` for an unknown group or user, `forbidden` for all but admins and owners, `conflict` for a member,
    /// `unavailable`.
    pub async fn add_member(
        &self,
        by: UserId,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<Member, Refusal> {
        self.require(by, group, role.max(Role::Admin)).await?;
        let found = self.store.user(user).await?;
        let found = found.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such user"))?;
        let now = now();
        self.store.add_member(group, user, role, now).await?;
        Ok(Member { user_id: user, name: found.name, role, created_at: now })
    }

    /// Nobody changes a role above their own, or gives one.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for the last owner, `unavailable`.
    pub async fn set_role(
        &self,
        by: UserId,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<Member, Refusal> {
        let previous = self.member_role(by, group, user).await?;
        self.require(by, group, previous.max(role).max(Role::Admin)).await?;
        let now = now();
        if !self.store.set_role(group, user, role, now).await? {
            return Err(no_such_member());
        }
        let name = self.store.user(user).await?.ok_or_else(no_such_member)?.name;
        Ok(Member { user_id: user, name, role, created_at: now })
    }

    /// Members may always leave. A member who goes is out of the group's running call at once.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for the last owner, `unavailable`.
    pub async fn remove_member(&self, by: UserId, group: GroupId, user: UserId) -> Result<(), Refusal> {
        let role = self.member_role(by, group, user).await?;
        if by != user {
            self.require(by, group, role.max(Role::Admin)).await?;
        }
        if !self.store.remove_member(group, user, now()).await? {
            return Err(no_such_member());
        }
        self.calls.expel(group, user).await
    }

    /// The role of a member, for another member.
    async fn member_role(&self, by: UserId, group: GroupId, user: UserId) -> Result<Role, Refusal> {
        self.find(by, group).await?;
        self.store.role(group, user).await?.ok_or_else(no_such_member)
    }

    async fn require(&self, by: UserId, group: GroupId, least: Role) -> Result<(), Refusal> {
        self.existing(group).await?;
        if self.role(group, by).await? >= least {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "your role in the group does not allow this"))
        }
    }

    async fn role(&self, group: GroupId, user: UserId) -> Result<Role, Refusal> {
        let role = self.store.role(group, user).await?;
        role.ok_or_else(|| Refusal::new(ErrorCode::Forbidden, "only members of the group may do this"))
    }

    async fn existing(&self, group: GroupId) -> Result<Group, Refusal> {
        self.store.group(group).await?.ok_or_else(no_such_group)
    }
}

fn no_such_group() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such group")
}

fn no_such_member() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such member")
}

/// Each time a call was started between its end and the deletion.
const DELETE_ATTEMPTS: usize = 3;
