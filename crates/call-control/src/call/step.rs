//! What one command changes, and the effects of it in their order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{
    Attachment, Call, Changed, Changes, Effect, Event, Head, LegReason, LegRecord, Metadata, RecordingRow,
    RingEnd, Undo,
};
use crate::{
    actor::{Actor, Person},
    ids::{LegId, UserId},
};

/// When the recorder follows a change of the recording: it stops before this is announced, and starts after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    BeforeTelling,
    AfterTelling,
}

/// Collects the changes of one command.
pub(super) struct Step {
    pub(super) by: Actor,
    pub(super) now: DateTime<Utc>,
    /// The open legs whose rows changed.
    legs: BTreeSet<LegId>,
    /// The rows of the legs that ended.
    pub(super) last_rows: Vec<LegRecord>,
    events: Vec<Event>,
    pub(super) attached: Option<(LegId, Attachment)>,
    pub(super) restricted: Option<UserId>,
    pub(super) ended: Vec<(LegId, LegReason)>,
    /// The people whose invitations changed.
    invitations: BTreeSet<UserId>,
    ringing: BTreeSet<UserId>,
    silenced: BTreeMap<UserId, RingEnd>,
    recording: Option<RecordingRow>,
    follow: Option<Follow>,
    pub(super) undo: Undo,
}

impl Step {
    /// Starts a command on a call with this head.
    pub(super) fn new(by: &Actor, now: DateTime<Utc>, head: &Head) -> Self {
        Self {
            by: by.clone(),
            now,
            legs: BTreeSet::new(),
            last_rows: Vec::new(),
            events: Vec::new(),
            attached: None,
            restricted: None,
            ended: Vec::new(),
            invitations: BTreeSet::new(),
            ringing: BTreeSet::new(),
            silenced: BTreeMap::new(),
            recording: None,
            follow: None,
            undo: Undo { head: head.clone(), roster: Changed::default() },
        }
    }

    pub(super) fn into_undo(self) -> Undo {
        self.undo
    }

    /// Marks the leg's row as changed.
    pub(super) fn touch(&mut self, leg: LegId) {
        self.legs.insert(leg);
    }

    /// The row of the person's invitation has changed.
    pub(super) fn note_invitation(&mut self, user: UserId) {
        self.invitations.insert(user);
    }

    /// The person's devices begin to ring.
    pub(super) fn ring(&mut self, user: UserId) {
        self.ringing.insert(user);
    }

    pub(super) fn stop_ringing(&mut self, user: UserId, end: RingEnd) {
        self.ringing.remove(&user);
        self.silenced.insert(user, end);
    }

    pub(super) fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(super) const fn by(&self) -> Option<UserId> {
        self.by.user_id()
    }

    pub(super) fn person(&self) -> Option<Person> {
        self.by.person().ok().cloned()
    }

    pub(super) const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The metadata before the command.
    pub(super) fn first_metadata(&self) -> Arc<Metadata> {
        Arc::clone(&self.undo.head.metadata)
    }

    /// The recorder has to follow. Whatever has to stop before it is announced decides.
    pub(super) fn follow(&mut self, when: Follow) {
        match self.follow {
            Some(Follow::BeforeTelling) => {}
            Some(Follow::AfterTelling) | None => self.follow = Some(when),
        }
    }

    /// The row of the recording has changed.
    pub(super) fn note_recording(&mut self, row: RecordingRow, when: Follow) {
        self.recording = Some(row);
        self.follow(when);
    }

    /// Numbers the events and returns the effects in their order.
    pub(super) fn finish(self, call: &mut Call) -> Vec<Effect> {
        let mut effects = Vec::new();
        let recording = self.recording;
        let ended = recording.as_ref().and_then(|row| row.end_reason.map(|end| (row.id, end)));
        // A pause and a "no" do not wait for the database.
        let stops_at_once = self.follow == Some(Follow::BeforeTelling) && ended.is_none();
        effects.extend(stops_at_once.then_some(Effect::FollowRecording { ended: None }));
        let events: Vec<_> = self.events.into_iter().map(|event| call.number(event, self.now)).collect();
        let is_changed = !self.legs.is_empty() || !self.last_rows.is_empty() || !self.invitations.is_empty();
        if is_changed || !events.is_empty() {
            let follows = call.head.version;
            call.head.version += 1;
            let open = self.legs.iter().filter_map(|id| call.leg(*id));
            let open = open.map(|leg| leg.to_record(call.origin.id));
            let changes = Changes {
                call: call.to_record(),
                follows,
                legs: open.chain(self.last_rows).collect(),
                recordings: recording.into_iter().collect(),
                invitations: call.invitation_rows(&self.invitations),
                events: events.clone(),
                by: self.by,
                receipt: None,
            };
            effects.push(Effect::Store(Box::new(changes)));
        }
        call.undo = Some(self.undo);
        effects.extend(self.attached.map(|(leg, how)| Effect::Attach(leg, how)));
        effects.extend(self.restricted.map(Effect::Restrict));
        effects.extend(self.ended.iter().map(|(leg, _)| Effect::CloseLeg(*leg)));
        let follow =
            |when| (self.follow == Some(when) && !stops_at_once).then_some(Effect::FollowRecording { ended });
        effects.extend(follow(Follow::BeforeTelling));
        effects.extend(events.into_iter().map(Effect::Announce));
        effects.extend(self.silenced.into_iter().map(|(user, end)| Effect::StopRinging(user, end)));
        effects.extend((!self.ringing.is_empty()).then_some(Effect::Ring(self.ringing)));
        effects.extend(follow(Follow::AfterTelling));
        for (leg, reason) in self.ended {
            if reason == LegReason::Replaced {
                effects.push(Effect::Replaced(leg));
            }
            effects.push(Effect::Detach(leg));
        }
        effects
    }
}
