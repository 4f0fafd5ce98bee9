//! A peer's signaling: typed socket requests and events for joining, sending and receiving.

use crate::adaptation::{Bandwidth, Layers};
use crate::kind::Kind;
use crate::socket_io::{Event, SocketIo};
use anyhow::{Context, Result};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_peer::{DtlsParameters, TransportOptions};
use uuid::Uuid;

/// One peer's connection to its call.
pub(crate) struct Signaling {
    socket: SocketIo,
    call_id: String,
}

/// What a peer requests with [`Signaling::join`] in the same round trip: a transport for each direction, and
/// consumers of all producers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct MediaWish {
    pub(crate) send: bool,
    pub(crate) recv: bool,
    pub(crate) consume: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joined {
    pub(crate) transports: Transports,
    /// The producers that exist already.
    #[serde(default)]
    pub(crate) producers: Vec<Producer>,
    #[serde(default)]
    pub(crate) consumers: Vec<Consumer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Producer {
    pub(crate) producer_id: String,
    pub(crate) kind: Kind,
}

/// An event about other peers' media.
#[derive(Debug)]
pub(crate) enum MediaEvent {
    Produced(Producer),
    /// The consumer with this id was closed.
    ConsumerClosed(String),
    /// What the path to this peer carries.
    Bandwidth(Bandwidth),
    /// The consumer with this id gets these layers from here on.
    Layers(String, Layers),
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
    pub(crate) mime_type: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HeaderExtension {
    pub(crate) uri: String,
    pub(crate) id: u8,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Encoding {
    pub(crate) ssrc: u32,
    pub(crate) rtx: Option<Rtx>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Rtx {
    pub(crate) ssrc: u32,
}

impl Signaling {
    pub(crate) async fn connect(server: &Url, token: &str, call_id: &str) -> Result<Self> {
        let socket = SocketIo::connect(server, "/calls", &json!({ "token": token }), &MEDIA_EVENTS).await?;
        Ok(Self { socket, call_id: call_id.to_owned() })
    }

    pub(crate) async fn join(&self, wish: MediaWish, rtp_capabilities: &Value) -> Result<Joined> {
        let (call, device) = (&self.call_id, Uuid::new_v4());
        let request =
            json!({ "callId": call, "device": device, "rtpCapabilities": rtp_capabilities, "media": wish });
        self.request("call:join", request).await
    }

    pub(crate) async fn connect_transport(&self, transport: &str, dtls: &DtlsParameters) -> Result<()> {
        let request = json!({ "transportId": transport, "dtlsParameters": dtls });
        self.socket.request("media:connect-transport", request).await.map(drop)
    }

    /// Creates a producer and returns its id.
    pub(crate) async fn produce(
        &self,
        transport: &str,
        kind: Kind,
        source: &str,
        rtp: &Value,
    ) -> Result<String> {
        #[derive(Deserialize)]
        struct Produced {
            id: String,
        }
        let app_data = json!({ "source": source });
        let request =
            json!({ "transportId": transport, "kind": kind, "rtpParameters": rtp, "appData": app_data });
        Ok(self.request::<Produced>("media:produce", request).await?.id)
    }

    /// Creates paused consumers of these producers. Producers that are closed already are left out.
    pub(crate) async fn consume(&self, transport: &str, producers: &[String]) -> Result<Vec<Consumer>> {
        #[derive(Deserialize)]
        struct Consumed {
            consumers: Vec<Consumer>,
        }
        let request = json!({ "transportId": transport, "producerIds": producers, "paused": true });
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

    /// Waits for an event about other peers' media; an error once the socket is closed.
    pub(crate) async fn next_event(&mut self) -> Result<MediaEvent> {
        loop {
            let event = self.socket.events.recv().await.context("the server closed the signaling socket")?;
            if let Some(event) = media_event(event) {
                return Ok(event);
            }
        }
    }

    /// The next event, if one has arrived already.
    pub(crate) fn poll_event(&mut self) -> Option<MediaEvent> {
        std::iter::from_fn(|| self.socket.events.try_recv().ok()).find_map(media_event)
    }

    async fn request<T: DeserializeOwned>(&self, event: &'static str, payload: Value) -> Result<T> {
        let data = self.socket.request(event, payload).await?;
        serde_json::from_value(data).with_context(|| format!("{event}: unexpected answer"))
    }
}

fn media_event(event: Event) -> Option<MediaEvent> {
    match event.name.as_str() {
        NEW_PRODUCER => serde_json::from_value(event.data).ok().map(MediaEvent::Produced),
        CONSUMER_CLOSED => {
            event.data["consumerId"].as_str().map(|id| MediaEvent::ConsumerClosed(id.to_owned()))
        }
        BANDWIDTH => serde_json::from_value(event.data).ok().map(MediaEvent::Bandwidth),
        CONSUMER_LAYERS => {
            let consumer = event.data["consumerId"].as_str()?.to_owned();
            serde_json::from_value(event.data).ok().map(|layers| MediaEvent::Layers(consumer, layers))
        }
        _ => None,
    }
}

impl RtpParameters {
    /// The negotiated id of a header extension.
    pub(crate) fn extension(&self, uri: &str) -> Option<u8> {
        self.header_extensions.iter().find(|extension| extension.uri == uri).map(|extension| extension.id)
    }
}

const NEW_PRODUCER: &str = "media:new-producer";
const CONSUMER_CLOSED: &str = "media:consumer-closed";
const BANDWIDTH: &str = "media:bandwidth";
const CONSUMER_LAYERS: &str = "media:consumer-layers";
const MEDIA_EVENTS: [&str; 4] = [NEW_PRODUCER, CONSUMER_CLOSED, BANDWIDTH, CONSUMER_LAYERS];
