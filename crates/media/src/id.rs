//! Public ids of an SFU's objects. The caller chooses them; they must be random, so that they cannot be
//! guessed.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id!(
    /// One call's media; `webrtcRoomId` in the call record.
    RouterId
);
id!(
    /// One ICE + DTLS-SRTP connection.
    TransportId
);
id!(
    /// A track received from a client.
    ProducerId
);
id!(
    /// A track sent to one transport.
    ConsumerId
);
id!(
    /// A data channel received from a client.
    DataProducerId
);
id!(
    /// A data channel sent to one transport.
    DataConsumerId
);

/// The number of one SFU among those that share routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);
