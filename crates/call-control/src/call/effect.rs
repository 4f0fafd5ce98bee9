use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Answer, Attachment, CallRecord, Consent, Ending, InvitationRow, InvitationStatus, LegReason, LegRecord,
    MediaChange, Permissions, ProducerRef, RecordingEnd, RecordingMode, RecordingRow, RingEnd, Stamp,
};
use crate::{
    actor::{Actor, Person},
    audit::{Action, AuditEntry},
    error::ErrorCode,
    ids::{CallId, LegId, RecordingId, UserId},
};

/// What to do after a command, in the order given.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Write these rows in one transaction, before any later effect. `Durability` in `calls/task/effects.rs`
    /// says what a failure means.
    Store(Box<Changes>),
    /// Attach the leg to the joining socket.
    Attach(LegId, Attachment),
    /// Apply the changed permissions of this user to the media.
    Restrict(UserId),
    /// Close the leg's transports, producers and consumers.
    CloseLeg(LegId),
    /// Send the event to its audience.
    Announce(RecordedEvent),
    /// Record what is to be recorded from here on, and nothing else.
    FollowRecording {
        /// The recording that the command ended, and why.
        ended: Option<(RecordingId, RecordingEnd)>,
    },
    /// These people's devices ring.
    Ring(BTreeSet<UserId>),
    /// This person's devices stop ringing.
    StopRinging(UserId, RingEnd),
    /// Notify this leg that a newer leg of the same device replaced it.
    Replaced(LegId),
    /// The leg stops receiving the call's events.
    Detach(LegId),
}

impl Effect {
    /// The rows to store, if this effect stores any.
    pub(crate) fn changes_mut(&mut self) -> Option<&mut Changes> {
        if let Self::Store(changes) = self { Some(changes) } else { None }
    }

    /// The leg to attach to the joining socket, if this effect attaches one.
    #[must_use]
    pub const fn attached(&self) -> Option<(LegId, Attachment)> {
        if let Self::Attach(leg, how) = self { Some((*leg, *how)) } else { None }
    }
}

/// The rows after a command and the events that the command caused.
#[derive(Clone, Debug)]
pub struct Changes {
    pub call: CallRecord,
    /// The version that the database has to hold for this write; 0 for a new call.
    pub follows: i64,
    pub legs: Vec<LegRecord>,
    pub recordings: Vec<RecordingRow>,
    pub invitations: Vec<InvitationRow>,
    pub events: Vec<RecordedEvent>,
    /// The actor of the command.
    pub by: Actor,
    /// The answer to store for a create with an idempotency key.
    pub receipt: Option<Receipt>,
}

/// The answer to a completed request, for repetitions of it.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub user: UserId,
    pub route: &'static str,
    pub key: String,
    pub body_hash: [u8; 32],
    /// A JSON object.
    pub response: Value,
}

impl Changes {
    /// The audit log entries of these changes.
    pub fn audit_entries(&self) -> impl Iterator<Item = AuditEntry> {
        self.events.iter().filter_map(|recorded| {
            let (action, subject) = recorded.event.audited()?;
            let entry = AuditEntry::new(action, &self.by, recorded.at)
                .on_group(self.call.group_id)
                .on_call(self.call.id)
                .with(recorded.event.details(&self.call));
            Some(match subject {
                Some(user) => entry.on_user(user),
                None => entry,
            })
        })
    }
}

/// An event with its number in the call.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    pub call_id: CallId,
    pub stamp: Stamp,
    pub at: DateTime<Utc>,
    pub event: Event,
}

