//! Random histories, checked against the model and the invariants.

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::{super::*, model::Model, story::*};
use crate::ids::DeviceId;

/// The inputs, in random order. Numbers stand for users, devices and legs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    JoinRest(u8),
    Join {
        who: u8,
        /// 0: no device id.
        device: u8,
        /// The number of the join whose resume token is used.
        resume: Option<u8>,
    },
    Leave(u8),
    LeaveLeg(u8, u8),
    Remove(u8),
    Admit(u8),
    Lock(bool),
    Ring(u8),
    Decline(u8),
    Lose(u8),
    Merge(u8),
    /// `recordingEnabled` in the metadata.
    Wish(bool),
    /// `ask`.
    Record(bool),
    PauseRecording(bool),
    StopRecording,
    Consent(u8, bool),
    End,
    Wait(u16),
    Restart(u8),
}

pub(crate) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let who = || 1..6u8;
    let happening = prop_oneof![
        3 => who().prop_map(Happening::JoinRest),
        8 => (who(), 0..3u8, prop::option::of(0..20u8))
            .prop_map(|(who, device, resume)| Happening::Join { who, device, resume }),
        3 => who().prop_map(Happening::Leave),
        3 => (who(), 0..20u8).prop_map(|(who, leg)| Happening::LeaveLeg(who, leg)),
        1 => who().prop_map(Happening::Remove),
        1 => who().prop_map(Happening::Admit),
        1 => any::<bool>().prop_map(Happening::Lock),
        3 => who().prop_map(Happening::Ring),
        3 => who().prop_map(Happening::Decline),
        4 => (0..20u8).prop_map(Happening::Lose),
        1 => any::<u8>().prop_map(Happening::Merge),
        1 => any::<bool>().prop_map(Happening::Wish),
        2 => any::<bool>().prop_map(Happening::Record),
        1 => any::<bool>().prop_map(Happening::PauseRecording),
        1 => Just(Happening::StopRecording),
        3 => (0..20u8, any::<bool>()).prop_map(|(leg, accept)| Happening::Consent(leg, accept)),
        1 => Just(Happening::End),
        5 => (0..200u16).prop_map(Happening::Wait),
        1 => (0..60u8).prop_map(Happening::Restart),
    ];
    prop::collection::vec(happening, 1..60)
}

impl Story {
    /// Applies an input to the call and to the model.
    pub(crate) fn happen(&mut self, happening: Happening, model: &mut Model) {
        let new = self.next_leg();
        let allowed = model.happen(happening, self.legs);
        let before = (self.call.stamp(), self.call.head.version, self.stored.len());
        match self.attempt(happening, new) {
            Ok(_) => assert!(allowed, "{happening:?} is against the rules"),
            Err(error) => {
                assert!(!allowed, "{happening:?} is refused: {error}");
                assert_eq!(before, (self.call.stamp(), self.call.head.version, self.stored.len()));
            }
        }
        self.check();
        model.check(&self.call);
    }

    fn attempt(&mut self, happening: Happening, new: LegId) -> Result<Vec<Effect>, CallError> {
        let command = match happening {
            Happening::JoinRest(who) => {
                Command::Join { leg: new, person: person(who), via: Via::Rest, privileged: false }
            }
            Happening::Join { who, device, resume } => {
                let device = (device > 0).then(|| DeviceId::try_from(format!("device-{device}")).unwrap());
                join(who, new, device, resume.map(|number| token(leg(number.into()))))
            }
            Happening::Leave(who) => Command::Leave { user: user(who), leg: None, reason: LegReason::Left },
            Happening::LeaveLeg(who, number) => {
                Command::Leave { user: user(who), leg: Some(leg(number.into())), reason: LegReason::Left }
            }
            Happening::Remove(who) => Command::Remove { user: user(who) },
            Happening::Admit(who) => {
                let change = StandingChange { admitted: Some(true), ..StandingChange::default() };
                Command::Permit { user: user(who), change }
            }
            Happening::Lock(locked) => Command::Lock(locked),
            Happening::Ring(who) => Command::Ring(vec![invitee(&(who, false))]),
            Happening::Decline(who) => Command::Decline { user: user(who) },
            Happening::Lose(number) => Command::ConnectionLost { leg: leg(number.into()) },
            Happening::Merge(value) => self.patch(serde_json::json!({ "value": value })),
            Happening::Wish(enabled) => self.patch(serde_json::json!({ "recordingEnabled": enabled })),
            Happening::Record(ask) => {
                let consent = if ask { Consent::Ask } else { Consent::Notice };
                let new = NewRecording { consent, ..self.new_recording() };
                Command::StartRecording { new, started_by: None }
            }
            Happening::PauseRecording(paused) => Command::PauseRecording { only: None, paused },
            Happening::StopRecording => Command::StopRecording { only: None, end: RecordingEnd::Stopped },
            Happening::Consent(number, accept) => Command::Consent { leg: leg(number.into()), accept },
            Happening::End => Command::End(Ending::Normal),
            Happening::Wait(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                Command::Tick
            }
            Happening::Restart(_) if self.call.is_over() => return Ok(Vec::new()),
            Happening::Restart(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                let (call, effects) = restart(self, self.now);
                self.call = call;
                self.note(&effects);
                return Ok(effects);
            }
        };
        self.handle(command)
    }

