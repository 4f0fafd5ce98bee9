//! Who may see a recording, and who may delete it.

use super::{
    Recordings,
    link::{Reader, Ticket},
};
use crate::{
    actor::Actor,
    call::RecordingRow,
    calls::RecordingAccess,
    error::{ErrorCode, Refusal},
    ids::{CallId, GroupId, RecordingId, UserId},
    store::{Involvement, Role, Sight, StoredRecording},
};

impl RecordingAccess {
    /// Nobody sees anything of a group of which they are no member.
    fn admits(self, who: &Involvement) -> bool {
        let Some(role) = who.role else { return false };
        let moderates = role >= Role::Admin || who.initiator;
        match self {
            Self::Participants => moderates || who.was_there,
            Self::Members => true,
            Self::Moderators => moderates,
        }
    }

    /// The recordings of a group that a member sees.
    fn sight(self, user: UserId, role: Role) -> Sight {
        match self {
            _ if role >= Role::Admin => Sight::All,
            // The initiator was in the call.
            Self::Participants => Sight::WasIn(user),
            Self::Members => Sight::All,
            Self::Moderators => Sight::Started(user),
        }
    }
}

impl Recordings {
    /// The recording, if the caller may see it.
    ///
    /// # Errors
    /// `not_found`, `forbidden`.
    pub(super) async fn readable(
        &self,
        by: &Actor,
        recording: RecordingId,
    ) -> Result<StoredRecording, Refusal> {
        let stored = self.stored(recording).await?;
        self.sight_of_call(by, stored.row.group_id, stored.row.call_id).await?;
        Ok(stored)
    }

    /// # Errors
    /// `forbidden` if the caller may not see the recordings of this call.
    pub(super) async fn sight_of_call(
        &self,
        by: &Actor,
        group: GroupId,
        call: CallId,
    ) -> Result<Sight, Refusal> {
        if !by.is_admin() {
            let who = self.shared.store.involvement(group, call, by.person()?.id).await?;
            self.admit(who.as_ref())?;
        }
        Ok(Sight::All)
    }

    /// # Errors
    /// `forbidden` for a user who is not a member.
    pub(super) async fn sight_of_group(&self, by: &Actor, group: GroupId) -> Result<Sight, Refusal> {
        if by.is_admin() {
            return Ok(Sight::All);
        }
        let user = by.person()?.id;
        let role = self.shared.store.role(group, user).await?;
        Ok(self.shared.config.access.sight(user, role.ok_or_else(not_a_member)?))
    }

    /// Checks that a link's reader may still see the recording.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) async fn admit_reader(
        &self,
        ticket: &Ticket,
        recording: &RecordingRow,
    ) -> Result<(), Refusal> {
        let (user, is_admin) = match ticket.reader {
            Reader::Service => return Ok(()),
            Reader::Admin(user) => (user, true),
            Reader::User(user) => (user, false),
        };
        let who = self.shared.store.involvement(recording.group_id, recording.call_id, user).await?;
        let revoked = who.as_ref().and_then(|who| who.sessions_revoked_at);
        if revoked.is_some_and(|revoked| revoked.timestamp() >= ticket.issued) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                "the sessions of the link's user have been revoked",
            ));
        }
        if is_admin && who.is_some() { Ok(()) } else { self.admit(who.as_ref()) }
    }

    /// # Errors
    /// `forbidden` for all but the call's initiator, the group's owners, server admins and the service.
    pub(super) async fn require_deleter(&self, by: &Actor, recording: &RecordingRow) -> Result<(), Refusal> {
        if by.is_admin() {
            return Ok(());
        }
        let user = by.person()?.id;
        let who = self.shared.store.involvement(recording.group_id, recording.call_id, user).await?;
        match who.as_ref().and_then(|who| Some((who.role?, who.initiator))) {
            Some((role, initiator)) if initiator || role == Role::Owner => Ok(()),
            Some(_) => Err(Refusal::new(
                ErrorCode::Forbidden,
                "only its initiator and the group's owners may do this",
            )),
            None => Err(not_a_member()),
        }
    }

    fn admit(&self, who: Option<&Involvement>) -> Result<(), Refusal> {
        match who {
            Some(who) if self.shared.config.access.admits(who) => Ok(()),
            Some(Involvement { role: Some(_), .. }) => {
                Err(Refusal::new(ErrorCode::Forbidden, "the recordings of this call are for others"))
            }
            Some(Involvement { role: None, .. }) | None => Err(not_a_member()),
        }
    }
}

fn not_a_member() -> Refusal {
    Refusal::new(ErrorCode::Forbidden, "only members of the group may do this")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_a_recording_depends_on_role_presence_and_setting() {
        use RecordingAccess::{Members, Moderators, Participants};
        let who = |role, initiator, was_there| Involvement {
            role,
            initiator,
            was_there,
            sessions_revoked_at: None,
        };
        let member = Some(Role::Member);
        for (who, participants, members, moderators) in [
            (who(None, true, true), false, false, false),
            (who(member, false, false), false, true, false),
            (who(member, false, true), true, true, false),
            (who(member, true, true), true, true, true),
            (who(Some(Role::Admin), false, false), true, true, true),
            (who(Some(Role::Owner), false, false), true, true, true),
        ] {
            for (access, sees) in [(Participants, participants), (Members, members), (Moderators, moderators)]
            {
                assert_eq!(access.admits(&who), sees, "{access:?} {who:?}");
            }
        }
    }

    #[test]
    fn a_list_shows_what_can_be_opened() {
        use RecordingAccess::{Members, Moderators, Participants};
        let user = UserId::random();
        for (access, sight) in
            [(Participants, Sight::WasIn(user)), (Members, Sight::All), (Moderators, Sight::Started(user))]
        {
            assert_eq!(access.sight(user, Role::Member), sight);
            assert_eq!(access.sight(user, Role::Admin), Sight::All);
            assert_eq!(access.sight(user, Role::Owner), Sight::All);
        }
    }
}
