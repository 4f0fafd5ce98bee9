//! The transitions of a [`Call`], one method each.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    Admission, Attachment, Call, CallError, Changes, Effect, Ending, Event, Leg, LegReason, LegState, Loss,
    MediaChange, Metadata, Outcome, Over, ProducerRef, RecordedEvent, ResumeHash, StandingChange, State, Via,
};
use crate::{
    actor::{Actor, Person},
    ids::{DeviceId, LegId, UserId},
};

/// Collects the changes of one command.
pub(super) struct Step {
    by: Actor,
    now: DateTime<Utc>,
    legs: BTreeSet<LegId>,
    events: Vec<Event>,
    attached: Option<(LegId, Attachment)>,
    restricted: Option<UserId>,
    ended: Vec<(LegId, LegReason)>,
}

impl Step {
    pub(super) fn new(by: &Actor, now: DateTime<Utc>) -> Self {
        Self {
            by: by.clone(),
            now,
            legs: BTreeSet::new(),
            events: Vec::new(),
            attached: None,
            restricted: None,
            ended: Vec::new(),
        }
    }

    /// Marks the leg's row as changed.
    pub(super) fn touch(&mut self, leg: LegId) {
        self.legs.insert(leg);
    }

    pub(super) fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Numbers the events and returns the effects in their order.
    pub(super) fn finish(self, call: &mut Call) -> Vec<Effect> {
        let mut effects = Vec::new();
        let events: Vec<_> = self.events.into_iter().map(|event| call.number(event, self.now)).collect();
        if !self.legs.is_empty() || !events.is_empty() {
            let follows = call.version;
            call.version += 1;
            let legs =
                self.legs.iter().filter_map(|id| call.legs.get(id)).map(|leg| leg.to_record(call.origin.id));
            let changes = Changes {
                call: call.to_record(),
                follows,
                legs: legs.collect(),
                events: events.clone(),
                by: self.by,
                receipt: None,
            };
            effects.push(Effect::Store(Box::new(changes)));
        }
        effects.extend(self.attached.map(|(leg, how)| Effect::Attach(leg, how)));
        effects.extend(self.restricted.map(Effect::Restrict));
        effects.extend(self.ended.iter().map(|(leg, _)| Effect::CloseLeg(*leg)));
        effects.extend(events.into_iter().map(Effect::Announce));
        for (leg, reason) in self.ended {
            if reason == LegReason::Replaced {
                effects.push(Effect::Replaced(leg));
            }
            effects.push(Effect::Detach(leg));
        }
        effects
    }
}

impl Call {
    /// Rules 1, 2, 3 and 5.
    pub(super) fn join(
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
            Via::Rest => self.open(step, Leg::unattached(new, person, step.now)),
            Via::Socket { device, resume, next } => self.attach(step, new, person, device, resume, next)?,
        }
        if self.state == State::Waiting && user != self.origin.initiated_by {
            self.state = State::Active { started_at: step.now };
            self.updated_at = step.now;
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
        let (leg, how) = if let Some(leg) = resumed.and_then(|id| self.legs.get_mut(&id)) {
            (leg.id, leg.take_up(next, step.now))
        } else if let Some(leg) = self.unattached_leg(user) {
            leg.claim(device, next, step.now);
            (leg.id, Attachment::Joined)
        } else if self.open_legs().filter(|leg| leg.person.id == user).count() >= MAX_LEGS {
            return Err(CallError::TooManyLegs);
        } else {
            self.open(step, Leg::open(new, person, device, next, step.now));
            (new, Attachment::Joined)
        };
        step.touch(leg);
        step.attached = Some((leg, how));
        for old in self.legs_to_supersede(leg) {
            self.end_leg(step, old, step.now, LegReason::Replaced);
        }
        Ok(())
    }

