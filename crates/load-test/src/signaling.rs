//! What a peer says to the server: the socket events of joining, sending and receiving, typed.

use crate::socket_io::SocketIo;
use anyhow::{Context, Result};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use switchyard_peer::{DtlsParameters, TransportOptions};
use uuid::Uuid;

/// One peer's connection to its call.
pub(crate) struct Signaling {
    socket: SocketIo,
    call_id: String,
}

/// What a peer wants from [`Signaling::join`] in the same round trip.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Send,
    Receive,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joined {
    pub(crate) transports: Transports,
    #[serde(default)]
    pub(crate) consumers: Vec<Consumer>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Transports {
    pub(crate) send: Option<TransportOptions>,
    pub(crate) recv: Option<TransportOptions>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Consumer {
    pub(crate) id: String,
    pub(crate) producer_id: String,
    pub(crate) rtp_parameters: RtpParameters,
    pub(crate) paused: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RtpParameters {
    pub(crate) codecs: Vec<Codec>,
    #[serde(default)]
    pub(crate) header_extensions: Vec<HeaderExtension>,
    pub(crate) encodings: Vec<Encoding>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Codec {
    pub(crate) clock_rate: u32,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HeaderExtension {
    pub(crate) uri: String,
    pub(crate) id: u8,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Encoding {
    pub(crate) ssrc: u32,
}

impl Signaling {
    pub(crate) async fn connect(server: &Url, token: &str, call_id: &str) -> Result<Self> {
        let socket = SocketIo::connect(server, "/calls", &json!({ "token": token })).await?;
        Ok(Self { socket, call_id: call_id.to_owned() })
    }

    /// Joins and, in the same round trip, gets the transport and (to receive) the consumers.
    pub(crate) async fn join(&self, purpose: Purpose, rtp_capabilities: &Value) -> Result<Joined> {
        let media = match purpose {
            Purpose::Send => json!({ "send": true }),
            Purpose::Receive => json!({ "recv": true, "consume": true }),
        };
        let (call, device) = (&self.call_id, Uuid::new_v4());
        let request =
            json!({ "callId": call, "device": device, "rtpCapabilities": rtp_capabilities, "media": media });
        self.request("call:join", request).await
    }

    pub(crate) async fn connect_transport(&self, transport: &str, dtls: &DtlsParameters) -> Result<()> {
        let request = json!({ "transportId": transport, "dtlsParameters": dtls });
        self.socket.request("media:connect-transport", request).await.map(drop)
    }

    pub(crate) async fn produce(&self, transport: &str, kind: &str, source: &str, rtp: &Value) -> Result<()> {
        let app_data = json!({ "source": source });
        let request =
            json!({ "transportId": transport, "kind": kind, "rtpParameters": rtp, "appData": app_data });
        self.socket.request("media:produce", request).await.map(drop)
    }

    /// Consumers of producers that appeared after joining.
    pub(crate) async fn consume(&self, transport: &str, producer: &str) -> Result<Vec<Consumer>> {
        #[derive(Deserialize)]
        struct Consumed {
            consumers: Vec<Consumer>,
        }
        let request = json!({ "transportId": transport, "producerIds": [producer], "paused": true });
        Ok(self.request::<Consumed>("media:consume", request).await?.consumers)
    }

    pub(crate) async fn resume_consumers(&self, consumers: &[Consumer]) -> Result<()> {
        let paused: Vec<&str> = consumers.iter().filter(|c| c.paused).map(|c| c.id.as_str()).collect();
        if paused.is_empty() {
            return Ok(());
        }
        self.socket.request("media:resume-consumer", json!({ "consumerIds": paused })).await.map(drop)
    }

    pub(crate) async fn leave(&self) -> Result<()> {
        self.socket.request("call:leave", json!({ "callId": self.call_id })).await.map(drop)
    }

    /// Waits for somebody to publish something; pending for ever once the socket is closed.
    pub(crate) async fn next_producer(&mut self) -> String {
        while let Some(event) = self.socket.events.recv().await {
            if event.name == "media:new-producer"
                && let Some(producer) = event.data["producerId"].as_str()
            {
                return producer.to_owned();
            }
        }
        std::future::pending().await
    }

    async fn request<T: DeserializeOwned>(&self, event: &'static str, payload: Value) -> Result<T> {
        let data = self.socket.request(event, payload).await?;
        serde_json::from_value(data).with_context(|| format!("{event}: unexpected answer"))
    }
}

impl RtpParameters {
    /// The id that a header extension has in these packets.
    pub(crate) fn extension(&self, uri: &str) -> Option<u8> {
        self.header_extensions.iter().find(|extension| extension.uri == uri).map(|extension| extension.id)
    }
}

pub(crate) const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(crate) const ABS_SEND_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
pub(crate) const TRANSPORT_CC_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub(crate) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
