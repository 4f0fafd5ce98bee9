//! The rules of a call's life, one story each, and random histories against what must always hold.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::ids::DeviceId;
use uuid::Uuid;

const RING: Duration = Duration::from_secs(60);
const UNATTACHED: Duration = Duration::from_secs(300);
const RESUME: Duration = Duration::from_secs(30);
const RULES: Rules = Rules {
    ring: Some(RING),
    unattached: Some(UNATTACHED),
    resume_window: RESUME,
    max_participants: 4,
    max_metadata_bytes: 1024,
};

const ADA: u8 = 1;
const BOB: u8 = 2;
const EVE: u8 = 3;

/// A call that Ada has just created, with a clock to move and ids to hand out.
struct Story {
    call: Call,
    now: DateTime<Utc>,
    legs: u32,
    recorded: Vec<RecordedEvent>,
    stored: Vec<Changes>,
}

impl Story {
    fn begin() -> Self {
        Self::with_rules(RULES)
    }

    fn with_rules(rules: Rules) -> Self {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let origin = Origin {
            id: CallId(Uuid::from_u128(7)),
            group_id: GroupId(Uuid::from_u128(8)),
            initiated_by: user(ADA),
            call_type: CallType::Video,
            created_at: now,
        };
        let room = RouterId(Uuid::from_u128(9));
        let (call, effects) =
            Call::create(origin, person(ADA), leg(0), room, Metadata::default(), rules, &Actor::SERVER);
        let mut story = Self { call, now, legs: 1, recorded: Vec::new(), stored: Vec::new() };
        story.note(&effects);
        story
    }

    fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn handle(&mut self, command: Command) -> Result<Vec<Effect>, CallError> {
        let effects = self.call.handle(command, &Actor::SERVER, self.now)?;
        self.note(&effects);
        Ok(effects)
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Store(changes) => self.stored.push((**changes).clone()),
                Effect::Announce(recorded) => self.recorded.push(recorded.clone()),
                Effect::Attach(..)
                | Effect::Restrict(_)
                | Effect::CloseLeg(_)
                | Effect::Replaced(_)
                | Effect::Detach(_) => {}
            }
        }
    }

    fn next_leg(&mut self) -> LegId {
        self.legs += 1;
        leg(self.legs)
    }

    fn join_rest(&mut self, who: u8) -> Result<Vec<Effect>, CallError> {
        let leg = self.next_leg();
        self.handle(Command::Join { leg, person: person(who), via: Via::Rest, privileged: false })
    }

    /// Returns the leg that the device got.
    fn join(&mut self, who: u8, device: &str) -> LegId {
        let leg = self.next_leg();
        let device = (!device.is_empty()).then(|| DeviceId::try_from(device.to_owned()).unwrap());
        let effects = self.handle(join(who, leg, device, None)).unwrap();
        effects.iter().find_map(Effect::attached).unwrap().0
    }

    fn leave(&mut self, who: u8) -> Result<Vec<Effect>, CallError> {
        self.handle(Command::Leave { user: user(who), leg: None, reason: LegReason::Left })
    }

    fn lose(&mut self, leg: LegId) {
        let effects = self.handle(Command::ConnectionLost { leg }).unwrap();
        assert!(effects.is_empty(), "a lost connection is remembered, not recorded");
    }

    fn tick(&mut self) -> Vec<Effect> {
        self.handle(Command::Tick).unwrap()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.recorded.iter().map(|recorded| recorded.event.kind()).collect()
    }

    fn over(&self) -> &Over {
        match &self.call.state {
            State::Over(over) => over,
            running @ (State::Waiting | State::Active { .. }) => panic!("still {running:?}"),
        }
    }

    fn reason(&self, leg: LegId) -> Option<LegReason> {
        match self.call.leg(leg).unwrap().state {
            LegState::Ended { reason, .. } => Some(reason),
            LegState::Unattached | LegState::Open | LegState::Lost { .. } => None,
        }
    }
}

