//! The transitions of a [`Call`], one method each.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Admission, Attachment, Call, CallError, Command, Ending, Event, Leg, LegReason, LegState, Loss,
    MediaChange, Metadata, NewRecording, Outcome, Over, ProducerRef, RecordedEvent, RecordingEnd, ResumeHash,
    StandingChange, State, Undo, Via,
    step::{Follow, Step},
};
use crate::{
    actor::Person,
    ids::{DeviceId, LegId, UserId},
};

impl Call {
    pub(super) fn apply(&mut self, step: &mut Step, command: Command) -> Result<(), CallError> {
        match command {
            Command::Join { leg, person, via, privileged } => self.join(step, leg, person, via, privileged),
            Command::Leave { user, leg, reason } => self.leave(step, user, leg, reason),
            Command::ConnectionLost { leg } => {
                self.connection_lost(step, leg);
                Ok(())
            }
            Command::Ring(invitees) => self.ring(step, invitees),
            Command::Decline { user } => self.decline(step, user),
            Command::End(ending) => {
                self.conclude(step, self.outcome(), ending, step.now);
                Ok(())
            }
            Command::Fail { message } => {
                self.conclude(step, Outcome::Failed { message }, Ending::Error, step.now);
                Ok(())
            }
            Command::MergeMetadata { patch, recording } => self.merge_metadata(step, &patch, recording),
            Command::Lock(locked) => self.lock(step, locked),
            Command::Permit { user, change } => self.permit(step, user, change),
            Command::Remove { user } => self.remove(step, user),
            Command::Mute { producer, force } => self.mute(step, producer, force),
            Command::StartRecording { new, started_by } => self.start_recording(step, new, started_by),
            Command::PauseRecording { only, paused } => self.pause_recording(step, only, paused),
            Command::StopRecording { only, end } => {
                self.stop_recording(step, only, end);
                Ok(())
            }
            Command::FailRecording(code) => {
                self.fail_recording(step, code);
                Ok(())
            }
            Command::Consent { leg, accept } => self.consent(step, leg, accept),
            Command::Record(changes) => self.record_media(step, changes),
            Command::Tick => {
                self.tick(step);
                Ok(())
            }
        }
    }

    pub(super) fn revert(&mut self, undo: Undo) {
        self.head = undo.head;
        self.roster.revert(undo.roster);
    }

    /// Rules 1, 2, 3 and 5.
    fn join(
        &mut self,
        step: &mut Step,
        new: LegId,
        person: Person,
        via: Via,
        privileged: bool,
    ) -> Result<(), CallError> {
        self.ensure_running()?;
        let user = person.id;
        if !self.has_open_leg(user) {
            self.ensure_admitted(user, privileged)?;
        }
        match via {
            Via::Rest if self.has_open_leg(user) => return Ok(()),
            Via::Rest => self.open(step, Leg::unattached(new, person, step.now))?,
            Via::Socket { device, resume, next } => self.attach(step, new, person, device, resume, next)?,
        }
        if self.head.state == State::Waiting && user != self.origin.initiated_by {
            self.head.state = State::Active { started_at: step.now };
            self.head.updated_at = step.now;
            step.record(Event::CallStarted);
        }
        Ok(())
    }

    /// Gives a socket the leg that it resumes, else an unattached leg of the user, else a new one.
    fn attach(
        &mut self,
        step: &mut Step,
        new: LegId,
        person: Person,
        device: Option<DeviceId>,
        resume: Option<ResumeHash>,
        next: ResumeHash,
    ) -> Result<(), CallError> {
        let user = person.id;
        let resumed = resume.and_then(|hash| self.resumable(user, hash)).map(|leg| leg.id);
        let unattached = self.unattached_leg(user);
        let roster = &mut self.roster;
        let (leg, how) = if let Some(leg) = resumed.and_then(|id| roster.leg_mut(&mut step.undo.roster, id)) {
            (leg.id, leg.take_up(next, step.now))
        } else if let Some(leg) = unattached.and_then(|id| roster.leg_mut(&mut step.undo.roster, id)) {
            leg.claim(device, next, step.now);
            (leg.id, Attachment::Joined)
        } else if self.open_legs().filter(|leg| leg.person.id == user).count() >= MAX_LEGS {
            return Err(CallError::TooManyLegs);
        } else {
            self.open(step, Leg::open(new, person, device, next, step.now))?;
            (new, Attachment::Joined)
        };
        step.touch(leg);
        step.attached = Some((leg, how));
        for old in self.legs_to_supersede(leg) {
            self.end_leg(step, old, step.now, LegReason::Replaced);
        }
        Ok(())
    }

