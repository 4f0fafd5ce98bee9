//! The payloads of requests.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use switchyard_media_worker::media::ortc::{
    DtlsParameters, Layers, MediaKind, ReceiverCapabilities, RtpParameters, SctpStreamParameters,
};
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerId, DataProducerId, Direction, ProducerId, TransportId,
};
use ts_rs::TS;

use super::fields::{Rung, Text};
use crate::call::{AppData, Consent, EndReason, RecordingLayer, RecordingMode, Source, StandingChange};
use crate::ids::{CallId, DeviceId, LegId, UserId};

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct InCall {
    pub call_id: CallId,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct Join {
    pub call_id: CallId,
    pub device: Option<DeviceId>,
    #[ts(type = "RtpCapabilities", optional)]
    pub rtp_capabilities: Option<ReceiverCapabilities>,
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub media: MediaWish,
    #[ts(type = "string", optional)]
    pub resume_token: Option<Text<128>>,
}

/// What a joining leg wants in the same round trip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, TS)]
#[serde(default)]
pub struct MediaWish {
    /// A transport to send on.
    #[ts(as = "Option<_>", optional)]
    pub send: bool,
    /// A transport to receive on.
    #[ts(as = "Option<_>", optional)]
    pub recv: bool,
    /// Paused consumers for everything others send; needs `recv` and the leg's `rtpCapabilities`.
    #[ts(as = "Option<_>", optional)]
    pub consume: bool,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct End {
    pub call_id: CallId,
    pub reason: Option<EndReason>,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct Signal {
    pub call_id: CallId,
    #[serde(rename = "type")]
    #[ts(type = "string")]
    pub kind: Text<32>,
    #[ts(type = "unknown")]
    pub payload: Box<RawValue>,
    pub target_user_id: Option<UserId>,
    pub target_leg_id: Option<LegId>,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct Sync {
    pub call_id: CallId,
    /// The last recorded event that the client has seen; without it, it wants the whole picture.
    pub since_seq: Option<i64>,
    /// The epoch of that event; if absent, the current one.
    pub epoch: Option<i64>,
}

impl Sync {
    pub(crate) fn since(&self) -> Option<Since> {
        self.since_seq.map(|seq| Since { seq, epoch: self.epoch })
    }
}

/// The last recorded event that a client has seen.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    pub seq: i64,
    pub epoch: Option<i64>,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    pub call_id: CallId,
    #[ts(type = "string")]
    pub producer_id: ProducerId,
    /// Pause it rather than ask its sender to.
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub force: bool,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    pub call_id: CallId,
    pub user_id: UserId,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[ts(optional_fields)]
pub struct Permit {
    pub call_id: CallId,
    pub user_id: UserId,
    /// The sources that may be sent; an empty list makes a listener.
    pub can_publish: Option<BTreeSet<Source>>,
    /// Whether anything may be received.
    pub can_subscribe: Option<bool>,
    /// Whether `call:signal` may be sent.
    pub can_signal: Option<bool>,
    /// `true` lets somebody in who was removed, or whom a lock keeps out.
    pub admitted: Option<bool>,
}

impl Permit {
    pub(crate) fn change(self) -> StandingChange {
        let Self { call_id: _, user_id: _, can_publish, can_subscribe, can_signal, admitted } = self;
        StandingChange { can_publish, can_subscribe, can_signal, admitted }
    }
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    pub call_id: CallId,
    /// Members of the group, at most 50.
    #[ts(type = "UserId[]")]
    pub user_ids: Rung,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    pub call_id: CallId,
    pub locked: bool,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct StartRecording {
    pub call_id: CallId,
    /// `video` by default: sound and pictures.
    pub mode: Option<RecordingMode>,
    /// The highest of the three sizes of a video that is recorded; by default as the server is set.
    pub layer: Option<RecordingLayer>,
    /// By default as the server is set; not less than that.
    pub consent: Option<Consent>,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AnswerConsent {
    pub call_id: CallId,
    /// `false` also takes back what was accepted before.
    pub accept: bool,
}

#[derive(Debug, Deserialize, TS)]
pub struct Refresh {
    pub token: String,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetRtpCapabilities {
    pub call_id: CallId,
    #[ts(type = "RtpCapabilities")]
    pub rtp_capabilities: ReceiverCapabilities,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct CreateTransport {
    pub call_id: CallId,
    #[ts(type = "'send' | 'recv'")]
    pub direction: Direction,
}

#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConnectTransport {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    #[ts(type = "DtlsParameters")]
    pub dtls_parameters: DtlsParameters,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OnTransport {
    #[ts(type = "string")]
    pub transport_id: TransportId,
}

#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Produce {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    #[ts(type = "MediaKind")]
    pub kind: MediaKind,
    #[ts(type = "RtpParameters")]
    pub rtp_parameters: RtpParameters,
    pub app_data: AppData,
    #[serde(default)]
    #[ts(as = "Option<_>", optional)]
    pub paused: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OnProducer {
    #[ts(type = "string")]
    pub producer_id: ProducerId,
}

/// `{producerId}` and `{producerIds}` mean the same for one producer.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(try_from = "super::fields::RawConsume")]
#[ts(as = "super::fields::RawConsume")]
pub struct Consume {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    pub producer_ids: Vec<ProducerId>,
    pub paused: bool,
    pub preferred_layers: Option<Layers>,
}

/// `{consumerId}` and `{consumerIds}` mean the same for one consumer.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(try_from = "super::fields::RawConsumers")]
#[ts(as = "super::fields::RawConsumers")]
pub struct Consumers {
    pub consumer_ids: Vec<ConsumerId>,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct OnConsumer {
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct SetPreferredLayers {
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
    /// Zero is the lowest.
    pub spatial_layer: u8,
    /// If absent, the highest there is.
    pub temporal_layer: Option<u8>,
}

impl SetPreferredLayers {
    pub(crate) fn layers(&self) -> Layers {
        Layers { spatial: self.spatial_layer, temporal: self.temporal_layer }
    }
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SetPriority {
    #[ts(type = "string")]
    pub consumer_id: ConsumerId,
    /// 1 (least) to 255. `null`: what it is by default.
    // Required: without a function of its own, an absent field would be `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub priority: Option<std::num::NonZeroU8>,
}

#[derive(Debug, Clone, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields)]
pub struct ProduceData {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    #[ts(type = "SctpStreamParameters")]
    pub sctp_stream_parameters: SctpStreamParameters,
    #[serde(default)]
    #[ts(as = "Option<String>", optional)]
    pub label: Text<256>,
    #[serde(default)]
    #[ts(as = "Option<String>", optional)]
    pub protocol: Text<256>,
    #[ts(type = "unknown", optional)]
    pub app_data: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
pub struct OnDataProducer {
    #[ts(type = "string")]
    pub id: DataProducerId,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeData {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    #[ts(type = "string")]
    pub data_producer_id: DataProducerId,
}

#[derive(Debug, Clone, Copy, Deserialize, TS)]
pub struct OnDataConsumer {
    #[ts(type = "string")]
    pub id: DataConsumerId,
}

/// Anything: it is not looked at.
#[derive(Debug, Deserialize, TS)]
pub struct ClientStats(#[ts(type = "unknown")] IgnoredAny);
