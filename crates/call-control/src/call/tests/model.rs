//! A second, simpler implementation of the rules, against which the state machine is checked.

use std::collections::{BTreeMap, BTreeSet};

use super::{histories::Happening, story::*};
use crate::{
    audit::Action,
    call::{Call, CallStatus, Ending, InvitationStatus, LegId, RecordingStatus},
};
use chrono::{DateTime, Utc};

pub(crate) struct Model {
    now: DateTime<Utc>,
    created: DateTime<Utc>,
    stays: Vec<Stay>,
    locked: bool,
    admitted: BTreeSet<u8>,
    removed: BTreeSet<u8>,
    peak: usize,
    /// For each user the milliseconds saved up for joins, and until when they were counted.
    savings: BTreeMap<u8, (u128, DateTime<Utc>)>,
    started: Option<DateTime<Utc>>,
    over: Option<(DateTime<Utc>, CallStatus, Ending)>,
    invited: BTreeMap<u8, Invited>,
    recording: Option<Tape>,
    /// Somebody wished, while it waited, that it be recorded.
    wished: bool,
    /// `recordingEnabled` in the metadata.
    flag: Option<bool>,
    /// The expected audit log, without changes of metadata.
    logged: Vec<Action>,
}

/// Somebody who was rung.
struct Invited {
    status: InvitationStatus,
    rung: DateTime<Utc>,
    ended: DateTime<Utc>,
    times: u32,
}

/// A running recording.
struct Tape {
    since: DateTime<Utc>,
    ask: bool,
    paused: bool,
    answers: BTreeMap<u32, bool>,
}

/// One device's stay: a leg.
struct Stay {
    number: u32,
    who: u8,
    device: u8,
    /// The number of the join that issued the resume token.
    token: Option<u32>,
    joined: DateTime<Utc>,
    seen: DateTime<Utc>,
    at: Whereabouts,
}

#[derive(Clone, Copy, PartialEq)]
enum Whereabouts {
    /// Joined over REST; no device has claimed it.
    Unclaimed,
    Here,
    Away {
        since: DateTime<Utc>,
        restarted: bool,
    },
    Gone {
        at: DateTime<Utc>,
    },
}

impl Model {
    pub(crate) fn begin(now: DateTime<Utc>) -> Self {
        let mut model = Self {
            now,
            created: now,
            stays: Vec::new(),
            locked: false,
            admitted: BTreeSet::new(),
            removed: BTreeSet::new(),
            peak: 1,
            savings: BTreeMap::new(),
            started: None,
            over: None,
            invited: BTreeMap::new(),
            recording: None,
            wished: false,
            flag: None,
            logged: vec![Action::CallStarted],
        };
        model.enter(0, ADA, 0, None, Whereabouts::Unclaimed);
        model.logged.pop();
        RUNG.iter().for_each(|(who, _)| model.call_in(*who));
        model
    }

    /// Applies an input; returns whether it is allowed. `new` is the number of a leg that it opens.
    pub(crate) fn happen(&mut self, happening: Happening, new: u32) -> bool {
        match happening {
            Happening::JoinRest(who) => return self.join_rest(who, new),
            Happening::Join { who, device, resume } => return self.join(who, device, resume, new),
            Happening::Leave(who) => return self.leave(who, None, Action::CallLeft),
            Happening::LeaveLeg(who, number) => {
                return self.leave(who, Some(number.into()), Action::CallLeft);
            }
            Happening::Remove(who) => {
                if self.over.is_some() || !self.is_in(who) {
                    return false;
                }
                self.removed.insert(who);
                self.admitted.remove(&who);
                return self.leave(who, None, Action::ParticipantRemoved);
            }
            Happening::Lock(locked) => {
                if self.over.is_some() {
                    return false;
                }
                if self.locked != locked {
                    self.locked = locked;
                    self.logged.push(if locked { Action::CallLocked } else { Action::CallUnlocked });
                }
            }
            Happening::Ring(who) => return self.ring(who),
            Happening::Decline(who) => return self.decline(who),
            Happening::Admit(who) => {
                if self.over.is_some() {
                    return false;
                }
                self.removed.remove(&who);
                if self.admitted.insert(who) {
                    self.logged.push(Action::PermissionsChanged);
                }
            }
            Happening::Lose(number) => {
                let now = self.now;
                if let Some(stay) = self.stays.iter_mut().find(|stay| stay.number == u32::from(number))
                    && stay.at == Whereabouts::Here
                {
                    (stay.seen, stay.at) = (now, Whereabouts::Away { since: now, restarted: false });
                }
            }
            Happening::Merge(_) => {}
            Happening::Wish(true) => match (self.over, self.started, &self.recording) {
                (Some(_), _, _) => return false,
                (None, Some(_), None) => self.record(false),
                (None, None, None) => (self.wished, self.flag) = (true, Some(true)),
                (None, _, Some(_)) => {}
            },
            Happening::Wish(false) => {
                self.stop_recording();
                (self.wished, self.flag) = (false, Some(false));
            }
            Happening::Record(ask) => {
                if self.over.is_some() || self.recording.is_some() {
                    return false;
                }
                self.record(ask);
            }
            Happening::PauseRecording(paused) => match &mut self.recording {
                Some(tape) => tape.paused = paused,
                None => return false,
            },
            Happening::StopRecording => self.stop_recording(),
            Happening::Consent(number, accept) => {
                let is_here = self.open().any(|stay| stay.number == u32::from(number));
                match &mut self.recording {
                    Some(tape) if is_here && tape.ask => tape.answers.insert(number.into(), accept),
                    Some(_) | None => return false,
                };
            }
            Happening::End => self.conclude(self.now, Ending::Normal),
            Happening::Wait(seconds) => self.wait(seconds),
            Happening::Restart(seconds) => self.restart(seconds),
        }
        true
    }

