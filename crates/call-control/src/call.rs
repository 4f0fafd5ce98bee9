//! One call as a pure state machine: it takes commands with their time, and returns effects to perform.
//!
//! It does no I/O, reads no clock and draws no ids, so that each rule of a call's life can be tested by
//! itself.
//!
//! The rules:
//! 1. A new call is waiting, with its creator in it. The first join of another user makes it active; without
//!    one it is cancelled after the ring time.
//! 2. A join over REST opens an unattached leg. The user's next device claims it, or it ends after a time
//!    limit. A leave over REST ends all legs of the user. Others are notified of a user's first and last leg
//!    only.
//! 3. A leg whose connection is lost counts as open for the resume window.
//! 4. When the last leg ends, an active call ends and a waiting call is cancelled. Only the server makes a
//!    call fail. Ending a call that has ended changes nothing.
//! 5. When a device joins again, its new leg opens before its old leg is closed.
//! 6. After a restart of the server legs have one resume window to be resumed. The end of a leg that is not
//!    resumed is the time when it was last seen.
//! 7. A call that runs longer than the maximum age is ended by [`crate::calls::Calls::cleanup_stale`].
//! 8. A new call rings the other members of its group. A ring ends when the person joins or declines, after the ring
//!    time, or with the call. A waiting call that everybody declined is cancelled.

mod budget;
mod command;
mod effect;
mod error;
mod invitation;
mod leg;
mod metadata;
mod moderation;
mod producer;
mod record;
mod recording;
mod roster;
mod source;
mod stamp;
mod status;
mod step;
mod transition;
mod view;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use switchyard_media_worker::media::RouterId;

pub use budget::JoinRate;
pub use command::{Command, Via};
pub use effect::{Changes, Effect, Event, Receipt, RecordedEvent};
pub use error::CallError;
pub(crate) use invitation::MAX_INVITATIONS;
pub use invitation::{InvitationRow, InvitationStatus, Invitee, RingEnd, Ringing};
pub use leg::{Attachment, Leg, LegReason, LegState, Loss, ResumeHash};
pub use metadata::{Flag, InvalidMetadata, Metadata, RecordingKeys};
pub use moderation::{Admission, Moderation, Permissions, Standing, StandingChange};
pub use producer::{DataProducerView, MediaChange, ProducerRef, ProducerView};
pub use record::{CallRecord, CorruptRecord, LegRecord, LegView};
pub use recording::{
    Answer, CallRecordingView, Consent, FileKind, FilePlace, FileRow, NewRecording, Recording, RecordingEnd,
    RecordingLayer, RecordingMode, RecordingRow, RecordingStatus, Running, Span, TrackNote, TrackRow,
    TrackTimes,
};
pub use roster::CallRows;
pub use source::{AppData, Source};
pub use stamp::Stamp;
pub use status::{CallStatus, CallType, EndReason, Ending};
pub use view::CallView;

use invitation::Invitations;
use roster::{Changed, Roster};

use crate::{
    actor::{Actor, Person},
    ids::{CallId, GroupId, LegId, UserId},
};

/// One live call. Create it with [`Call::create`] or [`Call::restore`], change it with [`Call::handle`].
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    origin: Origin,
    rules: Rules,
    head: Head,
    roster: Roster,
    undo: Option<Undo>,
}

/// The properties of a call that change, apart from its legs. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
struct Head {
    state: State,
    room: Option<RouterId>,
    metadata: Arc<Metadata>,
    moderation: Arc<Moderation>,
    invitations: Arc<Invitations>,
    recording: Arc<Recording>,
    max_participants: i64,
    /// When the last leg to end ended.
    last_left_at: Option<DateTime<Utc>>,
    stamp: Stamp,
    /// Number of stored changes. The database refuses a change unless it holds the version before.
    version: i64,
    updated_at: DateTime<Utc>,
}

/// What the last command changed: its size is that of the change, not that of the call.
#[derive(Clone, Debug, PartialEq)]
struct Undo {
    head: Head,
    roster: Changed,
}

/// What a new call begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub creator: Person,
    /// The id of the creator's leg.
    pub leg: LegId,
    pub room: RouterId,
    pub metadata: Metadata,
    /// The people to ring.
    pub invitees: Vec<Invitee>,
}