    /// Checks the invariants.
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
        for leg in self.rows().values() {
            assert!(leg.left_at.is_none_or(|left| left >= leg.joined_at));
            assert_eq!(leg.left_at.is_none(), self.call.leg(leg.id).is_some(), "memory holds the open legs");
        }
        let stored = self.invitations();
        assert_eq!(
            stored.iter().map(|(user, row)| (*user, row.status)).collect::<Vec<_>>(),
            self.call.invitations().collect::<Vec<_>>(),
            "the database has every invitation as it is"
        );
        assert!(
            stored.values().all(|row| (row.status == InvitationStatus::Ringing) == row.ended_at.is_none())
        );
        assert!(!self.call.is_over() || self.call.ringing().next().is_none(), "no ring outlasts its call");
        assert!(view.recording.is_none() || view.status.is_running(), "no recording outlasts its call");
        let rows = self.recordings();
        let running: Vec<_> = rows.values().filter(|row| row.status.is_running()).map(|row| row.id).collect();
        assert_eq!(running, Vec::from_iter(view.recording.as_ref().map(|recording| recording.id)));
        if let Some(recording) = &view.recording {
            assert!(
                recording.answers.keys().all(|leg| self.call.leg(*leg).is_some()),
                "who left has no answer"
            );
        }
        if let Some(deadline) = self.call.next_deadline() {
            let mut later = self.call.clone();
            let effects = later.handle(Command::Tick, &Actor::SERVER, deadline.max(self.now)).unwrap();
            assert!(!effects.is_empty(), "a deadline comes with something to do");
        }
    }

    /// Checks that the log alone gives the participants, their maximum number, and the end of the call.
    fn check_log(&self) {
        let numbers: Vec<i64> = self.recorded.iter().map(|recorded| recorded.stamp.seq).collect();
        assert_eq!(numbers, (1..=self.call.stamp().seq).collect::<Vec<_>>(), "one step per event, no gap");
        assert!(self.recorded.is_sorted_by_key(|recorded| recorded.stamp.epoch));
        let versions: Vec<i64> = self.stored.iter().map(|changes| changes.call.version).collect();
        assert_eq!(
            versions,
            (1..=self.call.head.version).collect::<Vec<_>>(),
            "every version is stored once"
        );
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
                Event::CallCreated { .. }
                | Event::Invited { .. }
                | Event::InvitationsEnded { .. }
                | Event::CallStarted
                | Event::RoomChanged
                | Event::MetadataChanged
                | Event::LockChanged { .. }
                | Event::PermissionsChanged { .. }
                | Event::ProducerMuted { .. }
                | Event::RecordingStarted { .. }
                | Event::RecordingPaused { .. }
                | Event::RecordingStopped { .. }
                | Event::RecordingConsent { .. }
                | Event::RecordingFailed { .. }
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
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_call_does_what_the_model_says(happenings in happenings()) {
        let mut story = Story::ringing(&RUNG);
        let mut model = Model::begin(story.now);
        for happening in happenings {
            story.happen(happening, &mut model);
        }
        story.check_log();
        let audited = story.stored.iter().flat_map(Changes::audit_entries).map(|entry| entry.action);
        model.check_audit(audited.collect());
    }
}