    /// Checks that the state machine has the state of the model.
    pub(crate) fn check(&self, call: &Call) {
        let view = call.view(self.now);
        let here: BTreeSet<_> = self.present().into_iter().map(user).collect();
        assert_eq!(view.participants.iter().copied().collect::<BTreeSet<_>>(), here);
        let open: BTreeSet<LegId> = self.open().map(|stay| leg(stay.number)).collect();
        assert_eq!(call.open_legs().map(|leg| leg.id).collect::<BTreeSet<_>>(), open);
        let status = match (self.over, self.started) {
            (Some((_, status, _)), _) => status,
            (None, Some(_)) => CallStatus::Active,
            (None, None) => CallStatus::Waiting,
        };
        assert_eq!(view.status, status);
        assert_eq!(view.max_participants, self.peak as i64);
        assert_eq!((view.started_at, view.locked), (self.started, self.locked));
        let invited: Vec<_> = self.invited.iter().map(|(who, told)| (user(*who), told.status)).collect();
        assert_eq!(call.invitations().collect::<Vec<_>>(), invited);
        let told = view.recording.as_ref();
        assert_eq!(told.map(|told| told.started_at), self.recording.as_ref().map(|tape| tape.since));
        if let (Some(told), Some(tape)) = (told, &self.recording) {
            assert_eq!(told.status == RecordingStatus::Paused, tape.paused);
            let is_open = |number: u32| self.open().any(|stay| stay.number == number);
            let here = tape.answers.iter().filter(|(number, _)| is_open(**number));
            assert_eq!(told.answers, here.map(|(number, accept)| (leg(*number), *accept)).collect());
        }
        let metadata = serde_json::to_value(&view.metadata).unwrap();
        assert_eq!(metadata.get("recordingEnabled").and_then(serde_json::Value::as_bool), self.flag);
        assert_eq!(call.due_wish().is_some(), self.wished && self.started.is_some() && self.over.is_none());
        assert_eq!(view.ended_at, self.over.map(|(at, _, _)| at));
        assert_eq!(view.end_reason, self.over.map(|(_, _, ending)| ending));
    }

    pub(crate) fn check_audit(&self, mut told: Vec<Action>) {
        told.retain(|action| *action != Action::MetadataChanged);
        let sorted = |mut actions: Vec<Action>| {
            actions.sort_by_key(|action| format!("{action:?}"));
            actions
        };
        assert_eq!(sorted(told), sorted(self.logged.clone()));
    }

    fn join_rest(&mut self, who: u8, new: u32) -> bool {
        if !self.may_come(who) {
            return false;
        }
        if !self.is_in(who) {
            if !self.pay(who) {
                return false;
            }
            self.enter(new, who, 0, None, Whereabouts::Unclaimed);
        }
        self.start(who);
        true
    }

