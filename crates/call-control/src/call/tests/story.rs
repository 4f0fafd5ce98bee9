//! A call for story tests: with a simulated clock, users, devices, and the stored changes and recorded
//! events.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::*;
use crate::actor::Who;
use crate::ids::{DeviceId, RecordingId, StorageId};

pub(crate) const RING: Duration = Duration::from_secs(60);
pub(crate) const UNATTACHED: Duration = Duration::from_secs(300);
pub(crate) const RESUME: Duration = Duration::from_secs(30);
pub(crate) const RULES: Rules = Rules {
    ring: Some(RING),
    unattached: Some(UNATTACHED),
    resume_window: RESUME,
    max_participants: 4,
    max_metadata_bytes: 1024,
    joins: Some(JOINS),
    max_recording: MAX_RECORDING,
};
pub(crate) const MAX_RECORDING: Duration = Duration::from_secs(100);
pub(crate) const JOINS: JoinRate = JoinRate { burst: 6, refill: Duration::from_secs(20) };

pub(crate) const ADA: u8 = 1;
pub(crate) const BOB: u8 = 2;
pub(crate) const EVE: u8 = 3;

/// A call that Ada has just created, with a simulated clock and ids.
pub(crate) struct Story {
    pub(crate) call: Call,
    pub(crate) now: DateTime<Utc>,
    pub(crate) legs: u32,
    tapes: u128,
    pub(crate) recorded: Vec<RecordedEvent>,
    pub(crate) stored: Vec<Changes>,
}

impl Story {
    pub(crate) fn begin() -> Self {
        Self::with_rules(RULES)
    }

    pub(crate) fn with_rules(rules: Rules) -> Self {
        Self::new(CallId(Uuid::from_u128(7)), rules, Vec::new())
    }

    /// A call that rings these people; those with `true` do not want to be disturbed.
    pub(crate) fn ringing(people: &[(u8, bool)]) -> Self {
        Self::new(CallId(Uuid::from_u128(7)), RULES, people.iter().map(invitee).collect())
    }

    /// A story about the call with this id, to run beside other stories.
    pub(crate) fn of(call: CallId) -> Self {
        Self::new(call, RULES, RUNG.iter().map(invitee).collect())
    }

    fn new(id: CallId, rules: Rules, invitees: Vec<Invitee>) -> Self {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let origin = Origin {
            id,
            group_id: GroupId(Uuid::from_u128(8)),
            initiated_by: user(ADA),
            call_type: CallType::Video,
            created_at: now,
        };
        let first = Beginning {
            creator: person(ADA),
            leg: leg(0),
            room: RouterId(Uuid::from_u128(9)),
            metadata: Metadata::default(),
            invitees,
        };
        let (call, effects) = Call::create(origin, first, rules, &by_ada());
        let mut story = Self { call, now, legs: 1, tapes: 0, recorded: Vec::new(), stored: Vec::new() };
        story.note(&effects);
        story
    }

    pub(crate) fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    pub(crate) fn handle(&mut self, command: Command) -> Result<Vec<Effect>, CallError> {
        let mut before = self.call.clone();
        before.undo = None;
        before.roster.forget(before.rules.forgotten_until(self.now));
        let handled = self.call.handle(command, &Actor::SERVER, self.now);
        let mut taken_back = self.call.clone();
        taken_back.take_back();
        assert_eq!(taken_back, before, "what is refused, or taken back, changed nothing");
        let effects = handled?;
        self.note(&effects);
        Ok(effects)
    }