/// A device's join; its next resume token hashes to the number of the leg that it would open.
fn join(who: u8, leg: LegId, device: Option<DeviceId>, resume: Option<ResumeHash>) -> Command {
    let via = Via::Socket { device, resume, next: token(leg) };
    Command::Join { leg, person: person(who), via, privileged: false }
}

fn token(leg: LegId) -> ResumeHash {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(leg.0.as_bytes());
    ResumeHash(hash)
}

fn user(who: u8) -> UserId {
    UserId(Uuid::from_u128(100 + u128::from(who)))
}

fn person(who: u8) -> Person {
    Person { id: user(who), name: format!("user {who}") }
}

fn leg(number: u32) -> LegId {
    LegId(Uuid::from_u128(1000 + u128::from(number)))
}

#[test]
fn a_new_call_waits_with_its_creator_listed() {
    let story = Story::begin();
    let view = story.call.view(story.now);
    assert_eq!(
        (view.status, view.participants, view.max_participants),
        (CallStatus::Waiting, vec![user(ADA)], 1)
    );
    assert_eq!((view.started_at, view.duration, view.epoch, view.seq), (None, None, 1, 1));
    assert_eq!(story.kinds(), ["call-created"]);
}

#[test]
fn the_first_join_by_somebody_else_starts_it() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    assert_eq!(story.call.state, State::Waiting, "the creator's own device starts nothing");
    story.wait(Duration::from_secs(5)).join_rest(BOB).unwrap();
    assert_eq!(story.call.state, State::Active { started_at: story.now });
    assert_eq!(story.kinds(), ["call-created", "leg-joined", "call-started"]);
    let view = story.call.view(story.now + Duration::from_secs(65));
    assert_eq!((view.max_participants, view.duration.as_deref()), (2, Some("00:01:05")));
}

#[test]
fn nobody_coming_while_it_rings_cancels_it() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    assert_eq!(story.call.next_deadline(), Some(story.now + RING));
    story.wait(RING - Duration::from_secs(1)).tick();
    assert!(!story.call.is_over());
    story.wait(Duration::from_secs(1)).tick();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Cancelled, Ending::Timeout));
    assert_eq!(story.call.view(story.now).duration_seconds, None);
    assert_eq!(story.call.next_deadline(), None);
}

#[test]
fn a_call_may_ring_for_ever() {
    let story = Story::with_rules(Rules { ring: None, unattached: None, ..RULES });
    assert_eq!(story.call.next_deadline(), None);
}

#[test]
fn a_rest_join_leaves_a_leg_that_the_next_device_takes() {
    let mut story = Story::begin();
    story.join_rest(BOB).unwrap();
    assert!(story.join_rest(BOB).unwrap().is_empty(), "joining twice changes nothing");
    let taken = story.join(BOB, "phone");
    let bobs: Vec<_> = story.call.open_legs().filter(|leg| leg.person.id == user(BOB)).collect();
    assert_eq!(bobs.iter().map(|leg| (leg.id, leg.state)).collect::<Vec<_>>(), [(taken, LegState::Open)]);
    assert_eq!(story.call.stamp().seq, 3, "taking a leg tells others nothing new");
}

#[test]
fn a_leg_that_no_device_takes_ends() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join_rest(BOB).unwrap();
    let bobs = leg(story.legs);
    story.wait(UNATTACHED).tick();
    assert_eq!(story.reason(bobs), Some(LegReason::NeverConnected));
    assert!(!story.call.is_over());
}

