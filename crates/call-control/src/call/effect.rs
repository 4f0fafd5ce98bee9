use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub use crate::{calls::media::MediaChange, signaling::event::Stamp};

use super::{CallRecord, Ending, LegReason, LegRecord, Person};
use crate::ids::{CallId, LegId, UserId};

/// What has to be done, in the order given.
#[derive(Clone, Debug)]
pub enum Effect {
    /// To be written in one transaction. If that fails, nothing of the command happened.
    Store(Box<Changes>),
    /// The leg now belongs to the socket that asked to join.
    Attach(LegId),
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
    /// The leg that a joining socket got.
    #[must_use]
    pub const fn attached(&self) -> Option<LegId> {
        match self {
            Self::Attach(leg) => Some(*leg),
            Self::Store(_) | Self::CloseLeg(_) | Self::Announce(_) | Self::Replaced(_) | Self::Detach(_) => {
                None
            }
        }
    }
}

/// Rows as they are after a command, with the events that it caused.
#[derive(Clone, Debug)]
pub struct Changes {
    pub call: CallRecord,
    pub legs: Vec<LegRecord>,
    pub events: Vec<RecordedEvent>,
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
            Self::CallEnded { .. } => "call-ended",
            Self::LegJoined { .. } => "leg-joined",
            Self::LegLeft { .. } => "leg-left",
            Self::Media(MediaChange::ProducerOpened(_)) => "producer-opened",
            Self::Media(MediaChange::ProducerClosed(_)) => "producer-closed",
            Self::Media(MediaChange::ProducerPaused(_)) => "producer-paused",
            Self::Media(MediaChange::ProducerResumed(_)) => "producer-resumed",
        }
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