    /// Rule 2: a second leave, or one after the end, changes nothing.
    pub(super) fn leave(
        &mut self,
        step: &mut Step,
        user: UserId,
        only: Option<LegId>,
        reason: LegReason,
    ) -> Result<(), CallError> {
        let theirs: Vec<&Leg> = self.legs.values().filter(|leg| leg.person.id == user).collect();
        if theirs.is_empty() {
            return Err(CallError::NotInCall);
        }
        if only.is_some_and(|only| theirs.iter().all(|leg| leg.id != only)) {
            return Err(CallError::UnknownLeg);
        }
        let leaving =
            theirs.into_iter().filter(|leg| leg.is_open() && only.is_none_or(|only| leg.id == only));
        for leg in leaving.map(|leg| leg.id).collect::<Vec<_>>() {
            self.end_leg(step, leg, step.now, reason);
        }
        self.end_if_deserted(step, Ending::LastLeft);
        Ok(())
    }

    /// Rule 3.
    pub(super) fn connection_lost(&mut self, leg: LegId, now: DateTime<Utc>) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.lose(now, Loss::Connection);
        }
    }

    /// Rule 4: a second end changes nothing.
    pub(super) fn end(&mut self, step: &mut Step, ending: Ending) {
        self.conclude(step, self.outcome(), ending, step.now);
    }

    pub(super) fn fail(&mut self, step: &mut Step, message: String) {
        self.conclude(step, Outcome::Failed { message }, Ending::Error, step.now);
    }

    pub(super) fn merge_metadata(&mut self, step: &mut Step, patch: &Metadata) -> Result<(), CallError> {
        let mut merged = self.metadata.clone();
        merged.merge(patch);
        let limit = self.rules.max_metadata_bytes;
        if merged.is_larger_than(limit) {
            return Err(CallError::MetadataTooLarge { limit });
        }
        if merged != self.metadata {
            self.metadata = merged;
            self.updated_at = step.now;
            step.record(Event::MetadataChanged);
        }
        Ok(())
    }

    pub(super) fn lock(&mut self, step: &mut Step, locked: bool) -> Result<(), CallError> {
        self.ensure_running()?;
        if self.moderation.locked != locked {
            self.moderation.locked = locked;
            self.updated_at = step.now;
            step.record(Event::LockChanged { locked, by: step.by.user_id() });
        }
        Ok(())
    }

    pub(super) fn permit(
        &mut self,
        step: &mut Step,
        user: UserId,
        change: StandingChange,
    ) -> Result<(), CallError> {
        self.ensure_running()?;
        if self.moderation.change(user, change) {
            self.updated_at = step.now;
            step.restricted = Some(user);
            let permissions = self.permissions(user);
            step.record(Event::PermissionsChanged { user, permissions, by: step.by.user_id() });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, step: &mut Step, user: UserId) -> Result<(), CallError> {
        self.ensure_running()?;
        if !self.has_open_leg(user) {
            return Err(CallError::NotInCall);
        }
        self.moderation.remove(user);
        self.leave(step, user, None, LegReason::Removed)
    }

    pub(super) fn mute(&self, step: &mut Step, producer: ProducerRef, force: bool) -> Result<(), CallError> {
        self.ensure_running()?;
        step.record(Event::ProducerMuted { producer, force, by: step.by.user_id() });
        Ok(())
    }

    pub(super) fn record_media(&self, step: &mut Step, changes: Vec<MediaChange>) -> Result<(), CallError> {
        self.ensure_running()?;
        for change in changes {
            step.record(Event::Media(change));
        }
        Ok(())
    }

    pub(super) fn tick(&mut self, step: &mut Step) {
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
    }

    /// Rule 4: ends the call if it has no open leg.
    pub(super) fn end_if_deserted(&mut self, step: &mut Step, ending: Ending) {
        if self.open_legs().next().is_some() {
            return;
        }
        let at = match ending {
            Ending::ServerRestart => self.last_left_at().unwrap_or(step.now),
            Ending::Normal
            | Ending::Timeout
            | Ending::Error
            | Ending::Cancelled
            | Ending::LastLeft
            | Ending::GroupDeleted => step.now,
        };
        self.conclude(step, self.outcome(), ending, at);
    }

    fn open(&mut self, step: &mut Step, leg: Leg) {
        let (id, person) = (leg.id, leg.person.clone());
        let first = !self.has_open_leg(person.id);
        self.legs.insert(id, leg);
        let participants = self.participants();
        self.max_participants = self.max_participants.max(count(&participants));
        step.touch(id);
        step.record(Event::LegJoined { leg: id, person, participants, first });
    }

    fn end_leg(&mut self, step: &mut Step, id: LegId, at: DateTime<Utc>, reason: LegReason) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_open()) else { return };
        leg.end(at, reason);
        let person = leg.person.clone();
        let participants = self.participants();
        let last = !participants.contains(&person.id);
        step.touch(id);
        step.ended.push((id, reason));
        step.record(Event::LegLeft { leg: id, person, reason, participants, last });
    }

    fn conclude(&mut self, step: &mut Step, outcome: Outcome, ending: Ending, at: DateTime<Utc>) {
        if self.is_over() {
            return;
        }
        for leg in self.legs.values_mut().filter(|leg| leg.is_open()) {
            leg.end(at, LegReason::CallEnded);
            step.touch(leg.id);
            step.ended.push((leg.id, LegReason::CallEnded));
        }
        let over = Over { outcome, started_at: self.state.started_at(), ended_at: at, ending };
        step.record(Event::CallEnded { ending, duration_seconds: over.duration_seconds() });
        self.state = State::Over(over);
        self.updated_at = step.now;
    }

    /// The outcome if the call ends in this state.
    const fn outcome(&self) -> Outcome {
        match self.state {
            State::Waiting => Outcome::Cancelled,
            State::Active { .. } | State::Over(_) => Outcome::Ended,
        }
    }

    fn number(&mut self, event: Event, at: DateTime<Utc>) -> RecordedEvent {
        self.stamp.seq += 1;
        RecordedEvent { call_id: self.origin.id, stamp: self.stamp, at, event }
    }

    const fn ensure_running(&self) -> Result<(), CallError> {
        if self.is_over() { Err(CallError::Ended) } else { Ok(()) }
    }

    /// Checks that a user who is not in the call may join.
    fn ensure_admitted(&self, user: UserId, privileged: bool) -> Result<(), CallError> {
        match self.moderation.standing(user).admission {
            Admission::Removed => return Err(CallError::Removed),
            Admission::Default if self.moderation.locked && !privileged => return Err(CallError::Locked),
            Admission::Default | Admission::Admitted => {}
        }
        if self.participants().len() >= self.rules.max_participants {
            return Err(CallError::Full);
        }
        Ok(())
    }

    fn has_open_leg(&self, user: UserId) -> bool {
        self.legs.values().any(|leg| leg.is_open() && leg.person.id == user)
    }

    fn unattached_leg(&mut self, user: UserId) -> Option<&mut Leg> {
        self.legs.values_mut().find(|leg| leg.person.id == user && leg.state == LegState::Unattached)
    }

    /// The other open legs of the same user and device: a device has one page, which has just joined again.
    fn legs_to_supersede(&self, by: LegId) -> Vec<LegId> {
        let Some(new) = self.legs.get(&by).filter(|leg| leg.device.is_some()) else { return Vec::new() };
        let same_device = |leg: &&Leg| leg.person.id == new.person.id && leg.device == new.device;
        self.open_legs().filter(same_device).map(|leg| leg.id).filter(|id| *id != by).collect()
    }

    /// The legs whose deadline has passed, ordered by their end.
    fn expired_legs(&self, now: DateTime<Utc>) -> Vec<(LegId, DateTime<Utc>, LegReason)> {
        let due = |leg: &&Leg| leg.deadline(&self.rules).is_some_and(|deadline| deadline <= now);
        let expired = self.legs.values().filter(due);
        let mut expired: Vec<_> =
            expired.filter_map(|leg| leg.expiry(now).map(|(at, reason)| (leg.id, at, reason))).collect();
        expired.sort_by_key(|(leg, at, _)| (*at, *leg));
        expired
    }

    fn last_left_at(&self) -> Option<DateTime<Utc>> {
        self.legs.values().filter_map(Leg::left_at).max()
    }
}

/// Maximum number of open legs of one user, lost legs included.
const MAX_LEGS: usize = 32;

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}
