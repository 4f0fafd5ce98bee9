//! All events from the server to a client. A payload is plain data; its name is in the table of
//! [`ServerEvent`].

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerCloseReason, DataConsumerId, DataProducerId, DtlsState, IceState, ProducerId,
    TransportId,
};
use ts_rs::TS;

use super::typescript::Module;
use crate::call::{
    Answer, CallRecordingView, CallType, CallView, DataProducerView, InvitationStatus, Permissions,
    ProducerRef, ProducerView, RecordingEnd, RecordingStatus, RingEnd, Stamp,
};
use crate::error::ErrorCode;
use crate::ids::{CallId, GroupId, LegId, RecordingId, UserId};

/// Declares the events for clients, a row for each: its name on the wire, and its payload.
macro_rules! events {
    (
        $(#[$about:meta])*
        pub enum $Events:ident {
            $($name:literal: $Event:ident($Payload:ty),)+
        }
    ) => {
        $(#[$about])*
        pub enum $Events {
            $($Event($Payload),)+
        }

        impl $Events {
            /// The names of the table.
            #[cfg(test)]
            pub(crate) const NAMES: &[&str] = &[$($name),+];

            /// The event's name on the wire.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Event(_) => $name,)+
                }
            }

            /// Declares the table in TypeScript.
            pub(super) fn describe(module: &mut Module) {
                $(module.event::<$Payload>($name);)+
            }
        }
    };
}

events! {
    /// One event for one or more sockets. Serialises as its payload alone.
    #[derive(Debug, Clone, Serialize)]
    #[serde(untagged)]
    pub enum ServerEvent {
        "active-calls": ActiveCalls(Vec<CallView>),
        "call:created": CallCreated(CallView),
        "call:updated": CallUpdated(CallView),
        "call:ended": CallEnded(CallEnded),
        "call:replaced": CallReplaced(CallReplaced),
        "call:ringing": CallRinging(CallRinging),
        "call:ring-ended": CallRingEnded(CallRingEnded),
        "call:invitations": CallInvitations(CallInvitations),
        "call:busy": CallBusy(CallBusy),
        "call:locked": CallLocked(CallLocked),
        "call:permissions": CallPermissions(CallPermissions),
        "call:recording": CallRecording(CallRecording),
        "call:signal": CallSignal(CallSignal),
        "recording:updated": RecordingUpdated(RecordingUpdated),
        "participant-joined": ParticipantJoined(ParticipantChange),
        "participant-left": ParticipantLeft(ParticipantChange),
        "media:new-producer": NewProducer(NewProducer),
        "media:producer-closed": ProducerClosed(ProducerChange),
        "media:producer-paused": ProducerPaused(ProducerChange),
        "media:producer-resumed": ProducerResumed(ProducerChange),
        "media:mute-request": MuteRequest(MuteRequest),
        "media:consumer-closed": ConsumerClosed(ConsumerClosed),
        "media:consumer-paused": ConsumerPaused(ConsumerPause),
        "media:consumer-resumed": ConsumerResumed(ConsumerPause),
        "media:consumer-layers": ConsumerLayers(ConsumerLayers),
        "media:bandwidth": Bandwidth(Bandwidth),
        "media:active-speaker": ActiveSpeaker(ActiveSpeaker),
        "media:audio-levels": AudioLevels(AudioLevels),
        "media:transport-state": TransportState(TransportState),
        "media:new-data-producer": NewDataProducer(NewDataProducer),
        "media:data-producer-closed": DataProducerClosed(DataProducerClosed),
        "media:data-consumer-closed": DataConsumerClosed(DataConsumerClosed),
    }
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallEnded {
    pub call_id: CallId,
    pub group_id: GroupId,
    pub reason: String,
    /// Whole seconds since the first join; null if nobody but the caller was ever there.
    pub duration_seconds: Option<i64>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// To the leg that another leg of the same device has superseded.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallReplaced {
    pub call_id: CallId,
    pub leg_id: LegId,
}

/// Somebody calls: every device of the person rings. Sent again to each socket that connects meanwhile.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallRinging {
    pub call_id: CallId,
    pub group_id: GroupId,
    #[serde(rename = "type")]
    pub call_type: CallType,
    /// Who calls; null if it is the app.
    pub by: Option<Caller>,
    #[ts(type = "string")]
    pub since: DateTime<Utc>,
    /// When it ends without an answer.
    #[ts(type = "string")]
    pub until: DateTime<Utc>,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    pub user_id: UserId,
    pub name: String,
}

/// To every device of a person: it stops ringing. The device that answered is told, too.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallRingEnded {
    pub call_id: CallId,
    pub user_id: UserId,
    pub reason: RingEnd,
}

/// People are rung (`ringing`), or did not come: they declined, or missed it, or may not join any more. Whoever
/// answers is a participant.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallInvitations {
    pub call_id: CallId,
    pub user_ids: BTreeSet<UserId>,
    pub status: InvitationStatus,
    /// Who rang; null if it was the app, and where nobody did.
    pub by: Option<UserId>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// To the caller: these people are in another call, of a group that the caller is in, too.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallBusy {
    pub call_id: CallId,
    pub user_ids: Vec<UserId>,
}

