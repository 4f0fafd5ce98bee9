use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{
    Attachment, CallRecord, Ending, LegReason, LegRecord, MediaChange, Permissions, ProducerRef, Stamp,
};
use crate::{
    actor::{Actor, Person},
    audit::{Action, AuditEntry},
    ids::{CallId, LegId, UserId},
};

/// What has to be done, in the order given.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To be written in one transaction. If that fails, nothing of the command happened.
    Store(Box<Changes>),
    /// The leg now belongs to the socket that asked to join.
    Attach(LegId, Attachment),
    /// What this user may send and receive has changed.
    Restrict(UserId),
    /// The media of the leg has to go.
    CloseLeg(LegId),
    /// To be told to everybody concerned.
    Announce(RecordedEvent),
    /// To be told to the leg whose place a newer leg of the same device took.
    Replaced(LegId),
    /// The leg hears its call no more.
    Detach(LegId),
}

impl Effect {
    /// What it has to store.
    pub(crate) fn changes_mut(&mut self) -> Option<&mut Changes> {
        if let Self::Store(changes) = self { Some(changes) } else { None }
    }

    /// The leg that a joining socket got.
    #[must_use]
    pub const fn attached(&self) -> Option<(LegId, Attachment)> {
        if let Self::Attach(leg, how) = self { Some((*leg, *how)) } else { None }
    }
}

/// Rows as they are after a command, with the events that it caused.
#[derive(Clone, Debug)]
pub struct Changes {
    pub call: CallRecord,
    /// The version that the database has to hold for these to be written; 0 for a new call.
    pub follows: i64,
    pub legs: Vec<LegRecord>,
    pub events: Vec<RecordedEvent>,
    /// Who is behind it.
    pub by: Actor,
    /// For the answer to a create that may be repeated.
    pub receipt: Option<Receipt>,
}

/// That a request was carried out, so that its repetition gets the same answer.
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
    /// What the audit log has to tell of them.
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

/// An event with its place in the call's order.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    pub call_id: CallId,
    pub stamp: Stamp,
    pub at: DateTime<Utc>,
    pub event: Event,
}

/// What the log of a call holds.
#[derive(Clone, Debug)]
pub enum Event {
    CallCreated,
    /// Somebody other than the creator joined for the first time.
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
        /// Whether it was paused; else its sender is only asked.
        force: bool,
        by: Option<UserId>,
    },
    CallEnded {
        ending: Ending,
        /// Whole seconds since the first join; `None` if nobody but the creator was ever there.
        duration_seconds: Option<i64>,
    },
    LegJoined {
        leg: LegId,
        person: Person,
        /// Who is in the call afterwards.
        participants: Vec<UserId>,
        /// Whether it is the user's only leg.
        first: bool,
    },
    LegLeft {
        leg: LegId,
        person: Person,
        reason: LegReason,
        /// Who is in the call afterwards.
        participants: Vec<UserId>,
        /// Whether the user has no leg any more.
        last: bool,
    },
    Media(MediaChange),
}

impl Event {
    /// The kind, as it is stored.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CallCreated => "call-created",
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
            Self::Media(MediaChange::ProducerOpened(_)) => "producer-opened",
            Self::Media(MediaChange::ProducerClosed(_)) => "producer-closed",
            Self::Media(MediaChange::ProducerPaused(_)) => "producer-paused",
            Self::Media(MediaChange::ProducerResumed(_)) => "producer-resumed",
        }
    }

    /// How it counts for the audit log, if it does, and whom it was done to.
    const fn audited(&self) -> Option<(Action, Option<UserId>)> {
        Some(match self {
            Self::CallCreated => (Action::CallStarted, None),
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
            Self::CallStarted | Self::RoomChanged | Self::Media(_) => return None,
        })
    }

    /// The details, as they are stored beside the kind: always an object.
    #[must_use]
    pub fn details(&self, call: &CallRecord) -> Value {
        match self {
            Self::CallCreated => {
                json!({ "groupId": call.group_id, "initiatedById": call.initiated_by_id, "type": call.call_type })
            }
            Self::CallStarted => json!({ "startedAt": call.started_at }),
            Self::RoomChanged => json!({ "webrtcRoomId": call.webrtc_room_id }),
            Self::MetadataChanged => json!({ "metadata": call.metadata.0 }),
            Self::LockChanged { locked, by } => json!({ "locked": locked, "by": by }),
            Self::PermissionsChanged { user, permissions, by } => {
                json!({ "userId": user, "canPublish": permissions.can_publish, "canSubscribe": permissions.can_subscribe, "by": by })
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