#[test]
fn several_devices_are_one_participant() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    story.join(BOB, "tablet");
    assert_eq!(story.call.participants(), [user(ADA), user(BOB)]);
    assert_eq!(story.call.max_participants(), 2);
    let phone = story.call.open_legs().find(|leg| leg.person.id == user(BOB)).unwrap().id;
    story.handle(Command::Leave { user: user(BOB), leg: Some(phone), reason: LegReason::Left }).unwrap();
    assert_eq!(story.call.participants(), [user(ADA), user(BOB)]);
    let last = |recorded: &RecordedEvent| matches!(recorded.event, Event::LegLeft { last: true, .. });
    assert!(!story.recorded.iter().any(last));
    story.leave(BOB).unwrap();
    assert!(last(story.recorded.last().unwrap()));
}

#[test]
fn a_device_that_comes_back_supersedes_its_old_leg() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    let old = story.join(BOB, "phone");
    let other = story.join(BOB, "tablet");
    story.lose(old);
    let leg = story.next_leg();
    let device = story.call.leg(old).unwrap().device.clone();
    let effects = story.handle(join(BOB, leg, device, None)).unwrap();
    assert_eq!(story.reason(old), Some(LegReason::Replaced));
    assert_eq!((story.reason(other), story.reason(leg)), (None, None));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Replaced(id) if *id == old)));
    assert_eq!(story.call.max_participants(), 2, "handing over adds nobody");
}

#[test]
fn a_device_without_a_name_supersedes_nothing() {
    let mut story = Story::begin();
    let first = story.join(BOB, "");
    story.join(BOB, "");
    assert_eq!(story.reason(first), None);
}

#[test]
fn somebody_elses_device_of_the_same_name_is_another() {
    let mut story = Story::begin();
    let bobs = story.join(BOB, "tab-1");
    story.join(EVE, "tab-1");
    assert_eq!(story.reason(bobs), None);
}

#[test]
fn a_lost_connection_counts_until_the_resume_window_is_over() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    let phone = story.join(BOB, "phone");
    story.lose(phone);
    let lost_at = story.now;
    assert_eq!(story.call.next_deadline(), Some(lost_at + RESUME));
    story.wait(RESUME - Duration::from_secs(1)).tick();
    assert_eq!(story.call.participants().len(), 2);
    story.wait(Duration::from_secs(1)).tick();
    assert_eq!(story.reason(phone), Some(LegReason::ConnectionLost));
    assert_eq!(story.call.leg(phone).unwrap().last_seen_at, lost_at);
}

#[test]
fn the_last_to_leave_ends_an_active_call() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    story.wait(Duration::from_secs(90)).leave(BOB).unwrap();
    let effects = story.wait(Duration::from_secs(10)).leave(ADA).unwrap();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Ended, Ending::LastLeft));
    assert_eq!(story.call.view(story.now).duration.as_deref(), Some("00:01:40"));
    assert_eq!(story.kinds()[4..], ["leg-left", "call-ended"]);
    assert!(matches!(effects[0], Effect::Store(_)), "stored before anything else");
}

#[test]
fn the_creator_leaving_cancels_a_waiting_call() {
    let mut story = Story::begin();
    story.leave(ADA).unwrap();
    assert_eq!((&story.over().outcome, story.over().ending), (&Outcome::Cancelled, Ending::LastLeft));
}

#[test]
fn ending_keeps_the_reason_and_lets_the_state_decide_the_outcome() {
    let mut waiting = Story::begin();
    waiting.handle(Command::End(Ending::Error)).unwrap();
    assert_eq!((&waiting.over().outcome, waiting.over().ending), (&Outcome::Cancelled, Ending::Error));

    let mut active = Story::begin();
    let phone = active.join(BOB, "phone");
    let effects = active.handle(Command::End(Ending::Normal)).unwrap();
    assert_eq!((&active.over().outcome, active.reason(phone)), (&Outcome::Ended, Some(LegReason::CallEnded)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::CloseLeg(id) if *id == phone)));
    assert!(active.call.participants().is_empty());
}