/// The events of a call's log.
#[derive(Clone, Debug)]
pub enum Event {
    CallCreated {
        /// Who is rung.
        invited: BTreeSet<UserId>,
    },
    /// A user other than the creator joined for the first time.
    CallStarted,
    /// The call's media moved to another router.
    RoomChanged,
    MetadataChanged,
    LockChanged {
        locked: bool,
        by: Option<UserId>,
    },
    PermissionsChanged {
        user: UserId,
        permissions: Permissions,
        by: Option<UserId>,
    },
    ProducerMuted {
        producer: ProducerRef,
        /// True: the server paused it. False: its sender is asked to pause it.
        force: bool,
        by: Option<UserId>,
    },
    /// People are rung who were not, or not any more.
    Invited {
        users: BTreeSet<UserId>,
        by: Option<UserId>,
    },
    /// Rings ended without an answer.
    InvitationsEnded {
        users: BTreeSet<UserId>,
        how: InvitationStatus,
    },
    CallEnded {
        ending: Ending,
        /// Whole seconds since the first join; `None` if no user but the creator joined.
        duration_seconds: Option<i64>,
    },
    LegJoined {
        leg: LegId,
        person: Person,
        /// The users in the call after this event.
        participants: Vec<UserId>,
        /// Whether it is the user's only open leg.
        first: bool,
    },
    LegLeft {
        leg: LegId,
        person: Person,
        reason: LegReason,
        /// The users in the call after this event.
        participants: Vec<UserId>,
        /// Whether the user has no open leg after this event.
        last: bool,
    },
    RecordingStarted {
        recording: RecordingId,
        mode: RecordingMode,
        consent: Consent,
        by: Option<UserId>,
    },
    /// The recording was paused, or goes on.
    RecordingPaused {
        recording: RecordingId,
        paused: bool,
        by: Option<UserId>,
    },
    RecordingStopped {
        recording: RecordingId,
        reason: RecordingEnd,
        by: Option<UserId>,
    },
    RecordingConsent {
        recording: RecordingId,
        answer: Answer,
    },
    /// A recording that somebody wished for could not start.
    RecordingFailed {
        code: ErrorCode,
    },
    Media(MediaChange),
}