    pub(crate) fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Store(changes) => self.stored.push((**changes).clone()),
                Effect::Announce(recorded) => self.recorded.push(recorded.clone()),
                Effect::Attach(..)
                | Effect::Restrict(_)
                | Effect::CloseLeg(_)
                | Effect::Replaced(_)
                | Effect::FollowRecording { .. }
                | Effect::Ring(_)
                | Effect::StopRinging(..)
                | Effect::Detach(_) => {}
            }
        }
    }

    /// A recording to start; each has an id of its own.
    pub(crate) fn new_recording(&mut self) -> NewRecording {
        self.tapes += 1;
        NewRecording {
            id: RecordingId(Uuid::from_u128(5000 + self.tapes)),
            storage_id: StorageId(Uuid::from_u128(10)),
            mode: RecordingMode::Video,
            layer: RecordingLayer::High,
            consent: Consent::Notice,
        }
    }

    pub(crate) fn patch(&mut self, patch: serde_json::Value) -> Command {
        let patch = serde_json::from_value(patch).unwrap();
        Command::MergeMetadata { patch, recording: self.new_recording() }
    }

    pub(crate) fn record(&mut self, consent: Consent) -> Result<Vec<Effect>, CallError> {
        let new = NewRecording { consent, ..self.new_recording() };
        self.handle(Command::StartRecording { new, started_by: Some(user(ADA)) })
    }

    pub(crate) fn stop_recording(&mut self) -> Vec<Effect> {
        self.handle(Command::StopRecording { only: None, end: RecordingEnd::Stopped }).unwrap()
    }

    /// The rows of all recordings as the database holds them.
    pub(crate) fn recordings(&self) -> BTreeMap<RecordingId, RecordingRow> {
        let rows = self.stored.iter().flat_map(|changes| &changes.recordings);
        rows.map(|row| (row.id, row.clone())).collect()
    }

    /// The rows of all invitations as the database holds them.
    pub(crate) fn invitations(&self) -> BTreeMap<UserId, InvitationRow> {
        let rows = self.stored.iter().flat_map(|changes| &changes.invitations);
        rows.map(|row| (row.user_id, row.clone())).collect()
    }

    pub(crate) fn next_leg(&mut self) -> LegId {
        self.legs += 1;
        leg(self.legs)
    }

    pub(crate) fn join_rest(&mut self, who: u8) -> Result<Vec<Effect>, CallError> {
        let leg = self.next_leg();
        self.handle(Command::Join { leg, person: person(who), via: Via::Rest, privileged: false })
    }

    /// Joins with a device and returns its leg.
    pub(crate) fn join(&mut self, who: u8, device: &str) -> LegId {
        let leg = self.next_leg();
        let device = (!device.is_empty()).then(|| DeviceId::try_from(device.to_owned()).unwrap());
        let effects = self.handle(join(who, leg, device, None)).unwrap();
        effects.iter().find_map(Effect::attached).unwrap().0
    }

    /// Tries to join without a device.
    pub(crate) fn try_join(&mut self, who: u8) -> Result<Vec<Effect>, CallError> {
        let leg = self.next_leg();
        self.handle(join(who, leg, None, None))
    }

    pub(crate) fn leave(&mut self, who: u8) -> Result<Vec<Effect>, CallError> {
        self.handle(Command::Leave { user: user(who), leg: None, reason: LegReason::Left })
    }

    pub(crate) fn lose(&mut self, leg: LegId) {
        let effects = self.handle(Command::ConnectionLost { leg }).unwrap();
        assert!(effects.is_empty(), "a lost connection is remembered, not recorded");
    }

    pub(crate) fn tick(&mut self) -> Vec<Effect> {
        self.handle(Command::Tick).unwrap()
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.recorded.iter().map(|recorded| recorded.event.kind()).collect()
    }

    pub(crate) fn over(&self) -> &Over {
        match &self.call.head.state {
            State::Over(over) => over,
            running @ (State::Waiting | State::Active { .. }) => panic!("still {running:?}"),
        }
    }

    /// Why the leg ended, by its row; `None` as long as it is open.
    pub(crate) fn reason(&self, leg: LegId) -> Option<LegReason> {
        let row = self.rows().remove(&leg).unwrap();
        assert_eq!(self.call.leg(leg).is_none(), row.reason.is_some());
        row.reason
    }

    /// The rows of all legs as the database holds them.
    pub(crate) fn rows(&self) -> BTreeMap<LegId, LegRecord> {
        self.stored.iter().flat_map(|changes| &changes.legs).map(|leg| (leg.id, leg.clone())).collect()
    }
}

/// Whom the calls of random histories ring. Eve does not want to be disturbed.
pub(crate) const RUNG: [(u8, bool); 2] = [(BOB, false), (EVE, true)];

pub(crate) fn invitee(&(who, quiet): &(u8, bool)) -> Invitee {
    Invitee { user: user(who), quiet }
}

fn by_ada() -> Actor {
    Actor { who: Who::User { person: person(ADA), admin: false }, address: None }
}

/// The join of a device. The hash of its new resume token is derived from the id of the leg that it would
/// open.
pub(crate) fn join(who: u8, leg: LegId, device: Option<DeviceId>, resume: Option<ResumeHash>) -> Command {
    let via = Via::Socket { device, resume, next: token(leg) };
    Command::Join { leg, person: person(who), via, privileged: false }
}

pub(crate) fn token(leg: LegId) -> ResumeHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(leg.0.as_bytes());
    ResumeHash(hash)
}

pub(crate) fn user(who: u8) -> UserId {
    UserId(Uuid::from_u128(100 + u128::from(who)))
}

pub(crate) fn person(who: u8) -> Person {
    Person { id: user(who), name: format!("user {who}") }
}

pub(crate) fn leg(number: u32) -> LegId {
    LegId(Uuid::from_u128(1000 + u128::from(number)))
}

/// Restores the call from its rows, as a restarted server does.
pub(crate) fn restart(story: &Story, now: DateTime<Utc>) -> (Call, Vec<Effect>) {
    let call = story.call.to_record();
    let mut rows = story.rows();
    // When a leg was last seen is stored apart from its commands.
    rows.extend(story.call.open_legs().map(|leg| (leg.id, leg.to_record(call.id))));
    let legs: Vec<LegRecord> = rows.into_values().collect();
    let rows = CallRows {
        visitors: legs.iter().map(|leg| leg.user_id).collect(),
        last_left_at: legs.iter().filter_map(|leg| leg.left_at).max(),
        legs,
        invitations: story.invitations().into_values().collect(),
    };
    Call::restore(call, rows, RouterId(Uuid::from_u128(99)), RULES, now).unwrap()
}