#[test]
fn what_is_over_stays_as_it_is() {
    let mut story = Story::begin();
    story.join(BOB, "phone");
    story.handle(Command::End(Ending::Normal)).unwrap();
    let before = story.call.view(story.now);
    story.wait(Duration::from_secs(5));
    assert!(story.handle(Command::End(Ending::Error)).unwrap().is_empty());
    assert!(story.leave(BOB).unwrap().is_empty());
    assert!(story.tick().is_empty());
    assert_eq!(story.join_rest(EVE).unwrap_err(), CallError::Ended);
    assert_eq!(story.handle(Command::Record(Vec::new())).unwrap_err(), CallError::Ended);
    let (before, after) =
        (serde_json::to_value(before).unwrap(), serde_json::to_value(story.call.view(story.now)).unwrap());
    assert_eq!(before, after);
}

#[test]
fn only_who_was_there_can_leave_and_only_their_own_leg() {
    let mut story = Story::begin();
    let phone = story.join(BOB, "phone");
    assert_eq!(story.leave(EVE).unwrap_err(), CallError::NotInCall);
    let foreign = Command::Leave { user: user(ADA), leg: Some(phone), reason: LegReason::Left };
    assert_eq!(story.handle(foreign).unwrap_err(), CallError::UnknownLeg);
    story.leave(BOB).unwrap();
    assert!(story.leave(BOB).unwrap().is_empty(), "leaving twice changes nothing");
}

#[test]
fn only_the_server_makes_a_call_fail() {
    let mut story = Story::begin();
    story.handle(Command::Fail { message: "the worker is gone".to_owned() }).unwrap();
    let view = story.call.view(story.now);
    assert_eq!((view.status, view.end_reason), (CallStatus::Failed, Some(Ending::Error)));
    assert_eq!(view.error_message.as_deref(), Some("the worker is gone"));
}

