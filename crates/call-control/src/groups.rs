//! The group service: groups, their members, and who may change them.

use std::str::FromStr;

use crate::{
    actor::Actor,
    auth::SignIn,
    calls::Calls,
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{GroupId, UserId},
    limits::Limits,
    name::DisplayName,
    recordings::Recordings,
    store::{Group, Member, NewMember, Page, PageRequest, Role, Store, StoreError, TimeCursor},
};

/// Handle of the service. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Groups {
    store: Store,
    calls: Calls,
    recordings: Recordings,
    limits: Limits,
    managed_by: GroupsManagedBy,
}

/// Who creates groups and manages their members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsManagedBy {
    /// The app, with its service token.
    Service,
    /// Signed-in users, according to their role in the group.
    Users,
}

#[derive(Debug, thiserror::Error)]
#[error("groups are managed by `service` or by `users`")]
pub struct UnknownManager;

impl GroupsManagedBy {
    /// The app manages the groups if it signs the users in; with dev sign-in the users do.
    #[must_use]
    pub const fn default_for(sign_in: &SignIn) -> Self {
        match sign_in {
            SignIn::Secret(_) | SignIn::Jwks { .. } => Self::Service,
            SignIn::Dev { .. } => Self::Users,
        }
    }
}

impl FromStr for GroupsManagedBy {
    type Err = UnknownManager;

    fn from_str(text: &str) -> Result<Self, UnknownManager> {
        match text {
            "service" => Ok(Self::Service),
            "users" => Ok(Self::Users),
            _ => Err(UnknownManager),
        }
    }
}

impl Groups {
    #[must_use]
    pub const fn new(
        store: Store,
        calls: Calls,
        recordings: Recordings,
        limits: Limits,
        managed_by: GroupsManagedBy,
    ) -> Self {
        Self { store, calls, recordings, limits, managed_by }
    }

    /// Creates a group with the caller as its owner.
    ///
    /// # Errors
    /// `forbidden` where the app manages groups, `unavailable`.
    pub async fn create(&self, by: &Actor, name: &DisplayName) -> Result<Group, Refusal> {
        self.require_management(by)?;
        let owner = by.person()?.id;
        let group = new_group(GroupId::random(), name);
        self.store.create_group(&group, Some(owner), by).await?;
        Ok(group)
    }