/// Whether people who are not in the call are kept out.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallLocked {
    pub call_id: CallId,
    pub locked: bool,
    /// The moderator; null if it was the app.
    pub by: Option<UserId>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// What somebody may send and receive from here on.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallPermissions {
    pub call_id: CallId,
    pub user_id: UserId,
    #[serde(flatten)]
    pub permissions: Permissions,
    /// The moderator; null if it was the app.
    pub by: Option<UserId>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// The call's recording started, was paused, goes on or stopped, or a leg said whether it may be recorded.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallRecording {
    pub call_id: CallId,
    /// Null once it has stopped.
    pub recording: Option<CallRecordingView>,
    /// Who started, paused, continued or stopped it; null if it was the app, or the server by itself.
    pub by: Option<UserId>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<RecordingEnd>,
    /// What a leg answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub answer: Option<Answer>,
    /// Why the recording that was wished for could not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub code: Option<ErrorCode>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// What became of a recording after it had stopped; to the members of its group.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RecordingUpdated {
    pub id: RecordingId,
    pub call_id: CallId,
    pub group_id: GroupId,
    pub status: RecordingStatus,
}

/// A moderator asks the sender to pause the producer.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct MuteRequest {
    pub call_id: CallId,
    #[serde(flatten)]
    pub producer: ProducerRef,
    /// The moderator; null if it was the app.
    pub by: Option<UserId>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// A message between participants that the server passes on unread.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CallSignal {
    pub call_id: CallId,
    #[serde(rename = "type")]
    pub kind: String,
    #[ts(type = "unknown")]
    pub payload: Box<RawValue>,
    pub from_user_id: UserId,
    pub from_leg_id: LegId,
}

/// A user's first leg opened, or last leg ended.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ParticipantChange {
    pub call_id: CallId,
    pub user_id: UserId,
    pub name: String,
    /// Who is in the call after the change.
    pub participants: Vec<UserId>,
    #[serde(flatten)]
    pub stamp: Stamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct NewProducer {
    pub call_id: CallId,
    #[serde(flatten)]
    pub stamp: Stamp,
    #[serde(flatten)]
    pub producer: ProducerView,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ProducerChange {
    pub call_id: CallId,
    #[serde(flatten)]
    pub stamp: Stamp,
    #[serde(flatten)]
    pub producer: ProducerRef,
    /// The moderator who paused it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub by: Option<UserId>,
}

impl ProducerChange {
    pub(crate) fn new(call_id: CallId, stamp: Stamp, producer: ProducerRef) -> Self {
        Self { call_id, stamp, producer, by: None }
    }
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerClosed {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub reason: CloseReason,
}

/// What took a consumer down with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum CloseReason {
    ProducerClosed,
    TransportClosed,
    /// A moderator withdrew the right to receive.
    NotPermitted,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerPause {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
    pub by: PausedBy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum PausedBy {
    Producer,
}

/// What the path to this client carries, and what is sent over it, in bit/s of UDP payload; at most once a second.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Bandwidth {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub transport_id: TransportId,
    /// What the path is thought to carry.
    #[ts(type = "number")]
    pub estimate: u64,
    /// What sound, repair and the granted layers of videos take.
    #[ts(type = "number")]
    pub used: u64,
    /// What all the wanted layers would take.
    #[ts(type = "number")]
    pub wanted: u64,
}

/// The layers being forwarded; both null while nothing is.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerLayers {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
    pub spatial_layer: Option<u8>,
    pub temporal_layer: Option<u8>,
}

/// The dominant speaker; both null in silence.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ActiveSpeaker {
    pub call_id: CallId,
    pub user_id: Option<UserId>,
    #[ts(type = "string | null")]
    pub producer_id: Option<ProducerId>,
}

/// Who can be heard, the loudest first; empty once all have fallen silent. Told five times a second while up to 40 legs
/// listen, less often in larger calls, in the largest once a second.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AudioLevels {
    pub call_id: CallId,
    pub levels: Vec<AudioLevel>,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AudioLevel {
    pub user_id: UserId,
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    /// -127 (silence) to 0 (loudest), RFC 6464.
    #[serde(rename = "dBov")]
    pub dbov: i8,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TransportState {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub transport_id: TransportId,
    #[ts(type = "RTCIceTransportState")]
    pub ice: IceState,
    #[ts(type = "RTCDtlsTransportState")]
    pub dtls: DtlsState,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct NewDataProducer {
    pub call_id: CallId,
    #[serde(flatten)]
    pub data_producer: DataProducerView,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DataProducerClosed {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub data_producer_id: DataProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
}

#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DataConsumerClosed {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub data_consumer_id: DataConsumerId,
    #[ts(type = "'producer-closed' | 'receiver-closed' | 'overflow'")]
    pub reason: DataConsumerCloseReason,
}
