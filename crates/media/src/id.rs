//! Names of the things an SFU holds, as the outside knows them. The caller chooses them: random, so unguessable.

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
    /// One call's media; the call record knows it as `webrtcRoomId`.
    RouterId
);
id!(
    /// One ICE + DTLS-SRTP connection.
    TransportId
);
id!(
    /// A track coming in.
    ProducerId
);
id!(
    /// A track going out to one transport.
    ConsumerId
);
id!(
    /// A data channel coming in.
    DataProducerId
);
id!(
    /// A data channel going out to one transport.
    DataConsumerId
);

/// One SFU among those that share routers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);
