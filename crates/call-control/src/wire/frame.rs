//! A serialised event, and the names of frames that are neither request nor event.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::event::ServerEvent;

/// An event, serialised once for all its recipients.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    #[serde(rename = "event")]
    pub name: &'static str,
    #[serde(serialize_with = "as_it_is")]
    pub data: Arc<RawValue>,
}

impl Frame {
    /// # Errors
    /// [`serde_json::Error`] for an event without a JSON form, such as a map whose keys are not strings.
    pub fn new(event: &ServerEvent) -> Result<Self, serde_json::Error> {
        Ok(Self { name: event.name(), data: serde_json::value::to_raw_value(event)?.into() })
    }
}

fn as_it_is<S: Serializer>(data: &Arc<RawValue>, serializer: S) -> Result<S::Ok, S::Error> {
    data.as_ref().serialize(serializer)
}

/// Name of the first frame of a client that cannot send its token in a header.
pub const AUTH: &str = "auth";
/// Name of the frame of an acknowledgement.
pub const ACK: &str = "ack";