    /// Makes sure that the group exists under this name. Returns whether it is new.
    ///
    /// # Errors
    /// `forbidden` for all but server admins, `unavailable`.
    pub async fn put(&self, by: &Actor, id: GroupId, name: &DisplayName) -> Result<(Group, bool), Refusal> {
        by.require_admin()?;
        if let Some(group) = self.store.group(id).await? {
            return Ok((self.renamed(by, group, name).await?, false));
        }
        let group = new_group(id, name);
        match self.store.create_group(&group, None, by).await {
            Ok(()) => Ok((group, true)),
            // A concurrent request has created it.
            Err(StoreError::Duplicate) => {
                let made = self.existing(id).await?;
                Ok((self.renamed(by, made, name).await?, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// # Errors
    /// `not_found`, `forbidden` for users who are not members, `unavailable`.
    pub async fn find(&self, by: &Actor, group: GroupId) -> Result<Group, Refusal> {
        let found = self.existing(group).await?;
        self.role(group, by).await?;
        Ok(found)
    }

    /// The groups of a user, oldest first.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn of_user(&self, user: UserId, page: PageRequest<TimeCursor>) -> Result<Page<Group>, Refusal> {
        Ok(self.store.groups_of(user, page).await?)
    }

    /// # Errors
    /// `not_found`, `forbidden` for all but owners, `unavailable`.
    pub async fn rename(&self, by: &Actor, group: GroupId, name: &DisplayName) -> Result<Group, Refusal> {
        self.require_management(by)?;
        self.require(by, group, Role::Owner).await?;
        self.store.rename_group(group, name.as_str(), by, now()).await?.ok_or_else(no_such_group)
    }

    /// Ends the group's running call, and deletes the group with all its calls and recordings. The audit log is kept.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but owners, `conflict` while members keep starting calls, `unavailable`.
    pub async fn delete(&self, by: &Actor, group: GroupId) -> Result<(), Refusal> {
        self.require_management(by)?;
        self.require(by, group, Role::Owner).await?;
        for _ in 0..DELETE_ATTEMPTS {
            match self.store.delete_group(group, by, now()).await? {
                Some(running) => self.calls.end_with_group(by, running).await?,
                None => {
                    self.recordings.remove_soon();
                    return Ok(());
                }
            }
        }
        Err(Refusal::new(ErrorCode::Conflict, "new calls keep being started in the group"))
    }

    /// # Errors
    /// `not_found`, `forbidden` for users who are not members, `unavailable`.
    pub async fn members(
        &self,
        by: &Actor,
        group: GroupId,
        page: PageRequest<TimeCursor>,
    ) -> Result<Page<Member>, Refusal> {
        self.find(by, group).await?;
        Ok(self.store.members(group, page).await?)
    }

    /// Adds a member. The caller cannot give a role above the caller's own.
    ///
    /// # Errors
    /// `not_found` for an unknown group or user, `forbidden` for all but admins and owners, `conflict` for a member,
    /// `too_many_members`, `unavailable`.
    pub async fn add_member(
        &self,
        by: &Actor,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<Member, Refusal> {
        self.require_management(by)?;
        self.require(by, group, role.max(Role::Admin)).await?;
        let name = self.name_of(user).await?;
        let now = now();
        self.store.add_member(group, self.new_member(user, role), by, now).await?;
        Ok(Member { user_id: user, name, role, created_at: now })
    }

    /// Makes sure that the user is a member with this role. An unknown user is stored under `name`. Returns
    /// whether the membership is new.
    ///
    /// # Errors
    /// `not_found` for an unknown group, `forbidden` for all but server admins, `too_many_members`, `unavailable`.
    pub async fn put_member(
        &self,
        by: &Actor,
        group: GroupId,
        user: UserId,
        role: Role,
        name: Option<&DisplayName>,
    ) -> Result<(Member, bool), Refusal> {
        by.require_admin()?;
        self.existing(group).await?;
        let name = match (name, self.store.user(user).await?) {
            (None, Some(known)) => known.name,
            (name, _) => {
                let name = name.map_or_else(|| user.short(), |name| name.as_str().to_owned());
                self.store.put_user(user, &name, now()).await?;
                name
            }
        };
        let now = now();
        let member = Member { user_id: user, name, role, created_at: now };
        match self.store.role(group, user).await? {
            Some(present) if present == role => return Ok((member, false)),
            Some(_) if self.store.change_member(group, user, Some(role), by, now).await? => {
                return Ok((member, false));
            }
            // Not a member, or removed by a concurrent request.
            Some(_) | None => {}
        }
        match self.store.add_member(group, self.new_member(user, role), by, now).await {
            Ok(()) => Ok((member, true)),
            // A concurrent request has added the member.
            Err(StoreError::Duplicate) => {
                self.store.change_member(group, user, Some(role), by, now).await?;
                Ok((member, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a member's role. Neither the old nor the new role may be above the caller's own.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for the last owner, `unavailable`.
    pub async fn set_role(
        &self,
        by: &Actor,
        group: GroupId,
        user: UserId,
        role: Role,
    ) -> Result<Member, Refusal> {
        self.require_management(by)?;
        let previous = self.member_role(by, group, user).await?;
        self.require(by, group, previous.max(role).max(Role::Admin)).await?;
        let now = now();
        if !self.store.change_member(group, user, Some(role), by, now).await? {
            return Err(no_such_member());
        }
        Ok(Member { user_id: user, name: self.name_of(user).await?, role, created_at: now })
    }

    /// Removes a member, and ends the member's legs in the group's running call. Where users manage groups, a
    /// member may always leave. If a server admin repeats the removal of a former member, open legs are ended
    /// again.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `conflict` for the last owner, `unavailable`.
    pub async fn remove_member(&self, by: &Actor, group: GroupId, user: UserId) -> Result<(), Refusal> {
        self.require_management(by)?;
        self.existing(group).await?;
        if by.is_admin() && self.store.role(group, user).await?.is_none() {
            return self.calls.expel(by, group, user).await;
        }
        let role = self.member_role(by, group, user).await?;
        if by.user_id() != Some(user) {
            self.require(by, group, role.max(Role::Admin)).await?;
        }
        let (groups, by) = (self.clone(), by.clone());
        let removal = async move {
            match groups.store.change_member(group, user, None, &by, now()).await {
                Ok(true) => groups.calls.expel(&by, group, user).await,
                Ok(false) => Err(no_such_member()),
                Err(error) => Err(error.into()),
            }
        };
        self.calls.whole(removal).await
    }

    async fn renamed(&self, by: &Actor, group: Group, name: &DisplayName) -> Result<Group, Refusal> {
        if group.name == name.as_str() {
            return Ok(group);
        }
        self.store.rename_group(group.id, name.as_str(), by, now()).await?.ok_or_else(no_such_group)
    }

    const fn new_member(&self, user: UserId, role: Role) -> NewMember {
        NewMember { user, role, most: self.limits.members_per_group }
    }

    async fn name_of(&self, user: UserId) -> Result<String, Refusal> {
        let found = self.store.user(user).await?;
        Ok(found.ok_or_else(|| Refusal::new(ErrorCode::NotFound, "there is no such user"))?.name)
    }

    /// The role of a member, if the caller may read the group.
    async fn member_role(&self, by: &Actor, group: GroupId, user: UserId) -> Result<Role, Refusal> {
        self.find(by, group).await?;
        self.store.role(group, user).await?.ok_or_else(no_such_member)
    }

    fn require_management(&self, by: &Actor) -> Result<(), Refusal> {
        if self.managed_by == GroupsManagedBy::Users || by.is_admin() {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "groups are managed by the app"))
        }
    }

    async fn require(&self, by: &Actor, group: GroupId, least: Role) -> Result<(), Refusal> {
        self.existing(group).await?;
        if self.role(group, by).await? >= least {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "your role in the group does not allow this"))
        }
    }

    async fn role(&self, group: GroupId, by: &Actor) -> Result<Role, Refusal> {
        if by.is_admin() {
            return Ok(Role::Owner);
        }
        let role = self.store.role(group, by.person()?.id).await?;
        role.ok_or_else(|| Refusal::new(ErrorCode::Forbidden, "only members of the group may do this"))
    }

    async fn existing(&self, group: GroupId) -> Result<Group, Refusal> {
        self.store.group(group).await?.ok_or_else(no_such_group)
    }
}

fn new_group(id: GroupId, name: &DisplayName) -> Group {
    let now = now();
    Group { id, name: name.as_str().to_owned(), created_at: now, updated_at: now }
}

fn no_such_group() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such group")
}

fn no_such_member() -> Refusal {
    Refusal::new(ErrorCode::NotFound, "there is no such member")
}

/// An attempt fails if a new call starts between the end of the running call and the deletion.
const DELETE_ATTEMPTS: usize = 3;