    /// Rule 2: a second leave, or one after the end, changes nothing. A leg that ended before the resume window
    /// is unknown.
    fn leave(
        &mut self,
        step: &mut Step,
        user: UserId,
        only: Option<LegId>,
        reason: LegReason,
    ) -> Result<(), CallError> {
        let is_kept_out = matches!(reason, LegReason::NotAMember | LegReason::Removed);
        if is_kept_out && only.is_none() && self.cancel_ring(step, user) && !self.has_open_leg(user) {
            return Ok(());
        }
        if !self.roster.has_visited(user) {
            return Err(CallError::NotInCall);
        }
        let open = self.open_legs().filter(|leg| leg.person.id == user).map(|leg| leg.id);
        let leaving: Vec<LegId> = open.filter(|id| only.is_none_or(|only| *id == only)).collect();
        let since = self.rules.forgotten_until(step.now);
        if only.is_some_and(|only| leaving.is_empty() && !self.roster.has_just_left(user, only, since)) {
            return Err(CallError::UnknownLeg);
        }
        for leg in leaving {
            self.end_leg(step, leg, step.now, reason);
        }
        self.end_if_deserted(step, Ending::LastLeft);
        Ok(())
    }

    /// Rule 3.
    fn connection_lost(&mut self, step: &mut Step, leg: LegId) {
        if let Some(leg) = self.roster.leg_mut(&mut step.undo.roster, leg) {
            leg.lose(step.now, Loss::Connection);
        }
    }

    fn merge_metadata(
        &mut self,
        step: &mut Step,
        patch: &Metadata,
        recording: NewRecording,
    ) -> Result<(), CallError> {
        let keys = patch.recording_keys()?;
        let mut merged = (*self.head.metadata).clone();
        merged.merge(patch);
        let limit = self.rules.max_metadata_bytes;
        if merged.is_larger_than(limit) {
            return Err(CallError::MetadataTooLarge { limit });
        }
        self.head.metadata = Arc::new(merged);
        self.heed_recording_keys(step, keys, recording)?;
        self.tell_metadata(step);
        Ok(())
    }

    fn lock(&mut self, step: &mut Step, locked: bool) -> Result<(), CallError> {
        self.ensure_running()?;
        if self.head.moderation.locked != locked {
            Arc::make_mut(&mut self.head.moderation).locked = locked;
            self.head.updated_at = step.now;
            step.record(Event::LockChanged { locked, by: step.by.user_id() });
        }
        Ok(())
    }

    fn permit(&mut self, step: &mut Step, user: UserId, change: StandingChange) -> Result<(), CallError> {
        self.ensure_running()?;
        if Arc::make_mut(&mut self.head.moderation).change(user, change) {
            self.head.updated_at = step.now;
            step.restricted = Some(user);
            let permissions = self.permissions(user);
            step.record(Event::PermissionsChanged { user, permissions, by: step.by.user_id() });
        }
        Ok(())
    }

    fn remove(&mut self, step: &mut Step, user: UserId) -> Result<(), CallError> {
        self.ensure_running()?;
        if !self.has_open_leg(user) {
            return Err(CallError::NotInCall);
        }
        Arc::make_mut(&mut self.head.moderation).remove(user);
        self.leave(step, user, None, LegReason::Removed)
    }

    fn mute(&self, step: &mut Step, producer: ProducerRef, force: bool) -> Result<(), CallError> {
        self.ensure_running()?;
        step.record(Event::ProducerMuted { producer, force, by: step.by.user_id() });
        Ok(())
    }

    fn record_media(&self, step: &mut Step, changes: Vec<MediaChange>) -> Result<(), CallError> {
        self.ensure_running()?;
        for change in changes {
            if self.recording().is_some() {
                step.follow(Follow::AfterTelling);
            }
            step.record(Event::Media(change));
        }
        Ok(())
    }

    fn tick(&mut self, step: &mut Step) {
        let mut ending = Ending::LastLeft;
        for (leg, at, reason) in self.expired_legs(step.now) {
            ending =
                if reason == LegReason::ServerRestart { Ending::ServerRestart } else { Ending::LastLeft };
            self.end_leg(step, leg, at, reason);
        }
        self.end_if_deserted(step, ending);
        if self.ring_deadline().is_some_and(|deadline| deadline <= step.now) {
            self.conclude(step, Outcome::Cancelled, Ending::Timeout, step.now);
        }
        self.expire_rings(step);
        if self.recording_deadline().is_some_and(|deadline| deadline <= step.now) {
            self.stop_recording(step, None, RecordingEnd::Limit);
        }
    }

    /// Rule 4: ends the call if it has no open leg.
    pub(super) fn end_if_deserted(&mut self, step: &mut Step, ending: Ending) {
        if !self.roster.open.is_empty() {
            return;
        }
        let at = match ending {
            Ending::ServerRestart => self.head.last_left_at.unwrap_or(step.now),
            Ending::Normal
            | Ending::Timeout
            | Ending::Error
            | Ending::Cancelled
            | Ending::Declined
            | Ending::LastLeft
            | Ending::GroupDeleted => step.now,
        };
        self.conclude(step, self.outcome(), ending, at);
    }

