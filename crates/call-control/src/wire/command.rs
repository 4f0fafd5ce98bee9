//! All requests of a client over a socket, parsed once when they arrive.

mod fields;
mod payload;

use serde_json::{Value, value::RawValue};

use fields::MAX_IDS;
pub use fields::{Rung, Text, TooMany};
pub use payload::*;

use super::reply::{
    Consumed, Created, DataConsumerView, Done, IceRestarted, Joined, NewTransport, OfCall,
    RouterCapabilities, Stats, Synced, TokenAccepted,
};
use super::typescript::Module;
use crate::error::{ErrorCode, Refusal};

/// Declares the requests of clients, a row for each: its name on the wire, its payload, and the data of its
/// acknowledgement.
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
            /// The names of the table.
            #[cfg(test)]
            pub(crate) const NAMES: &[&str] = &[$($name),+];

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
    pub enum ClientCommand {
        "call:join": Join(Box<Join>) -> Joined,
        "call:leave": Leave(InCall) -> Done,
        "call:end": End(End) -> OfCall,
        "call:ring": Ring(Ring) -> OfCall,
        "call:decline": Decline(InCall) -> Done,
        "call:signal": Signal(Signal) -> Done,
        "call:sync": Sync(Sync) -> Synced,
        "call:mute": Mute(Mute) -> Done,
        "call:remove": Remove(Remove) -> Done,
        "call:permit": Permit(Permit) -> Done,
        "call:lock": Lock(Lock) -> OfCall,
        "recording:start": StartRecording(StartRecording) -> OfCall,
        "recording:pause": PauseRecording(InCall) -> OfCall,
        "recording:resume": ResumeRecording(InCall) -> OfCall,
        "recording:stop": StopRecording(InCall) -> OfCall,
        /// Whether this device may be recorded, where the recording asks for consent.
        "recording:consent": Consent(AnswerConsent) -> OfCall,
        /// Replaces the socket's token with a newer one of the same user.
        "auth:refresh": Refresh(Refresh) -> TokenAccepted,
        /// The router's RTP capabilities are the same for all calls, so no owner task has to answer this.
        "media:router-capabilities": RouterCapabilities(InCall) -> RouterCapabilities,
        "media:set-rtp-capabilities": SetRtpCapabilities(SetRtpCapabilities) -> Done,
        "media:create-transport": CreateTransport(CreateTransport) -> NewTransport,
        /// Statistics measured by the client: accepted and not stored.
        "media:client-stats": ClientStats(ClientStats) -> Done,
        ;
        /// A command on an object of one of the socket's legs; the payload has the object's id, but not the
        /// call's.
        Media(MediaCommand),
    }
}

commands! {
    /// Commands of a leg on its own transports, producers and consumers.
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

impl ClientCommand {
    /// Parses one request; `payload` is its JSON argument.
    ///
    /// # Errors
    /// [`CommandError`], to send in the acknowledgement.
    pub fn parse(name: &str, payload: &str) -> Result<Self, CommandError> {
        let command = match Self::read(name, payload)? {
            Some(command) => command,
            None => Self::Media(MediaCommand::read(name, payload)?.ok_or(CommandError::UnknownEvent)?),
        };
        // serde also accepts an array of a struct's fields; only an object is allowed here.
        if !payload.trim_start().starts_with('{') {
            return Err(CommandError::NotAnObject);
        }
        command.check_sizes()?;
        Ok(command)
    }

    /// The number of consumers that the request may create or change: what a request costs that lists them, or
    /// that asks for all there are.
    pub(crate) fn consumers(&self) -> u32 {
        let listed = if let Self::Media(MediaCommand::Consume(consume)) = self {
            consume.producer_ids.len()
        } else if let Self::Media(
            MediaCommand::PauseConsumers(listed)
            | MediaCommand::ResumeConsumers(listed)
            | MediaCommand::CloseConsumers(listed),
        ) = self
        {
            listed.consumer_ids.len()
        } else if let Self::Join(join) = self
            && join.media.consume
        {
            MAX_IDS
        } else {
            0
        };
        u32::try_from(listed).unwrap_or(u32::MAX)
    }

    /// Checks the size of JSON that is forwarded without parsing, as no type bounds it.
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

/// Why a request cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("no such event")]
    UnknownEvent,
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the argument has to be an object")]
    NotAnObject,
    #[error("`{field}` is longer than {limit} bytes")]
    TooLarge { field: &'static str, limit: usize },
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::UnknownEvent => ErrorCode::UnknownEvent,
            CommandError::Malformed(_) | CommandError::NotAnObject => ErrorCode::BadRequest,
            CommandError::TooLarge { .. } => ErrorCode::TooLarge,
        };
        Self::new(code, error.to_string())
    }
}

fn bound(field: &'static str, json: &RawValue, limit: usize) -> Result<(), CommandError> {
    if json.get().len() > limit {
        return Err(CommandError::TooLarge { field, limit });
    }
    // Parsing it as a `Value` limits its nesting, which protects recursive parsers of the receivers.
    serde_json::from_str::<Value>(json.get())?;
    Ok(())
}

/// Bytes: enough for any SDP. Signals are forwarded to others, so the limit is lower than that of requests.
const MAX_SIGNAL_BYTES: usize = 64 * 1024;
/// Bytes. The `appData` is stored with the data producer and sent in the answer to each join.
const MAX_APP_DATA_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