    fn join(&mut self, who: u8, device: u8, resume: Option<u8>, new: u32) -> bool {
        if !self.may_come(who) {
            return false;
        }
        let now = self.now;
        let token = resume.map(u32::from);
        let held =
            |stay: &&mut Stay| stay.is_open() && stay.who == who && token.is_some() && stay.token == token;
        let unclaimed = |stay: &&mut Stay| stay.who == who && stay.at == Whereabouts::Unclaimed;
        let number = if let Some(stay) = self.stays.iter_mut().find(held) {
            (stay.token, stay.seen, stay.at) = (Some(new), now, Whereabouts::Here);
            stay.number
        } else if let Some(stay) = self.stays.iter_mut().find(unclaimed) {
            (stay.token, stay.seen, stay.at) = (Some(new), now, Whereabouts::Here);
            stay.device = device;
            stay.number
        } else {
            if !self.pay(who) {
                return false;
            }
            self.enter(new, who, device, Some(new), Whereabouts::Here);
            new
        };
        self.start(who);
        let device = self.stays.iter().find(|stay| stay.number == number).map_or(0, |stay| stay.device);
        for stay in &mut self.stays {
            let same = device != 0 && stay.device == device && stay.who == who && stay.number != number;
            if same && stay.is_open() {
                stay.go(now);
                self.logged.push(Action::CallLeft);
            }
        }
        true
    }

    fn leave(&mut self, who: u8, only: Option<u32>, action: Action) -> bool {
        let theirs = |stay: &&Stay| stay.who == who && only.is_none_or(|only| stay.number == only);
        let remembered = |stay: &Stay| match stay.at {
            Whereabouts::Gone { at } => only.is_none() || at + RESUME > self.now,
            Whereabouts::Unclaimed | Whereabouts::Here | Whereabouts::Away { .. } => true,
        };
        if !self.stays.iter().any(|stay| theirs(&stay) && remembered(stay)) {
            return false;
        }
        let leaving: Vec<u32> =
            self.stays.iter().filter(theirs).filter(|stay| stay.is_open()).map(|stay| stay.number).collect();
        for stay in self.stays.iter_mut().filter(|stay| leaving.contains(&stay.number)) {
            stay.go(self.now);
            self.logged.push(action);
        }
        if self.present().is_empty() {
            self.conclude(self.now, Ending::LastLeft);
        }
        true
    }

    fn wait(&mut self, seconds: u16) {
        let seconds = std::time::Duration::from_secs(seconds.into());
        self.now += seconds;
        let now = self.now;
        let mut expired: Vec<(DateTime<Utc>, u32, bool)> = Vec::new();
        for stay in &self.stays {
            match stay.at {
                Whereabouts::Unclaimed if stay.joined + UNATTACHED <= now => {
                    expired.push((now, stay.number, false));
                }
                Whereabouts::Away { since, restarted } if since + RESUME <= now => {
                    expired.push((if restarted { stay.seen } else { now }, stay.number, restarted));
                }
                Whereabouts::Unclaimed
                | Whereabouts::Here
                | Whereabouts::Away { .. }
                | Whereabouts::Gone { .. } => {}
            }
        }
        expired.sort_unstable();
        for (at, number, _) in &expired {
            for stay in self.stays.iter_mut().filter(|stay| stay.number == *number) {
                stay.go(*at);
                self.logged.push(Action::CallLeft);
            }
        }
        let last_restarted = expired.last().is_some_and(|(_, _, restarted)| *restarted);
        if self.present().is_empty() && last_restarted {
            let gone = |stay: &Stay| if let Whereabouts::Gone { at } = stay.at { Some(at) } else { None };
            let last = self.stays.iter().filter_map(gone).max().unwrap_or(now);
            self.conclude(last, Ending::ServerRestart);
        } else if self.present().is_empty() {
            self.conclude(now, Ending::LastLeft);
        } else if self.started.is_none() && self.created + RING <= now {
            self.conclude(now, Ending::Timeout);
        }
        let unanswered: Vec<u8> =
            self.invited.iter().filter(|(_, told)| told.rung + RING <= now).map(|(who, _)| *who).collect();
        unanswered.into_iter().for_each(|who| self.hush(who, InvitationStatus::Missed));
        if self.recording.as_ref().is_some_and(|tape| tape.since + MAX_RECORDING <= now) {
            self.stop_recording();
        }
    }

    fn ring(&mut self, who: u8) -> bool {
        let is_kept_out = self.removed.contains(&who) || self.locked && !self.admitted.contains(&who);
        if self.over.is_some() {
            return false;
        }
        if self.is_in(who) {
            return true;
        }
        if is_kept_out {
            return false;
        }
        if let Some(told) = self.invited.get(&who).filter(|told| told.status != InvitationStatus::Ringing)
            && (told.times == 10 || told.ended + std::time::Duration::from_secs(10) > self.now)
        {
            return false;
        }
        if !self.is_rung(who) {
            self.call_in(who);
        }
        true
    }

    fn call_in(&mut self, who: u8) {
        let times = self.invited.get(&who).map_or(0, |told| told.times) + 1;
        let status = InvitationStatus::Ringing;
        self.invited.insert(who, Invited { status, rung: self.now, ended: self.now, times });
    }