#[test]
fn metadata_merges_and_stays_small() {
    let mut story = Story::begin();
    let patch = |text: &str| Command::MergeMetadata(serde_json::from_str(text).unwrap());
    story.handle(patch(r#"{"title":"Standup","old":1}"#)).unwrap();
    story.handle(patch(r#"{"old":null}"#)).unwrap();
    assert!(story.handle(patch("{}")).unwrap().is_empty(), "nothing changed, nothing recorded");
    let huge = format!(r#"{{"x":"{}"}}"#, "y".repeat(16 * 1024));
    assert_eq!(story.handle(patch(&huge)).unwrap_err(), CallError::MetadataTooLarge { limit: 1024 });
    let metadata = serde_json::to_value(story.call.view(story.now).metadata).unwrap();
    assert_eq!(metadata, serde_json::json!({"title": "Standup"}));
    assert_eq!(story.call.stamp().seq, 3);
}

/// What a server finds when it starts again.
fn restart(story: &Story, now: DateTime<Utc>) -> (Call, Vec<Effect>) {
    let call = story.call.to_record();
    let legs = story.call.legs.values().map(|leg| leg.to_record(call.id)).collect();
    Call::restore(call, legs, RouterId(Uuid::from_u128(99)), RULES, now).unwrap()
}

#[test]
fn after_a_restart_legs_have_the_resume_window_to_come_back() {
    let mut story = Story::begin();
    let laptop = story.join(ADA, "laptop");
    let phone = story.join(BOB, "phone");
    let (seen, restarted) = (story.now, story.now + Duration::from_secs(20));
    let (mut call, effects) = restart(&story, restarted);
    assert_eq!((call.stamp().epoch, call.stamp().seq), (2, 4));
    assert_eq!(call.view(restarted).webrtc_room_id, Some(Uuid::from_u128(99)));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Announce(r) if r.event.kind() == "room-changed"))
    );
    assert_eq!(call.participants().len(), 2);

    let device = call.leg(laptop).unwrap().device.clone();
    call.handle(join(ADA, leg(50), device, None), &Actor::SERVER, restarted).unwrap();
    call.handle(Command::Tick, &Actor::SERVER, restarted + RESUME).unwrap();
    assert_eq!(call.participants(), [user(ADA)]);
    assert_eq!(
        call.leg(phone).unwrap().state,
        LegState::Ended { at: seen, reason: LegReason::ServerRestart }
    );
    assert!(!call.is_over());
}

#[test]
fn a_call_that_nobody_returns_to_ended_when_it_was_last_seen() {
    let mut story = Story::begin();
    story.join(ADA, "laptop");
    story.join(BOB, "phone");
    let seen = story.now;
    let restarted = seen + Duration::from_secs(600);
    let (mut call, _) = restart(&story, restarted);
    call.handle(Command::Tick, &Actor::SERVER, restarted + RESUME).unwrap();
    let view = call.view(restarted + RESUME);
    assert_eq!((view.status, view.end_reason), (CallStatus::Ended, Some(Ending::ServerRestart)));
    assert_eq!((view.ended_at, view.duration_seconds), (Some(seen), Some(0)));
}

#[test]
fn a_row_that_contradicts_itself_is_refused() {
    let record = Story::begin().call.to_record();
    for (status, what) in
        [(CallStatus::Active, "active but never started"), (CallStatus::Ended, "over but never ended")]
    {
        let corrupt = CallRecord { status, ..record.clone() };
        assert_eq!(Call::from_record(corrupt, RULES).unwrap_err().what, what);
    }
}

/// What may happen, in random order.
#[derive(Clone, Copy, Debug)]
enum Happening {
    JoinRest(u8),
    Join(u8, u8),
    Leave(u8),
    LeaveLeg(u8, u8),
    Lose(u8),
    Merge(u8),
    End,
    Wait(u16),
    Restart(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (1..5u8).prop_map(Happening::JoinRest),
        6 => (1..5u8, 0..3u8).prop_map(|(who, device)| Happening::Join(who, device)),
        3 => (1..5u8).prop_map(Happening::Leave),
        3 => (1..5u8, 0..20u8).prop_map(|(who, leg)| Happening::LeaveLeg(who, leg)),
        4 => (0..20u8).prop_map(Happening::Lose),
        1 => any::<u8>().prop_map(Happening::Merge),
        1 => Just(Happening::End),
        5 => (0..200u16).prop_map(Happening::Wait),
        1 => (0..60u8).prop_map(Happening::Restart),
    ]
}

impl Story {
    fn happen(&mut self, happening: Happening) {
        let new = self.next_leg();
        let command = match happening {
            Happening::JoinRest(who) => {
                Command::Join { leg: new, person: person(who), via: Via::Rest, privileged: false }
            }
            Happening::Join(who, device) => {
                let device = (device > 0).then(|| DeviceId::try_from(format!("device-{device}")).unwrap());
                join(who, new, device, None)
            }
            Happening::Leave(who) => Command::Leave { user: user(who), leg: None, reason: LegReason::Left },
            Happening::LeaveLeg(who, number) => {
                Command::Leave { user: user(who), leg: Some(leg(number.into())), reason: LegReason::Left }
            }
            Happening::Lose(number) => Command::ConnectionLost { leg: leg(number.into()) },
            Happening::Merge(value) => {
                Command::MergeMetadata(serde_json::from_value(serde_json::json!({ "value": value })).unwrap())
            }
            Happening::End => Command::End(Ending::Normal),
            Happening::Wait(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                Command::Tick
            }
            Happening::Restart(_) if self.call.is_over() => return,
            Happening::Restart(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                let (call, effects) = restart(self, self.now);
                self.call = call;
                self.note(&effects);
                return;
            }
        };
        let before = (self.call.stamp(), self.call.version, self.stored.len());
        if self.handle(command).is_err() {
            assert_eq!(before, (self.call.stamp(), self.call.version, self.stored.len()));
        }
    }

    /// What holds whatever has happened.
    fn check(&self) {
        let view = self.call.view(self.now);
        let participants: BTreeSet<_> = view.participants.iter().collect();
        assert_eq!(participants.len(), view.participants.len(), "nobody is listed twice");
        assert_eq!(
            self.call.is_over(),
            self.call.open_legs().next().is_none(),
            "running means somebody is there"
        );
        assert!(view.max_participants >= participants.len() as i64);
        assert_eq!(view.status.is_running(), view.ended_at.is_none());
        assert_eq!(view.end_reason.is_some(), view.ended_at.is_some());
        if let (Some(started), Some(ended)) = (view.started_at, view.ended_at) {
            assert_eq!(view.duration_seconds, Some((ended - started).num_seconds().max(0)));
        }
        let devices: Vec<_> =
            self.call.open_legs().filter_map(|l| Some((l.person.id, l.device.as_ref()?))).collect();
        assert_eq!(devices.iter().collect::<BTreeSet<_>>().len(), devices.len(), "one open leg per device");
        for leg in self.call.legs.values() {
            assert!(leg.left_at().is_none_or(|left| left >= leg.joined_at));
        }
        if let Some(deadline) = self.call.next_deadline() {
            let mut later = self.call.clone();
            let effects = later.handle(Command::Tick, &Actor::SERVER, deadline.max(self.now)).unwrap();
            assert!(!effects.is_empty(), "a deadline comes with something to do");
        }
    }

    /// The log alone tells who was there, how many at most, and how it ended.
    fn check_log(&self) {
        let numbers: Vec<i64> = self.recorded.iter().map(|recorded| recorded.stamp.seq).collect();
        assert_eq!(numbers, (1..=self.call.stamp().seq).collect::<Vec<_>>(), "one step per event, no gap");
        assert!(self.recorded.is_sorted_by_key(|recorded| recorded.stamp.epoch));
        let versions: Vec<i64> = self.stored.iter().map(|changes| changes.call.version).collect();
        assert_eq!(versions, (1..=self.call.version).collect::<Vec<_>>(), "every version is stored once");
        let stored: Vec<i64> =
            self.stored.iter().flat_map(|c| &c.events).map(|event| event.stamp.seq).collect();
        assert_eq!(stored, numbers, "what is told is what is stored");

        let mut here: HashMap<UserId, i64> = HashMap::from([(user(ADA), 1)]);
        let mut peak = 1;
        for recorded in &self.recorded {
            match &recorded.event {
                Event::LegJoined { person, participants, first, .. } => {
                    let legs = here.entry(person.id).or_default();
                    assert_eq!(*first, *legs == 0);
                    *legs += 1;
                    let present = here.values().filter(|legs| **legs > 0).count();
                    assert_eq!(participants.len(), present);
                    peak = peak.max(present);
                }
                Event::LegLeft { person, participants, last, .. } => {
                    let legs = here.get_mut(&person.id).unwrap();
                    *legs -= 1;
                    assert_eq!(*last, *legs == 0);
                    assert_eq!(participants.len(), here.values().filter(|legs| **legs > 0).count());
                }
                Event::CallEnded { .. } => here.clear(),
                Event::CallCreated
                | Event::CallStarted
                | Event::RoomChanged
                | Event::MetadataChanged
                | Event::LockChanged { .. }
                | Event::PermissionsChanged { .. }
                | Event::ProducerMuted { .. }
                | Event::Media(_) => {}
            }
        }
        let present: BTreeSet<_> =
            here.iter().filter(|(_, legs)| **legs > 0).map(|(user, _)| *user).collect();
        assert_eq!(present, self.call.participants().into_iter().collect());
        assert_eq!(self.call.max_participants(), peak as i64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_record_log_and_state_agree(happenings in prop::collection::vec(happening(), 1..60)) {
        let mut story = Story::begin();
        for happening in happenings {
            story.happen(happening);
            story.check();
        }
        story.check_log();
    }
}
