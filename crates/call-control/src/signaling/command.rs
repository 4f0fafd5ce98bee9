//! Everything a client may ask over a socket, parsed once at the edge.

mod fields;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use switchyard_media_worker::media::ortc::{
    DtlsParameters, Layers, MediaKind, RtpCapabilities, RtpParameters, SctpStreamParameters,
};
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerId, DataProducerId, Direction, ProducerId, TransportId,
};
use ts_rs::TS;

pub use fields::{Text, TooMany};

use super::reply::{
    Consumed, Created, DataConsumerView, Done, IceRestarted, Joined, NewTransport, OfCall,
    RouterCapabilities, Stats, Synced, TokenAccepted,
};
use super::typescript::Module;
use crate::call::{EndReason, StandingChange};
use crate::calls::media::AppData;
use crate::error::{ErrorCode, Refusal};
use crate::ids::{CallId, DeviceId, LegId, UserId};

/// Declares what clients may ask, a row for each request: its name on the wire, what it carries, and what its
/// acknowledgement holds.
macro_rules! commands {
    (
        $(#[$about:meta])*
        pub enum $Commands:ident {
            $($(#[$doc:meta])* $name:literal: $Command:ident($Payload:ty) -> $Reply:ty,)+
            $(; $(#[$rest_doc:meta])* $Rest:ident($RestCommands:ty),)?
        }
    ) => {
        $(#[$about])*
        pub enum $Commands {
            $($(#[$doc])* $Command($Payload),)+
            $($(#[$rest_doc])* $Rest($RestCommands),)?
        }

        impl $Commands {
            /// `None` for a name that is not in the table.
            fn read(name: &str, payload: &str) -> Result<Option<Self>, CommandError> {
                Ok(Some(match name {
                    $($name => Self::$Command(serde_json::from_str(payload)?),)+
                    _ => return Ok(None),
                }))
            }

            /// Declares the table in TypeScript.
            pub(super) fn describe(module: &mut Module) {
                $(module.request::<$Payload, $Reply>($name);)+
            }
        }
    };
}

commands! {
    /// One request of a client.
    #[derive(Debug)]
    pub enum Command {
        "call:join": Join(Box<Join>) -> Joined,
        "call:leave": Leave(InCall) -> Done,
        "call:end": End(End) -> OfCall,
        "call:signal": Signal(Signal) -> Done,
        "call:sync": Sync(Sync) -> Synced,
        "call:mute": Mute(Mute) -> Done,
        "call:remove": Remove(Remove) -> Done,
        "call:permit": Permit(Permit) -> Done,
        "call:lock": Lock(Lock) -> OfCall,
        /// Goes on with a newer token of the same user.
        "auth:refresh": Refresh(Refresh) -> TokenAccepted,
        /// The router's abilities are the same for every call, so no call has to answer this.
        "media:router-capabilities": RouterCapabilities(InCall) -> RouterCapabilities,
        "media:set-rtp-capabilities": SetRtpCapabilities(SetRtpCapabilities) -> Done,
        "media:create-transport": CreateTransport(CreateTransport) -> NewTransport,
        /// Reports of the client's own statistics: taken, kept nowhere.
        "media:client-stats": ClientStats(ClientStats) -> Done,
        ;
        /// About a thing that belongs to one of the socket's legs, named by its own id.
        Media(MediaCommand),
    }
}

commands! {
    /// What a leg may do with its own transports, producers and consumers.
    #[derive(Debug, Clone)]
    pub enum MediaCommand {
        "media:connect-transport": ConnectTransport(ConnectTransport) -> Done,
        "media:restart-ice": RestartIce(OnTransport) -> IceRestarted,
        "media:close-transport": CloseTransport(OnTransport) -> Done,
        "media:get-stats": TransportStats(OnTransport) -> Stats,
        "media:produce": Produce(Produce) -> Created,
        "media:pause-producer": PauseProducer(OnProducer) -> Done,
        "media:resume-producer": ResumeProducer(OnProducer) -> Done,
        "media:close-producer": CloseProducer(OnProducer) -> Done,
        "media:consume": Consume(Consume) -> Consumed,
        "media:pause-consumer": PauseConsumers(Consumers) -> Done,
        "media:resume-consumer": ResumeConsumers(Consumers) -> Done,
        "media:close-consumer": CloseConsumers(Consumers) -> Done,
        "media:set-preferred-layers": SetPreferredLayers(SetPreferredLayers) -> Done,
        "media:set-priority": SetPriority(SetPriority) -> Done,
        "media:request-key-frame": RequestKeyFrame(OnConsumer) -> Done,
        "media:produce-data": ProduceData(ProduceData) -> Created,
        "media:close-data-producer": CloseDataProducer(OnDataProducer) -> Done,
        "media:consume-data": ConsumeData(ConsumeData) -> DataConsumerView,
        "media:close-data-consumer": CloseDataConsumer(OnDataConsumer) -> Done,
    }
}

impl Command {
    /// Reads one event; `payload` is its JSON argument.
    ///
    /// # Errors
    /// [`CommandError`], to be answered in the ack.
    pub fn parse(name: &str, payload: &str) -> Result<Self, CommandError> {
        let command = match Self::read(name, payload)? {
            Some(command) => command,
            None => Self::Media(MediaCommand::read(name, payload)?.ok_or(CommandError::UnknownEvent)?),
        };
        command.check_sizes()?;
        Ok(command)
    }

    /// JSON that is passed on unread has no type that bounds it.
    fn check_sizes(&self) -> Result<(), CommandError> {
        if let Self::Signal(signal) = self {
            bound("payload", &signal.payload, MAX_SIGNAL_BYTES)?;
        }
        if let Self::Media(MediaCommand::ProduceData(ProduceData { app_data: Some(app_data), .. })) = self {
            bound("appData", app_data, MAX_APP_DATA_BYTES)?;
        }
        Ok(())
    }
}

/// Anything: it is not looked at.
#[derive(Debug, Deserialize, TS)]
pub struct ClientStats(#[ts(type = "unknown")] IgnoredAny);

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
    pub rtp_capabilities: Option<RtpCapabilities>,
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
#[serde(rename_all = "camelCase")]
pub struct Permit {
    pub call_id: CallId,
    pub user_id: UserId,
    #[serde(flatten)]
    pub change: StandingChange,
}

#[derive(Debug, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    pub call_id: CallId,
    pub locked: bool,
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
    pub rtp_capabilities: RtpCapabilities,
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
#[serde(try_from = "fields::RawConsume")]
#[ts(as = "fields::RawConsume")]
pub struct Consume {
    #[ts(type = "string")]
    pub transport_id: TransportId,
    pub producer_ids: Vec<ProducerId>,
    pub paused: bool,
    pub preferred_layers: Option<Layers>,
}

/// `{consumerId}` and `{consumerIds}` mean the same for one consumer.
#[derive(Debug, Clone, Deserialize, TS)]
#[serde(try_from = "fields::RawConsumers")]
#[ts(as = "fields::RawConsumers")]
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
    /// 1 (least) to 255.
    pub priority: std::num::NonZeroU8,
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

fn bound(field: &'static str, json: &RawValue, limit: usize) -> Result<(), CommandError> {
    if json.get().len() > limit { Err(CommandError::TooLarge { field, limit }) } else { Ok(()) }
}

/// Room for any SDP; signals are passed on to others, so they are kept smaller than requests.
const MAX_SIGNAL_BYTES: usize = 64 * 1024;
/// Kept for the life of the data producer and repeated in every join.
const MAX_APP_DATA_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
