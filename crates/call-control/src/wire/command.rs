//! Everything a client may ask over a socket, parsed once at the edge.

mod fields;
mod payload;

use serde_json::{Value, value::RawValue};

pub use fields::{Text, TooMany};
pub use payload::*;

use super::reply::{
    Consumed, Created, DataConsumerView, Done, IceRestarted, Joined, NewTransport, OfCall,
    RouterCapabilities, Stats, Synced, TokenAccepted,
};
use super::typescript::Module;
use crate::error::{ErrorCode, Refusal};

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

impl ClientCommand {
    /// Reads one event; `payload` is its JSON argument.
    ///
    /// # Errors
    /// [`CommandError`], to be answered in the ack.
    pub fn parse(name: &str, payload: &str) -> Result<Self, CommandError> {
        let command = match Self::read(name, payload)? {
            Some(command) => command,
            None => Self::Media(MediaCommand::read(name, payload)?.ok_or(CommandError::UnknownEvent)?),
        };
        // A struct can also be read from a list of its fields, which nobody means.
        if !payload.trim_start().starts_with('{') {
            return Err(CommandError::NotAnObject);
        }
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

/// Why an event is not a command.
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
    // Reading it as a value bounds how deep it is nested: those it is passed on to may have to recurse.
    serde_json::from_str::<Value>(json.get())?;
    Ok(())
}

/// Room for any SDP; signals are passed on to others, so they are kept smaller than requests.
const MAX_SIGNAL_BYTES: usize = 64 * 1024;
/// Kept for the life of the data producer and repeated in every join.
const MAX_APP_DATA_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