/// The properties of a call that never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub id: CallId,
    pub group_id: GroupId,
    pub initiated_by: UserId,
    pub call_type: CallType,
    pub created_at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Rule 1: no user but the creator has joined.
    Waiting,
    Active {
        started_at: DateTime<Utc>,
    },
    Over(Over),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    pub outcome: Outcome,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: DateTime<Utc>,
    pub ending: Ending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ended,
    /// It ended before a user other than the creator joined.
    Cancelled,
    Failed {
        message: String,
    },
}

/// Time limits and size limits of a call. `None` switches a timer off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Time from the creation within which another user has to join, and how long each person is rung (a minute, if
    /// calls may wait for ever).
    pub ring: Option<Duration>,
    /// Time from a join over REST within which a device has to claim the leg.
    pub unattached: Option<Duration>,
    /// How long a leg stays open after its connection was lost.
    pub resume_window: Duration,
    /// Maximum number of users in the call at a time.
    pub max_participants: usize,
    /// Maximum length of the metadata's JSON text, in bytes.
    pub max_metadata_bytes: usize,
    /// How often one user may join; `None` means any number of times.
    pub joins: Option<JoinRate>,
    /// Maximum duration of a recording.
    pub max_recording: Duration,
}

impl Rules {
    /// Legs that ended at or before this time are forgotten.
    #[must_use]
    pub fn forgotten_until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        TimeDelta::from_std(self.resume_window)
            .ok()
            .and_then(|window| now.checked_sub_signed(window))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ring: Some(Duration::from_secs(60)),
            unattached: Some(Duration::from_secs(300)),
            resume_window: Duration::from_secs(30),
            max_participants: 500,
            max_metadata_bytes: 16 * 1024,
            joins: Some(JoinRate { burst: 20, refill: Duration::from_secs(3) }),
            max_recording: Duration::from_secs(24 * 3600),
        }
    }
}

impl Call {
    /// Rules 1 and 8: creates a waiting call, and rings these people; its creator has one unattached leg.
    pub fn create(origin: Origin, first: Beginning, rules: Rules, by: &Actor) -> (Self, Vec<Effect>) {
        let Beginning { creator, leg, room, metadata, invitees } = first;
        let now = origin.created_at;
        let head = Head {
            state: State::Waiting,
            room: Some(room),
            recording: Arc::new(Self::first_wish(&metadata, origin.initiated_by)),
            metadata: Arc::new(metadata),
            moderation: Arc::default(),
            invitations: Arc::default(),
            max_participants: 1,
            last_left_at: None,
            stamp: Stamp { epoch: 1, seq: 0 },
            version: 0,
            updated_at: now,
        };
        let mut step = step::Step::new(by, now, &head);
        let roster = Roster::begin(Leg::unattached(leg, creator, now));
        let mut call = Self { origin, rules, head, roster, undo: None };
        step.touch(leg);
        let invited = invitees.iter().map(|invitee| invitee.user).collect();
        step.record(Event::CallCreated { invited });
        for invitee in invitees {
            call.begin_ring(&mut step, invitee);
        }
        let effects = step.finish(&mut call);
        (call, effects)
    }

    /// Rule 6: restores a running call after a restart, with a new epoch and a new router. Its legs can be
    /// resumed within the resume window.
    ///
    /// # Errors
    /// [`CorruptRecord`] when the rows contradict each other.
    pub fn restore(
        record: CallRecord,
        rows: CallRows,
        room: RouterId,
        rules: Rules,
        now: DateTime<Utc>,
    ) -> Result<(Self, Vec<Effect>), CorruptRecord> {
        let mut call = Self::past(record, rows, rules)?;
        call.head.stamp.epoch += 1;
        call.head.room = Some(room);
        call.head.updated_at = now;
        call.roster.open.values_mut().for_each(|leg| leg.lose(now, Loss::Restart));
        call.forget_answers();
        let mut step = step::Step::new(&Actor::SERVER, now, &call.head);
        step.record(Event::RoomChanged);
        call.ringing().for_each(|ringing| step.ring(ringing.user));
        call.end_if_deserted(&mut step, Ending::ServerRestart);
        let effects = step.finish(&mut call);
        Ok((call, effects))
    }

