//! The answers to clients: one acknowledgement for each request (over Socket.IO, if the client asked for
//! one).

use chrono::{DateTime, Utc};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use switchyard_media_worker::media::ortc::{
    IceParameters, MediaKind, ProducerKind, RtpCapabilities, RtpParameters, SctpStreamParameters,
    TransportParameters,
};
use switchyard_media_worker::media::{ConsumerId, DataConsumerId, DataProducerId, ProducerId};
use ts_rs::TS;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::call::{AppData, CallView, DataProducerView, InvitationStatus, Permissions, ProducerView, Stamp};
use crate::error::{ErrorCode, Refusal};
use crate::ids::{CallId, LegId, UserId};
use crate::wire::stats::TransportStats;
use crate::wire::{Frame, IceServer};

/// `{ok: true, data}` or `{ok: false, error: {code, message, retryable?}}`.
#[derive(Debug)]
pub struct Ack(pub Result<Reply, Refusal>);

/// The data of a successful acknowledgement.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    Done(Done),
    Joined(Box<Joined>),
    Synced(Synced),
    Call(Box<OfCall>),
    RouterCapabilities(RouterCapabilities),
    TokenAccepted(TokenAccepted),
    Transport(Box<NewTransport>),
    Media(Box<MediaReply>),
}

/// The data of a successful media command.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum MediaReply {
    Done(Done),
    IceRestarted(IceRestarted),
    Stats(Stats),
    Created(Created),
    Consumed(Consumed),
    DataConsumer(DataConsumerView),
}

impl MediaReply {
    pub(crate) fn done() -> Self {
        Self::Done(Done {})
    }
}

/// There is nothing to say but that it is done.
#[derive(Debug, Serialize, TS)]
#[ts(type = "Record<string, never>")]
pub struct Done {}

#[derive(Debug, Serialize, TS)]
pub struct OfCall {
    pub call: CallView,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RouterCapabilities {
    #[ts(type = "RtpCapabilities")]
    pub router_rtp_capabilities: &'static RtpCapabilities,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct TokenAccepted {
    /// From then on only `call:leave` and `auth:refresh` are answered.
    #[ts(type = "string")]
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct IceRestarted {
    #[ts(type = "IceParameters")]
    pub ice_parameters: IceParameters,
}

#[derive(Debug, Serialize, TS)]
pub struct Stats {
    pub stats: TransportStats,
}

/// What mediasoup-client's `createSendTransport()` and `createRecvTransport()` take.
#[derive(Debug, Serialize, TS)]
pub struct NewTransport(#[ts(type = "TransportOptions")] pub TransportParameters);

/// A new producer or data producer.
#[derive(Debug, Serialize, TS)]
pub struct Created {
    #[ts(type = "string")]
    pub id: Uuid,
}

/// What a client missed, or the call as it is.
#[derive(Debug, Serialize, TS)]
#[serde(untagged)]
pub enum Synced {
    Events(Missed),
    Snapshot(Box<Snapshot>),
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Missed {
    pub call_id: CallId,
    /// In their order, as they were sent to others.
    #[ts(type = "EventFrame[]")]
    pub events: Vec<Frame>,
    #[serde(flatten)]
    pub stamp: Stamp,
}

/// A call as one of its legs finds it. Recorded events up to `epoch` and `seq` are in it.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    pub call_id: CallId,
    pub user_id: UserId,
    pub leg_id: LegId,
    pub participants: Vec<ParticipantView>,
    /// Who was rung, and what became of it.
    pub invitations: Vec<Invited>,
    pub producers: Vec<ProducerView>,
    pub data_producers: Vec<DataProducerView>,
    #[ts(type = "RtpCapabilities")]
    pub router_rtp_capabilities: &'static RtpCapabilities,
    pub ice_servers: Vec<IceServer>,
    #[serde(flatten)]
    pub stamp: Stamp,
    pub call: CallView,
}

/// Somebody who was rung for a call.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Invited {
    pub user_id: UserId,
    pub status: InvitationStatus,
}

#[derive(Debug, Serialize, ToSchema, TS)]
#[serde(rename_all = "camelCase")]
#[schema(as = Participant)]
pub struct ParticipantView {
    pub user_id: UserId,
    pub name: String,
    pub legs: Vec<LegId>,
    #[serde(flatten)]
    pub permissions: Permissions,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// Proves, after a lost connection, that the leg is this client's.
    pub resume_token: String,
    pub resume_window_ms: u64,
    /// The leg is the one that the resume token was given for.
    pub resumed: bool,
    /// The server restarted meanwhile: the leg's transports are gone.
    pub media_restart: bool,
    /// Whether this user may start, pause and stop recordings of the call; false where the server records nothing.
    pub may_record: bool,
    #[serde(skip_serializing_if = "JoinTransports::is_empty")]
    #[ts(as = "Option<_>", optional)]
    pub transports: JoinTransports,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub consumers: Option<Vec<ConsumerView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub failed: Option<Vec<FailedConsumer>>,
}

#[derive(Debug, Default, Serialize, TS)]
pub struct JoinTransports {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(type = "TransportOptions", optional)]
    pub send: Option<TransportParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(type = "TransportOptions", optional)]
    pub recv: Option<TransportParameters>,
}

impl JoinTransports {
    fn is_empty(&self) -> bool {
        self.send.is_none() && self.recv.is_none()
    }
}

#[derive(Debug, Default, Serialize, TS)]
pub struct Consumed {
    pub consumers: Vec<ConsumerView>,
    pub failed: Vec<FailedConsumer>,
}

/// What mediasoup-client's `transport.consume()` takes, and whose it is.
#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerView {
    #[ts(type = "string")]
    pub id: ConsumerId,
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub user_id: UserId,
    pub leg_id: LegId,
    #[ts(type = "MediaKind")]
    pub kind: MediaKind,
    #[ts(type = "RtpParameters")]
    pub rtp_parameters: RtpParameters,
    #[serde(rename = "type")]
    #[ts(type = "'simple' | 'simulcast' | 'svc'")]
    pub producer_kind: ProducerKind,
    pub paused: bool,
    pub producer_paused: bool,
    pub stream_id: String,
    pub app_data: AppData,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct FailedConsumer {
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    pub code: ErrorCode,
}

#[derive(Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DataConsumerView {
    #[ts(type = "string")]
    pub id: DataConsumerId,
    #[ts(type = "string")]
    pub data_producer_id: DataProducerId,
    #[ts(type = "SctpStreamParameters")]
    pub sctp_stream_parameters: SctpStreamParameters,
    pub label: String,
    pub protocol: String,
    pub user_id: UserId,
}

impl Serialize for Ack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ack = serializer.serialize_struct("Ack", 2)?;
        ack.serialize_field("ok", &self.0.is_ok())?;
        match &self.0 {
            Ok(reply) => ack.serialize_field("data", reply)?,
            Err(refusal) => ack.serialize_field("error", &AckError::from(refusal))?,
        }
        ack.end()
    }
}

#[derive(Serialize, TS)]
pub(super) struct AckError<'a> {
    code: ErrorCode,
    message: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[ts(as = "Option<_>", optional)]
    retryable: bool,
}

impl<'a> From<&'a Refusal> for AckError<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self { code: refusal.code, message: &refusal.detail, retryable: refusal.code.retryable() }
    }
}
