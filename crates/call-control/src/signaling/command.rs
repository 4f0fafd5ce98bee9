//! Everything a client may ask over a socket, parsed once at the edge.

mod fields;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use switchyard_media_worker::media::ortc::{
    DtlsParameters, Layers, MediaKind, RtpCapabilities, RtpParameters, SctpStreamParameters,
};
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerId, DataProducerId, Direction, ProducerId, TransportId,
};

pub use fields::{Text, TooMany};

use crate::call::{EndReason, StandingChange};
use crate::calls::media::AppData;
use crate::error::{ErrorCode, Refusal};
use crate::ids::{CallId, DeviceId, LegId, UserId};

/// One request of a client.
#[derive(Debug)]
pub enum Command {
    Join(Box<Join>),
    Leave(InCall),
    End(End),
    Signal(Signal),
    Sync(Sync),
    Mute(Mute),
    Remove(Remove),
    Permit(Permit),
    Lock(Lock),
    /// Goes on with a newer token of the same user.
    Refresh(Refresh),
    /// The router's abilities are the same for every call, so no call has to answer this.
    RouterCapabilities(InCall),
    SetRtpCapabilities(SetRtpCapabilities),
    CreateTransport(CreateTransport),
    /// About a thing that belongs to one of the socket's legs, named by its own id.
    Media(MediaCommand),
    /// Reports of the client's own statistics: taken, kept nowhere.
    ClientStats,
}

/// What a leg may do with its own transports, producers and consumers.
#[derive(Debug, Clone)]
pub enum MediaCommand {
    ConnectTransport(ConnectTransport),
    RestartIce(OnTransport),
    CloseTransport(OnTransport),
    TransportStats(OnTransport),
    Produce(Produce),
    PauseProducer(OnProducer),
    ResumeProducer(OnProducer),
    CloseProducer(OnProducer),
    Consume(Consume),
    PauseConsumers(Consumers),
    ResumeConsumers(Consumers),
    CloseConsumers(Consumers),
    SetPreferredLayers(SetPreferredLayers),
    SetPriority(SetPriority),
    RequestKeyFrame(OnConsumer),
    ProduceData(ProduceData),
    CloseDataProducer(OnDataProducer),
    ConsumeData(ConsumeData),
    CloseDataConsumer(OnDataConsumer),
}

impl Command {
    /// Reads one event; `payload` is its JSON argument.
    ///
    /// # Errors
    /// [`CommandError`], to be answered in the ack.
    pub fn parse(name: &str, payload: &str) -> Result<Self, CommandError> {
        Ok(match name {
            "call:join" => Self::Join(read(payload)?),
            "call:leave" => Self::Leave(read(payload)?),
            "call:end" => Self::End(read(payload)?),
            "call:signal" => Self::Signal(read::<Signal>(payload)?.bounded()?),
            "call:sync" => Self::Sync(read(payload)?),
            "call:mute" => Self::Mute(read(payload)?),
            "call:remove" => Self::Remove(read(payload)?),
            "call:permit" => Self::Permit(read(payload)?),
            "call:lock" => Self::Lock(read(payload)?),
            "auth:refresh" => Self::Refresh(read(payload)?),
            "media:router-capabilities" => Self::RouterCapabilities(read(payload)?),
            "media:set-rtp-capabilities" => Self::SetRtpCapabilities(read(payload)?),
            "media:create-transport" => Self::CreateTransport(read(payload)?),
            "media:client-stats" => {
                read::<serde::de::IgnoredAny>(payload)?;
                Self::ClientStats
            }
            _ => Self::Media(MediaCommand::parse(name, payload)?),
        })
    }
}

impl MediaCommand {
    fn parse(name: &str, payload: &str) -> Result<Self, CommandError> {
        Ok(match name {
            "media:connect-transport" => Self::ConnectTransport(read(payload)?),
            "media:restart-ice" => Self::RestartIce(read(payload)?),
            "media:close-transport" => Self::CloseTransport(read(payload)?),
            "media:get-stats" => Self::TransportStats(read(payload)?),
            "media:produce" => Self::Produce(read(payload)?),
            "media:pause-producer" => Self::PauseProducer(read(payload)?),
            "media:resume-producer" => Self::ResumeProducer(read(payload)?),
            "media:close-producer" => Self::CloseProducer(read(payload)?),
            "media:consume" => Self::Consume(read(payload)?),
            "media:pause-consumer" => Self::PauseConsumers(read(payload)?),
            "media:resume-consumer" => Self::ResumeConsumers(read(payload)?),
            "media:close-consumer" => Self::CloseConsumers(read(payload)?),
            "media:set-preferred-layers" => Self::SetPreferredLayers(read(payload)?),
            "media:set-priority" => Self::SetPriority(read(payload)?),
            "media:request-key-frame" => Self::RequestKeyFrame(read(payload)?),
            "media:produce-data" => Self::ProduceData(read::<ProduceData>(payload)?.bounded()?),
            "media:close-data-producer" => Self::CloseDataProducer(read(payload)?),
            "media:consume-data" => Self::ConsumeData(read(payload)?),
            "media:close-data-consumer" => Self::CloseDataConsumer(read(payload)?),
            _ => return Err(CommandError::UnknownEvent),
        })
    }
}