    /// Builds a call from its rows alone: to amend an ended call, or to end a running one that has no owner
    /// task.
    ///
    /// # Errors
    /// [`CorruptRecord`] when the rows contradict each other.
    pub fn past(record: CallRecord, rows: CallRows, rules: Rules) -> Result<Self, CorruptRecord> {
        let mut call = Self::from_record(record, rules)?;
        call.head.last_left_at = rows.last_left_at;
        call.head.invitations = Arc::new(Invitations::restore(rows.invitations));
        call.roster = Roster::restore(rows.legs, rows.visitors);
        Ok(call)
    }

    /// Applies a command and returns the effects to perform, in order. The caller chooses the ids inside
    /// commands. `by` is the actor, for the log.
    ///
    /// # Errors
    /// [`CallError`]; the call is then unchanged.
    pub fn handle(
        &mut self,
        command: Command,
        by: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Vec<Effect>, CallError> {
        self.undo = None;
        self.roster.forget(self.rules.forgotten_until(now));
        let mut step = step::Step::new(by, now, &self.head);
        match self.apply(&mut step, command) {
            Ok(()) => Ok(step.finish(self)),
            Err(refused) => {
                self.revert(step.into_undo());
                Err(refused)
            }
        }
    }

    /// Takes back the last command, because its changes could not be stored.
    pub fn take_back(&mut self) {
        if let Some(undo) = self.undo.take() {
            self.revert(undo);
        }
    }

    /// The next time at which [`Command::Tick`] has an effect.
    #[must_use]
    pub fn next_deadline(&self) -> Option<DateTime<Utc>> {
        if self.is_over() {
            return None;
        }
        let legs = self.roster.open.values().filter_map(|leg| leg.deadline(&self.rules));
        let others = [self.ring_deadline(), self.next_ring_end(), self.recording_deadline()];
        others.into_iter().flatten().chain(legs).min()
    }

    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.head.state, State::Over(_))
    }

    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    #[must_use]
    pub const fn stamp(&self) -> Stamp {
        self.head.stamp
    }

    #[must_use]
    pub const fn max_participants(&self) -> i64 {
        self.head.max_participants
    }

    /// The open legs, oldest first.
    pub fn open_legs(&self) -> impl Iterator<Item = &Leg> {
        let mut open: Vec<&Leg> = self.roster.open.values().collect();
        open.sort_by_key(|leg| (leg.joined_at, leg.id));
        open.into_iter()
    }

    /// The leg, if it is open.
    #[must_use]
    pub fn leg(&self, id: LegId) -> Option<&Leg> {
        self.roster.open.get(&id)
    }

    /// The users in the call, in the order of their oldest open leg.
    #[must_use]
    pub fn participants(&self) -> Vec<UserId> {
        let mut seen = BTreeSet::new();
        self.open_legs().map(|leg| leg.person.id).filter(|user| seen.insert(*user)).collect()
    }

    /// The open leg of this user whose resume token has this hash.
    #[must_use]
    pub fn resumable(&self, user: UserId, resume: ResumeHash) -> Option<&Leg> {
        self.open_legs().find(|leg| leg.person.id == user && leg.resume == Some(resume))
    }

    /// What a user may send and receive in the call.
    #[must_use]
    pub fn permissions(&self, user: UserId) -> Permissions {
        self.head.moderation.standing(user).permissions(self.origin.call_type)
    }

    /// What moderators decided about a user's entry.
    #[must_use]
    pub fn admission(&self, user: UserId) -> Admission {
        self.head.moderation.standing(user).admission
    }

    /// The call as clients see it.
    #[must_use]
    pub fn view(&self, now: DateTime<Utc>) -> CallView {
        CallView::new(self.to_record(), self.participants(), now)
    }

    fn ring_deadline(&self) -> Option<DateTime<Utc>> {
        let ring = self.rules.ring.filter(|_| self.head.state == State::Waiting)?;
        Some(after(self.origin.created_at, ring))
    }
}

/// `time` plus `wait`; the latest possible time if the sum is out of range.
fn after(time: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(wait)
        .ok()
        .and_then(|wait| time.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
pub(crate) mod tests;
