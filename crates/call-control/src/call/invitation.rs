//! Who is rung for a call, and what becomes of it.
//!
//! Each person has at most one invitation to a call. It rings until the person joins, declines or does not answer in
//! time, or until the call ends. Whoever joins later has answered, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

use super::{Admission, Call, CallError, Ending, Event, Outcome, Rules, State, after, step::Step};
use crate::{
    actor::Person,
    ids::{CallId, UserId},
};

/// Somebody to ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitee {
    pub user: UserId,
    /// They do not want to be disturbed: their devices do not ring, and the caller sees no difference.
    pub quiet: bool,
}

/// What became of an invitation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, ToSchema, TS,
)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum InvitationStatus {
    Ringing,
    /// The person joined.
    Answered,
    Declined,
    /// Nobody answered in time.
    Missed,
    /// The call ended, or the person lost the membership, while it rang.
    Cancelled,
}

/// Why devices stop ringing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum RingEnd {
    /// The person joined, with this device or another one.
    AnsweredElsewhere,
    Declined,
    Missed,
    Cancelled,
}

/// A row of `call_invitations`, joined with the name of who invited.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct InvitationRow {
    pub call_id: CallId,
    pub user_id: UserId,
    /// `None`: the app.
    pub invited_by_id: Option<UserId>,
    pub invited_by_name: Option<String>,
    pub status: InvitationStatus,
    pub quiet: bool,
    pub rings: i64,
    pub rung_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// The invitations of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Invitations {
    by_user: BTreeMap<UserId, Invitation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Invitation {
    by: Option<Person>,
    quiet: bool,
    rings: i64,
    rung_at: DateTime<Utc>,
    state: InvitationState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InvitationState {
    Ringing,
    Over { how: InvitationStatus, at: DateTime<Utc> },
}

/// A person whose devices ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ringing {
    pub user: UserId,
    /// `None`: the app.
    pub by: Option<Person>,
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

impl Invitations {
    pub(super) fn restore(rows: Vec<InvitationRow>) -> Self {
        let invitation = |row: InvitationRow| Invitation {
            by: row.invited_by_id.zip(row.invited_by_name).map(|(id, name)| Person { id, name }),
            quiet: row.quiet,
            rings: row.rings,
            rung_at: row.rung_at,
            state: match row.status {
                InvitationStatus::Ringing => InvitationState::Ringing,
                how @ (InvitationStatus::Answered
                | InvitationStatus::Declined
                | InvitationStatus::Missed
                | InvitationStatus::Cancelled) => {
                    InvitationState::Over { how, at: row.ended_at.unwrap_or(row.rung_at) }
                }
            },
        };
        Self { by_user: rows.into_iter().map(|row| (row.user_id, invitation(row))).collect() }
    }

    fn ring(&mut self, invitee: Invitee, by: Option<Person>, now: DateTime<Utc>) {
        let rings = self.by_user.get(&invitee.user).map_or(0, |before| before.rings);
        let invitation = Invitation {
            by,
            quiet: invitee.quiet,
            rings: rings.saturating_add(1),
            rung_at: now,
            state: InvitationState::Ringing,
        };
        self.by_user.insert(invitee.user, invitation);
    }

    fn ringing(&self) -> impl Iterator<Item = (UserId, &Invitation)> {
        let ringing = self.by_user.iter().filter(|(_, invitation)| invitation.is_ringing());
        ringing.map(|(user, invitation)| (*user, invitation))
    }

    /// Whether nobody comes any more: who was rung has declined, or may not join.
    fn all_declined(&self) -> bool {
        let declined = |how| how == InvitationStatus::Declined;
        let is_out = |how| declined(how) || how == InvitationStatus::Cancelled;
        self.by_user.values().all(|invitation| invitation.ended(is_out))
            && self.by_user.values().any(|invitation| invitation.ended(declined))
    }
}

impl Invitation {
    const fn is_ringing(&self) -> bool {
        matches!(self.state, InvitationState::Ringing)
    }

    fn ended(&self, as_wanted: impl Fn(InvitationStatus) -> bool) -> bool {
        matches!(self.state, InvitationState::Over { how, .. } if as_wanted(how))
    }

    fn deadline(&self, rules: &Rules) -> DateTime<Utc> {
        after(self.rung_at, rules.ring.unwrap_or(USUAL_RING))
    }

    /// Whether the person may be rung again.
    fn again(&self, now: DateTime<Utc>) -> Result<(), CallError> {
        let InvitationState::Over { at, .. } = self.state else { return Ok(()) };
        if self.rings >= MAX_RINGS {
            return Err(CallError::RungTooOften);
        }
        match (after(at, PAUSE) - now).to_std() {
            Ok(retry_after) if !retry_after.is_zero() => Err(CallError::RungJustNow { retry_after }),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

impl InvitationStatus {
    /// What the person's devices are told.
    const fn ring_end(self) -> Option<RingEnd> {
        match self {
            Self::Ringing => None,
            Self::Answered => Some(RingEnd::AnsweredElsewhere),
            Self::Declined => Some(RingEnd::Declined),
            Self::Missed => Some(RingEnd::Missed),
            Self::Cancelled => Some(RingEnd::Cancelled),
        }
    }
}

impl Call {
    /// What became of each invitation.
    pub fn invitations(&self) -> impl Iterator<Item = (UserId, InvitationStatus)> {
        self.head.invitations.by_user.iter().map(|(user, invitation)| {
            let status = match invitation.state {
                InvitationState::Ringing => InvitationStatus::Ringing,
                InvitationState::Over { how, .. } => how,
            };
            (*user, status)
        })
    }

    /// The people whose devices ring, which leaves out those who do not want to be disturbed.
    pub fn ringing(&self) -> impl Iterator<Item = Ringing> {
        let loud = self.head.invitations.ringing().filter(|(_, invitation)| !invitation.quiet);
        loud.map(|(user, invitation)| Ringing {
            user,
            by: invitation.by.clone(),
            since: invitation.rung_at,
            until: self.ring_end(invitation),
        })
    }

    /// Rings these people. Those who are in the call, or are being rung, are left out.
    pub(super) fn ring(&mut self, step: &mut Step, invitees: Vec<Invitee>) -> Result<(), CallError> {
        self.ensure_running()?;
        let mut rung = BTreeSet::new();
        for invitee in invitees {
            let user = invitee.user;
            if self.has_open_leg(user) {
                continue;
            }
            match self.admission(user) {
                Admission::Removed => return Err(CallError::Removed),
                Admission::Default if self.head.moderation.locked => return Err(CallError::Locked),
                Admission::Default | Admission::Admitted => {}
            }
            if let Some(before) = self.head.invitations.by_user.get(&user) {
                if before.is_ringing() {
                    continue;
                }
                before.again(step.now())?;
            }
            self.begin_ring(step, invitee);
            rung.insert(user);
        }
        if self.head.invitations.by_user.len() > MAX_INVITATIONS {
            return Err(CallError::TooManyInvitations);
        }
        if !rung.is_empty() {
            step.record(Event::Invited { users: rung, by: step.by() });
        }
        Ok(())
    }

    /// Rings one person, without telling the others in the call.
    pub(super) fn begin_ring(&mut self, step: &mut Step, invitee: Invitee) {
        Arc::make_mut(&mut self.head.invitations).ring(invitee, step.person(), step.now());
        step.note_invitation(invitee.user);
        if !invitee.quiet {
            step.ring(invitee.user);
        }
    }

    /// Rule 8: the person does not want to join. A waiting call ends when everybody who was rung has declined.
    pub(super) fn decline(&mut self, step: &mut Step, user: UserId) -> Result<(), CallError> {
        let invitation = self.head.invitations.by_user.get(&user);
        if invitation.is_some_and(|known| known.ended(|how| how == InvitationStatus::Declined)) {
            return Ok(());
        }
        self.ensure_running()?;
        if !invitation.is_some_and(Invitation::is_ringing) {
            return Err(CallError::NotRung);
        }
        self.end_ring(step, user, InvitationStatus::Declined);
        let users = BTreeSet::from([user]);
        step.record(Event::InvitationsEnded { users, how: InvitationStatus::Declined });
        self.end_if_all_declined(step);
        Ok(())
    }

    fn end_if_all_declined(&mut self, step: &mut Step) {
        if self.head.state == State::Waiting && self.head.invitations.all_declined() {
            self.conclude(step, Outcome::Cancelled, Ending::Declined, step.now());
        }
    }

    /// The person joined. Others learn it by that.
    pub(super) fn answer_ring(&mut self, step: &mut Step, user: UserId) {
        let answered = |how| how == InvitationStatus::Answered;
        if self.head.invitations.by_user.get(&user).is_some_and(|invitation| !invitation.ended(answered)) {
            self.end_ring(step, user, InvitationStatus::Answered);
        }
    }

    /// The person may not join any more. Returns whether they were being rung.
    pub(super) fn cancel_ring(&mut self, step: &mut Step, user: UserId) -> bool {
        let is_rung = self.head.invitations.by_user.get(&user).is_some_and(Invitation::is_ringing);
        if is_rung {
            self.end_ring(step, user, InvitationStatus::Cancelled);
            let users = BTreeSet::from([user]);
            step.record(Event::InvitationsEnded { users, how: InvitationStatus::Cancelled });
            self.end_if_all_declined(step);
        }
        is_rung
    }

    /// The end of the call ends all rings. Others learn it by that.
    pub(super) fn conclude_rings(&mut self, step: &mut Step, ending: Ending) {
        let how = match ending {
            Ending::Timeout => InvitationStatus::Missed,
            Ending::Normal
            | Ending::Error
            | Ending::Cancelled
            | Ending::Declined
            | Ending::LastLeft
            | Ending::GroupDeleted
            | Ending::ServerRestart => InvitationStatus::Cancelled,
        };
        let ringing: Vec<UserId> = self.head.invitations.ringing().map(|(user, _)| user).collect();
        for user in ringing {
            self.end_ring(step, user, how);
        }
    }

    /// Ends the rings whose time is over.
    pub(super) fn expire_rings(&mut self, step: &mut Step) {
        let due = |(user, invitation): (UserId, &Invitation)| {
            (self.ring_end(invitation) <= step.now()).then_some(user)
        };
        let users: BTreeSet<UserId> = self.head.invitations.ringing().filter_map(due).collect();
        for user in &users {
            self.end_ring(step, *user, InvitationStatus::Missed);
        }
        if !users.is_empty() {
            step.record(Event::InvitationsEnded { users, how: InvitationStatus::Missed });
        }
    }

    /// When the next ring is over.
    pub(super) fn next_ring_end(&self) -> Option<DateTime<Utc>> {
        self.head.invitations.ringing().map(|(_, invitation)| self.ring_end(invitation)).min()
    }

    /// A waiting call does not outlast its own ring time, so no ring does.
    fn ring_end(&self, invitation: &Invitation) -> DateTime<Utc> {
        let end = invitation.deadline(&self.rules);
        self.ring_deadline().map_or(end, |last| end.min(last))
    }

    pub(super) fn invitation_rows(&self, users: &BTreeSet<UserId>) -> Vec<InvitationRow> {
        let known = users.iter().filter_map(|user| Some((user, self.head.invitations.by_user.get(user)?)));
        let row = |(user, invitation): (&UserId, &Invitation)| {
            let (status, ended_at) = match invitation.state {
                InvitationState::Ringing => (InvitationStatus::Ringing, None),
                InvitationState::Over { how, at } => (how, Some(at)),
            };
            InvitationRow {
                call_id: self.origin.id,
                user_id: *user,
                invited_by_id: invitation.by.as_ref().map(|by| by.id),
                invited_by_name: invitation.by.as_ref().map(|by| by.name.clone()),
                status,
                quiet: invitation.quiet,
                rings: invitation.rings,
                rung_at: invitation.rung_at,
                ended_at,
            }
        };
        known.map(row).collect()
    }

    fn end_ring(&mut self, step: &mut Step, user: UserId, how: InvitationStatus) {
        let invitations = Arc::make_mut(&mut self.head.invitations);
        let Some(invitation) = invitations.by_user.get_mut(&user) else { return };
        if let Some(end) = how.ring_end().filter(|_| invitation.is_ringing() && !invitation.quiet) {
            step.stop_ringing(user, end);
        }
        invitation.state = InvitationState::Over { how, at: step.now() };
        step.note_invitation(user);
    }
}

/// How long an invitation rings where a call may wait for ever.
const USUAL_RING: Duration = Duration::from_secs(60);
/// After a ring ended without an answer, the same person is left alone for this long.
const PAUSE: Duration = Duration::from_secs(10);
/// How often a call may ring one person.
const MAX_RINGS: i64 = 10;
/// Different people that one call may ring.
pub(crate) const MAX_INVITATIONS: usize = 1_000;
