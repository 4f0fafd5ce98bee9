//! An event as it is written, and the names of frames that are neither request nor event.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::ServerEvent;

/// An event serialised once for all its readers.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    #[serde(rename = "event")]
    pub name: &'static str,
    #[serde(serialize_with = "as_it_is")]
    pub data: Arc<RawValue>,
}

impl Frame {
    /// # Errors
    /// [`serde_json::Error`] for what has no JSON form, such as a map with keys that are no text.
    pub fn new(event: &ServerEvent) -> Result<Self, serde_json::Error> {
        Ok(Self { name: event.name(), data: serde_json::value::to_raw_value(event)?.into() })
    }
}

fn as_it_is<S: Serializer>(data: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    data.as_ref().serialize(serializer)
}

/// The event of the first frame of a client that could not send its token in a header.
pub const AUTH: &str = "auth";
/// The event of every answer.
pub const ACK: &str = "ack";
