use serde::Serialize;
use ts_rs::TS;
use utoipa::ToSchema;

/// A server as `RTCPeerConnection` takes it in `iceServers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, TS)]
pub struct IceServer {
    #[schema(example = json!(["turn:turn.example.org:3478?transport=udp"]))]
    pub urls: Vec<String>,
    /// Unix seconds until which it is valid, a colon, and the user's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub credential: Option<String>,
}