    /// Opens a leg, if the user has a join left.
    fn open(&mut self, step: &mut Step, leg: Leg) -> Result<(), CallError> {
        let (id, person) = (leg.id, leg.person.clone());
        let mut budget = self.roster.budget(person.id);
        if let Some(rate) = self.rules.joins {
            let left = budget.join(rate, step.now);
            budget = left.map_err(|retry_after| CallError::TooManyJoins { retry_after })?;
        }
        let first = !self.has_open_leg(person.id);
        self.roster.open(&mut step.undo.roster, leg, budget);
        let participants = self.participants();
        self.head.max_participants = self.head.max_participants.max(count(&participants));
        step.touch(id);
        self.answer_ring(step, person.id);
        step.record(Event::LegJoined { leg: id, person, participants, first });
        Ok(())
    }

    fn end_leg(&mut self, step: &mut Step, id: LegId, at: DateTime<Utc>, reason: LegReason) {
        let Some(leg) = self.take_out(step, id, at) else { return };
        let person = leg.person.clone();
        let participants = self.participants();
        let last = !participants.contains(&person.id);
        step.last_rows.push(leg.end(self.origin.id, at, reason));
        step.ended.push((id, reason));
        step.record(Event::LegLeft { leg: id, person, reason, participants, last });
    }

    fn take_out(&mut self, step: &mut Step, id: LegId, at: DateTime<Utc>) -> Option<Leg> {
        let leg = self.roster.end(&mut step.undo.roster, id, at)?;
        self.head.last_left_at = self.head.last_left_at.max(Some(at));
        self.forget_answer(id);
        Some(leg)
    }

    pub(super) fn conclude(&mut self, step: &mut Step, outcome: Outcome, ending: Ending, at: DateTime<Utc>) {
        if self.is_over() {
            return;
        }
        self.conclude_recording(step, ending, at);
        self.conclude_rings(step, ending);
        let open: Vec<LegId> = self.open_legs().map(|leg| leg.id).collect();
        for id in open {
            let Some(leg) = self.take_out(step, id, at) else { continue };
            step.last_rows.push(leg.end(self.origin.id, at, LegReason::CallEnded));
            step.ended.push((id, LegReason::CallEnded));
        }
        let over = Over { outcome, started_at: self.head.state.started_at(), ended_at: at, ending };
        step.record(Event::CallEnded { ending, duration_seconds: over.duration_seconds() });
        self.head.state = State::Over(over);
        self.head.updated_at = step.now;
    }

    /// The outcome if the call ends in this state.
    const fn outcome(&self) -> Outcome {
        match self.head.state {
            State::Waiting => Outcome::Cancelled,
            State::Active { .. } | State::Over(_) => Outcome::Ended,
        }
    }

    pub(super) fn number(&mut self, event: Event, at: DateTime<Utc>) -> RecordedEvent {
        self.head.stamp.seq += 1;
        RecordedEvent { call_id: self.origin.id, stamp: self.head.stamp, at, event }
    }

    pub(super) const fn ensure_running(&self) -> Result<(), CallError> {
        if self.is_over() { Err(CallError::Ended) } else { Ok(()) }
    }

    /// Checks that a user who is not in the call may join.
    fn ensure_admitted(&self, user: UserId, privileged: bool) -> Result<(), CallError> {
        match self.head.moderation.standing(user).admission {
            Admission::Removed => return Err(CallError::Removed),
            Admission::Default if self.head.moderation.locked && !privileged => {
                return Err(CallError::Locked);
            }
            Admission::Default | Admission::Admitted => {}
        }
        if self.participants().len() >= self.rules.max_participants {
            return Err(CallError::Full);
        }
        Ok(())
    }

    pub(super) fn has_open_leg(&self, user: UserId) -> bool {
        self.roster.open.values().any(|leg| leg.person.id == user)
    }

    fn unattached_leg(&self, user: UserId) -> Option<LegId> {
        let unattached = |leg: &&Leg| leg.person.id == user && leg.state == LegState::Unattached;
        self.roster.open.values().find(unattached).map(|leg| leg.id)
    }

    /// The other open legs of the same user and device: a device has one page, which has just joined again.
    fn legs_to_supersede(&self, by: LegId) -> Vec<LegId> {
        let Some(new) = self.leg(by).filter(|leg| leg.device.is_some()) else { return Vec::new() };
        let same_device = |leg: &&Leg| leg.person.id == new.person.id && leg.device == new.device;
        self.open_legs().filter(same_device).map(|leg| leg.id).filter(|id| *id != by).collect()
    }

    /// The legs whose deadline has passed, ordered by their end.
    fn expired_legs(&self, now: DateTime<Utc>) -> Vec<(LegId, DateTime<Utc>, LegReason)> {
        let due = |leg: &&Leg| leg.deadline(&self.rules).is_some_and(|deadline| deadline <= now);
        let expired = self.roster.open.values().filter(due);
        let mut expired: Vec<_> =
            expired.filter_map(|leg| leg.expiry(now).map(|(at, reason)| (leg.id, at, reason))).collect();
        expired.sort_by_key(|(leg, at, _)| (*at, *leg));
        expired
    }
}

/// Maximum number of open legs of one user, lost legs included.
const MAX_LEGS: usize = 32;

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
