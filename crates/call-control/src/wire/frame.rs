//! A serialised event, and the names of frames that are neither request nor event.

use std::sync::{Arc, OnceLock};

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::event::ServerEvent;

/// An event, serialised once for all its recipients. All clones share its texts.
#[derive(Debug, Clone)]
pub struct Frame(Arc<Texts>);

#[derive(Debug)]
struct Texts {
    name: &'static str,
    plain: Utf8Bytes,
    /// Made when the first Socket.IO client needs it.
    socket_io: OnceLock<Utf8Bytes>,
}

impl Frame {
    /// # Errors
    /// [`serde_json::Error`] for an event without a JSON form, such as a map whose keys are not strings.
    pub fn new(event: &ServerEvent) -> Result<Self, serde_json::Error> {
        let name = event.name();
        let plain = serde_json::to_string(&Plain { event: name, data: event })?.into();
        Ok(Self(Arc::new(Texts { name, plain, socket_io: OnceLock::new() })))
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// `{"event": name, "data": data}`, as the plain WebSocket carries it.
    #[must_use]
    pub fn plain(&self) -> &Utf8Bytes {
        &self.0.plain
    }

    /// `2/calls,[name,data]`: an EVENT packet of Socket.IO (protocol revision 5).
    #[must_use]
    pub fn socket_io(&self) -> &Utf8Bytes {
        self.0
            .socket_io
            .get_or_init(|| format!("2{SOCKET_IO_NAMESPACE},[\"{}\",{}]", self.0.name, self.data()).into())
    }

    /// The JSON text of the event's data.
    #[must_use]
    pub fn data(&self) -> &str {
        let before = PLAIN_START.len() + self.0.name.len() + PLAIN_MIDDLE.len();
        let plain = self.0.plain.as_str();
        &plain[before..plain.len() - 1]
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.plain()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Plain<'a> {
    event: &'static str,
    data: &'a ServerEvent,
}

const PLAIN_START: &str = r#"{"event":""#;
const PLAIN_MIDDLE: &str = r#"","data":"#;

/// The namespace of the Socket.IO carrier.
pub const SOCKET_IO_NAMESPACE: &str = "/calls";
/// Name of the first frame of a client that cannot send its token in a header.
pub const AUTH: &str = "auth";
/// Name of the frame of an acknowledgement.
pub const ACK: &str = "ack";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_one_text_for_each_carrier() {
        let frame = Frame::new(&ServerEvent::ActiveCalls(Vec::new())).unwrap();
        assert_eq!(frame.plain().as_str(), r#"{"event":"active-calls","data":[]}"#);
        assert_eq!(frame.socket_io().as_str(), r#"2/calls,["active-calls",[]]"#);
        assert_eq!((frame.name(), frame.data()), ("active-calls", "[]"));
        assert_eq!(serde_json::to_string(&frame).unwrap(), frame.plain().as_str());
    }
}