/// Why an event is not a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("no such event")]
    UnknownEvent,
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    #[error("`{field}` is longer than {limit} bytes")]
    TooLarge { field: &'static str, limit: usize },
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::UnknownEvent => ErrorCode::UnknownEvent,
            CommandError::Malformed(_) => ErrorCode::BadRequest,
            CommandError::TooLarge { .. } => ErrorCode::TooLarge,
        };
        Self::new(code, error.to_string())
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InCall {
    pub call_id: CallId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Join {
    pub call_id: CallId,
    pub device: Option<DeviceId>,
    pub rtp_capabilities: Option<RtpCapabilities>,
    #[serde(default)]
    pub media: MediaWish,
    pub resume_token: Option<Text<128>>,
}

/// What a joining leg wants in the same round trip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct MediaWish {
    /// A transport to send on.
    pub send: bool,
    /// A transport to receive on.
    pub recv: bool,
    /// Paused consumers for everything others send; needs `recv` and the leg's `rtpCapabilities`.
    pub consume: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    pub call_id: CallId,
    pub reason: Option<EndReason>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signal {
    pub call_id: CallId,
    #[serde(rename = "type")]
    pub kind: Text<32>,
    pub payload: Box<RawValue>,
    pub target_user_id: Option<UserId>,
    pub target_leg_id: Option<LegId>,
}

impl Signal {
    fn bounded(self) -> Result<Self, CommandError> {
        bound("payload", &self.payload, MAX_SIGNAL_BYTES)?;
        Ok(self)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    pub call_id: CallId,
    /// The last recorded event that the client has seen; without it, it wants the whole picture.
    pub since_seq: Option<i64>,
    /// The epoch of that event; if absent, the current one.
    pub epoch: Option<i64>,
}

impl Sync {
    pub(super) fn since(&self) -> Option<Since> {
        self.since_seq.map(|seq| Since { seq, epoch: self.epoch })
    }
}

/// The last recorded event that a client has seen.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    pub seq: i64,
    pub epoch: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mute {
    pub call_id: CallId,
    pub producer_id: ProducerId,
    /// Pause it rather than ask its sender to.
    #[serde(default)]
    pub force: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    pub call_id: CallId,
    pub user_id: UserId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    pub call_id: CallId,
    pub user_id: UserId,
    #[serde(flatten)]
    pub change: StandingChange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    pub call_id: CallId,
    pub locked: bool,
}

#[derive(Debug, Deserialize)]
pub struct Refresh {
    pub token: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetRtpCapabilities {
    pub call_id: CallId,
    pub rtp_capabilities: RtpCapabilities,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTransport {
    pub call_id: CallId,
    pub direction: Direction,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectTransport {
    pub transport_id: TransportId,
    pub dtls_parameters: DtlsParameters,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnTransport {
    pub transport_id: TransportId,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Produce {
    pub transport_id: TransportId,
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    pub app_data: AppData,
    #[serde(default)]
    pub paused: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnProducer {
    pub producer_id: ProducerId,
}

/// `{producerId}` and `{producerIds}` mean the same for one producer.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "fields::RawConsume")]
pub struct Consume {
    pub transport_id: TransportId,
    pub producer_ids: Vec<ProducerId>,
    pub paused: bool,
    pub preferred_layers: Option<Layers>,
}

/// `{consumerId}` and `{consumerIds}` mean the same for one consumer.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "fields::RawConsumers")]
pub struct Consumers {
    pub consumer_ids: Vec<ConsumerId>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnConsumer {
    pub consumer_id: ConsumerId,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPreferredLayers {
    pub consumer_id: ConsumerId,
    #[serde(flatten)]
    pub layers: Layers,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPriority {
    pub consumer_id: ConsumerId,
    /// 1 (least) to 255.
    pub priority: std::num::NonZeroU8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProduceData {
    pub transport_id: TransportId,
    pub sctp_stream_parameters: SctpStreamParameters,
    #[serde(default)]
    pub label: Text<256>,
    #[serde(default)]
    pub protocol: Text<256>,
    pub app_data: Option<Box<RawValue>>,
}

impl ProduceData {
    fn bounded(self) -> Result<Self, CommandError> {
        if let Some(app_data) = &self.app_data {
            bound("appData", app_data, MAX_APP_DATA_BYTES)?;
        }
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct OnDataProducer {
    pub id: DataProducerId,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumeData {
    pub transport_id: TransportId,
    pub data_producer_id: DataProducerId,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct OnDataConsumer {
    pub id: DataConsumerId,
}

fn read<T: DeserializeOwned>(payload: &str) -> Result<T, CommandError> {
    Ok(serde_json::from_str(payload)?)
}

fn bound(field: &'static str, json: &RawValue, limit: usize) -> Result<(), CommandError> {
    if json.get().len() > limit { Err(CommandError::TooLarge { field, limit }) } else { Ok(()) }
}

/// Room for any SDP; signals are passed on to others, so they are kept smaller than requests.
const MAX_SIGNAL_BYTES: usize = 64 * 1024;
/// Kept for the life of the data producer and repeated in every join.
const MAX_APP_DATA_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