impl Event {
    /// The kind, as stored in `call_events`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CallCreated { .. } => "call-created",
            Self::Invited { .. } => "invited",
            Self::InvitationsEnded { .. } => "invitations-ended",
            Self::CallStarted => "call-started",
            Self::RoomChanged => "room-changed",
            Self::MetadataChanged => "metadata-changed",
            Self::LockChanged { .. } => "lock-changed",
            Self::PermissionsChanged { .. } => "permissions-changed",
            Self::ProducerMuted { force: true, .. } => "producer-muted",
            Self::ProducerMuted { force: false, .. } => "mute-requested",
            Self::CallEnded { .. } => "call-ended",
            Self::LegJoined { .. } => "leg-joined",
            Self::LegLeft { .. } => "leg-left",
            Self::RecordingStarted { .. } => "recording-started",
            Self::RecordingPaused { paused: true, .. } => "recording-paused",
            Self::RecordingPaused { paused: false, .. } => "recording-resumed",
            Self::RecordingStopped { .. } => "recording-stopped",
            Self::RecordingConsent { .. } => "recording-consent",
            Self::RecordingFailed { .. } => "recording-failed",
            Self::Media(MediaChange::ProducerOpened(_)) => "producer-opened",
            Self::Media(MediaChange::ProducerClosed(_)) => "producer-closed",
            Self::Media(MediaChange::ProducerPaused(_)) => "producer-paused",
            Self::Media(MediaChange::ProducerResumed(_)) => "producer-resumed",
        }
    }

    /// The action for the audit log and the user affected; `None` for events that are not logged there.
    const fn audited(&self) -> Option<(Action, Option<UserId>)> {
        Some(match self {
            Self::CallCreated { .. } => (Action::CallStarted, None),
            Self::CallEnded { .. } => (Action::CallEnded, None),
            Self::LegJoined { person, .. } => (Action::CallJoined, Some(person.id)),
            Self::LegLeft { person, reason: LegReason::Removed, .. } => {
                (Action::ParticipantRemoved, Some(person.id))
            }
            Self::LegLeft { person, .. } => (Action::CallLeft, Some(person.id)),
            Self::MetadataChanged => (Action::MetadataChanged, None),
            Self::LockChanged { locked: true, .. } => (Action::CallLocked, None),
            Self::LockChanged { locked: false, .. } => (Action::CallUnlocked, None),
            Self::PermissionsChanged { user, .. } => (Action::PermissionsChanged, Some(*user)),
            Self::ProducerMuted { producer, force: true, .. } => {
                (Action::ProducerMuted, Some(producer.user_id))
            }
            Self::ProducerMuted { producer, force: false, .. } => {
                (Action::MuteRequested, Some(producer.user_id))
            }
            Self::RecordingStarted { .. } => (Action::RecordingStarted, None),
            Self::RecordingStopped { .. } => (Action::RecordingStopped, None),
            Self::CallStarted
            | Self::Invited { .. }
            | Self::InvitationsEnded { .. }
            | Self::RoomChanged
            | Self::RecordingPaused { .. }
            | Self::RecordingConsent { .. }
            | Self::RecordingFailed { .. }
            | Self::Media(_) => return None,
        })
    }

    /// The details, as stored in `call_events`: always a JSON object.
    #[must_use]
    pub fn details(&self, call: &CallRecord) -> Value {
        match self {
            Self::CallCreated { invited } => {
                json!({ "groupId": call.group_id, "initiatedById": call.initiated_by_id, "type": call.call_type, "invited": invited })
            }
            Self::Invited { users, by } => json!({ "userIds": users, "by": by }),
            Self::InvitationsEnded { users, how } => json!({ "userIds": users, "status": how }),
            Self::CallStarted => json!({ "startedAt": call.started_at }),
            Self::RoomChanged => json!({ "webrtcRoomId": call.webrtc_room_id }),
            Self::MetadataChanged => json!({ "metadata": call.metadata.0 }),
            Self::LockChanged { locked, by } => json!({ "locked": locked, "by": by }),
            Self::PermissionsChanged { user, permissions, by } => {
                let Permissions { can_publish, can_subscribe, can_signal } = permissions;
                json!({
                    "userId": user, "canPublish": can_publish, "canSubscribe": can_subscribe, "canSignal": can_signal,
                    "by": by,
                })
            }
            Self::ProducerMuted { producer, force: _, by } => {
                json!({ "producerId": producer.producer_id, "userId": producer.user_id, "legId": producer.leg_id, "by": by })
            }
            Self::CallEnded { ending, duration_seconds } => {
                json!({ "reason": ending, "durationSeconds": duration_seconds })
            }
            Self::LegJoined { leg, person, participants, first } => {
                json!({ "legId": leg, "userId": person.id, "name": person.name, "participants": participants, "first": first })
            }
            Self::LegLeft { leg, person, reason, participants, last } => {
                json!({ "legId": leg, "userId": person.id, "name": person.name, "reason": reason, "participants": participants, "last": last })
            }
            Self::RecordingStarted { recording, mode, consent, by } => {
                json!({ "recordingId": recording, "mode": mode, "consent": consent, "by": by })
            }
            Self::RecordingPaused { recording, paused: _, by } => {
                json!({ "recordingId": recording, "by": by })
            }
            Self::RecordingStopped { recording, reason, by } => {
                json!({ "recordingId": recording, "reason": reason, "by": by })
            }
            Self::RecordingConsent { recording, answer: Answer { leg_id, user_id, accept } } => {
                json!({ "recordingId": recording, "legId": leg_id, "userId": user_id, "accept": accept })
            }
            Self::RecordingFailed { code } => json!({ "code": code }),
            Self::Media(MediaChange::ProducerOpened(producer)) => json!(producer),
            Self::Media(
                MediaChange::ProducerClosed(producer)
                | MediaChange::ProducerPaused(producer)
                | MediaChange::ProducerResumed(producer),
            ) => {
                json!({ "producerId": producer.producer_id, "userId": producer.user_id, "legId": producer.leg_id })
            }
        }
    }
}