    fn decline(&mut self, who: u8) -> bool {
        if self.invited.get(&who).is_some_and(|told| told.status == InvitationStatus::Declined) {
            return true;
        }
        if self.over.is_some() || !self.is_rung(who) {
            return false;
        }
        self.hush(who, InvitationStatus::Declined);
        if self.started.is_none()
            && self.invited.values().all(|told| told.status == InvitationStatus::Declined)
        {
            self.conclude(self.now, Ending::Declined);
        }
        true
    }

    fn is_rung(&self, who: u8) -> bool {
        self.invited.get(&who).is_some_and(|told| told.status == InvitationStatus::Ringing)
    }

    /// Ends the ring of somebody who is being rung.
    fn hush(&mut self, who: u8, status: InvitationStatus) {
        let now = self.now;
        if let Some(told) = self.invited.get_mut(&who).filter(|told| told.status == InvitationStatus::Ringing)
        {
            (told.status, told.ended) = (status, now);
        }
    }

    fn record(&mut self, ask: bool) {
        self.recording = Some(Tape { since: self.now, ask, paused: false, answers: BTreeMap::new() });
        (self.wished, self.flag) = (false, Some(true));
        self.logged.push(Action::RecordingStarted);
    }

    fn stop_recording(&mut self) {
        if self.recording.take().is_some() {
            self.flag = Some(false);
            self.logged.push(Action::RecordingStopped);
        }
    }

    fn restart(&mut self, seconds: u8) {
        self.recording.iter_mut().for_each(|tape| tape.answers.clear());
        if self.over.is_some() {
            return;
        }
        self.now += std::time::Duration::from_secs(seconds.into());
        self.savings.clear();
        for stay in &mut self.stays {
            if matches!(stay.at, Whereabouts::Here | Whereabouts::Away { .. }) {
                stay.at = Whereabouts::Away { since: self.now, restarted: true };
            }
        }
    }

    fn conclude(&mut self, at: DateTime<Utc>, ending: Ending) {
        if self.over.is_some() {
            return;
        }
        self.stop_recording();
        if self.wished {
            (self.wished, self.flag) = (false, Some(false));
        }
        let status = if self.started.is_some() { CallStatus::Ended } else { CallStatus::Cancelled };
        self.over = Some((at, status, ending));
        let how =
            if ending == Ending::Timeout { InvitationStatus::Missed } else { InvitationStatus::Cancelled };
        (1..6).for_each(|who| self.hush(who, how));
        self.stays.iter_mut().filter(|stay| stay.is_open()).for_each(|stay| stay.go(at));
        self.logged.push(Action::CallEnded);
    }

    /// Pays for a join, if enough is saved up.
    fn pay(&mut self, who: u8) -> bool {
        let price = JOINS.refill.as_millis();
        let most = price * u128::from(JOINS.burst);
        let now = self.now;
        let (saved, counted) = self.savings.entry(who).or_insert((most, now));
        *saved = most.min(*saved + (now - *counted).to_std().unwrap().as_millis());
        *counted = now;
        let enough = *saved >= price;
        if enough {
            *saved -= price;
        }
        enough
    }

    fn enter(&mut self, number: u32, who: u8, device: u8, token: Option<u32>, at: Whereabouts) {
        let now = self.now;
        self.stays.push(Stay { number, who, device, token, joined: now, seen: now, at });
        self.peak = self.peak.max(self.present().len());
        if let Some(told) = self.invited.get_mut(&who) {
            told.ended = if told.status == InvitationStatus::Answered { told.ended } else { now };
            told.status = InvitationStatus::Answered;
        }
        self.logged.push(Action::CallJoined);
    }

    fn start(&mut self, who: u8) {
        if who != ADA {
            self.started.get_or_insert(self.now);
        }
    }

    fn may_come(&self, who: u8) -> bool {
        let let_in = !self.removed.contains(&who)
            && (!self.locked || self.admitted.contains(&who))
            && self.present().len() < RULES.max_participants;
        self.over.is_none() && (self.is_in(who) || let_in)
    }

    fn is_in(&self, who: u8) -> bool {
        self.open().any(|stay| stay.who == who)
    }

    fn open(&self) -> impl Iterator<Item = &Stay> {
        self.stays.iter().filter(|stay| stay.is_open())
    }

    fn present(&self) -> BTreeSet<u8> {
        self.open().map(|stay| stay.who).collect()
    }
}

impl Stay {
    fn is_open(&self) -> bool {
        !matches!(self.at, Whereabouts::Gone { .. })
    }

    fn go(&mut self, at: DateTime<Utc>) {
        (self.token, self.at) = (None, Whereabouts::Gone { at });
    }
}
