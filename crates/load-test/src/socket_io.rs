//! A Socket.IO 5 client over a WebSocket (Engine.IO 4), as far as the load test needs it: one namespace, text
//! frames, requests with acknowledgements, events.

use crate::advice::setting_to_raise;
use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use reqwest::Url;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// A connected namespace. Dropping it disconnects.
pub(crate) struct SocketIo {
    requests: mpsc::Sender<Request>,
    pub(crate) events: mpsc::Receiver<Event>,
}

/// An event from the server.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

struct Request {
    event: &'static str,
    payload: Value,
    reply: oneshot::Sender<Value>,
}

impl SocketIo {
    /// Opens a WebSocket to the server at `base` and enters `namespace` with `auth`. Only `wanted` events are
    /// parsed: in a large call, most events report that others join and leave.
    pub(crate) async fn connect(
        base: &Url,
        namespace: &'static str,
        auth: &Value,
        wanted: &'static [&'static str],
    ) -> Result<Self> {
        let mut url = base.join("/socket.io/?EIO=4&transport=websocket")?;
        url.set_scheme("ws").map_err(|()| anyhow!("{base} cannot be a WebSocket URL"))?;
        let disable_nagle = true;
        let open = connect_async_with_config(url.as_str(), None, disable_nagle);
        let (stream, _) = timeout(REPLY_TIMEOUT, open).await?.context("opening a WebSocket")?;
        let mut wire = Wire { stream, namespace, wanted };
        timeout(REPLY_TIMEOUT, wire.enter(auth)).await.context("entering the namespace")??;
        let (requests, incoming) = mpsc::channel(64);
        let (outgoing, events) = mpsc::channel(EVENT_QUEUE);
        tokio::spawn(serve(wire, incoming, outgoing));
        Ok(Self { requests, events })
    }

    /// Emits `event` and waits for its acknowledgement's `data`.
    pub(crate) async fn request(&self, event: &'static str, payload: impl Serialize) -> Result<Value> {
        let (reply, answer) = oneshot::channel();
        let payload = serde_json::to_value(payload)?;
        self.requests
            .send(Request { event, payload, reply })
            .await
            .map_err(|_| anyhow!("the socket closed"))?;
        let answer =
            timeout(REPLY_TIMEOUT, answer).await.with_context(|| format!("{event}: no acknowledgement"))?;
        let mut ack = answer.with_context(|| format!("{event}: the socket closed"))?;
        if ack["ok"] == true {
            return Ok(ack["data"].take());
        }
        let (code, message) = (ack["error"]["code"].take(), ack["error"]["message"].take());
        let code = code.as_str().unwrap_or("no code");
        let setting = setting_to_raise(0, code);
        bail!("{event}: {} ({code}){setting}", message.as_str().unwrap_or("refused"));
    }
}

/// The framing of Engine.IO and Socket.IO on one WebSocket.
struct Wire {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    namespace: &'static str,
    wanted: &'static [&'static str],
}

impl Wire {
    async fn enter(&mut self, auth: &Value) -> Result<()> {
        self.send(format!("40{},{auth}", self.namespace)).await?;
        loop {
            match self.receive().await? {
                Packet::Connected => return Ok(()),
                Packet::Refused(reason) => bail!("the server refused the connection: {reason}"),
                Packet::Closed => bail!("the server left before the namespace was entered"),
                Packet::Open | Packet::Ping | Packet::Ack { .. } | Packet::Event(_) | Packet::Ignored => {}
            }
        }
    }

    async fn send(&mut self, text: String) -> Result<()> {
        Ok(self.stream.send(Message::text(text)).await?)
    }

    /// Returns the next packet; answers pings meanwhile.
    async fn receive(&mut self) -> Result<Packet> {
        loop {
            let message = self.stream.next().await.context("the server closed the socket")??;
            let Message::Text(text) = message else { continue };
            let packet = parse(&text, self.namespace, self.wanted);
            if packet != Packet::Ping {
                return Ok(packet);
            }
            self.send("3".to_owned()).await?;
        }
    }
}

/// Transports requests, acknowledgements and events until either side closes.
async fn serve(mut wire: Wire, mut requests: mpsc::Receiver<Request>, events: mpsc::Sender<Event>) {
    let mut pending: HashMap<u64, oneshot::Sender<Value>> = HashMap::new();
    for next_id in 0.. {
        let request = loop {
            tokio::select! {
                request = requests.recv() => break request,
                packet = wire.receive() => match packet {
                    Ok(Packet::Ack { id, data }) => {
                        // The caller may have stopped waiting.
                        pending.remove(&id).map(|reply| reply.send(data));
                    }
                    // The queue of events is full or closed: the peer has stopped reading, so disconnect.
                    Ok(Packet::Event(event)) => if events.try_send(event).is_err() { return },
                    Ok(Packet::Open | Packet::Ping | Packet::Connected | Packet::Ignored) => {}
                    Ok(Packet::Refused(_) | Packet::Closed) | Err(_) => return,
                },
            }
        };
        let Some(Request { event, payload, reply }) = request else { break };
        pending.insert(next_id, reply);
        let frame = format!("42{},{next_id}{}", wire.namespace, json!([event, payload]));
        if wire.send(frame).await.is_err() {
            return;
        }
    }
    // An error while disconnecting does not matter.
    let _ = wire.send(format!("41{},", wire.namespace)).await;
    let _ = wire.stream.close(None).await;
}

#[derive(Debug, PartialEq)]
enum Packet {
    Open,
    Ping,
    Connected,
    Refused(String),
    Ack {
        id: u64,
        data: Value,
    },
    Event(Event),
    Closed,
    /// A packet of another namespace, or an event that is not wanted.
    Ignored,
}

/// One text frame: an Engine.IO type digit, and in a message a Socket.IO type digit, namespace, id and JSON.
fn parse(frame: &str, namespace: &str, wanted: &[&str]) -> Packet {
    match frame.as_bytes().first() {
        Some(b'0') => return Packet::Open,
        Some(b'1') => return Packet::Closed,
        Some(b'2') => return Packet::Ping,
        _ => {}
    }
    let Some(kind) = frame.strip_prefix('4').and_then(|message| message.get(..1)) else {
        return Packet::Ignored;
    };
    let Some(rest) = frame.get(2..).and_then(|rest| rest.strip_prefix(namespace)) else {
        return Packet::Ignored;
    };
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let (id, body) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
    let is_called = |name: &&str| {
        let rest = body.strip_prefix("[\"").and_then(|body| body.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with('"'))
    };
    if kind == "2" && !wanted.iter().any(is_called) {
        return Packet::Ignored;
    }
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    match kind {
        "0" => Packet::Connected,
        "1" => Packet::Closed,
        "2" => match body[0].as_str() {
            Some(name) => Packet::Event(Event { name: name.to_owned(), data: body[1].take() }),
            None => Packet::Ignored,
        },
        "3" => match id.parse() {
            Ok(id) => Packet::Ack { id, data: body[0].take() },
            Err(_) => Packet::Ignored,
        },
        "4" => Packet::Refused(body["message"].as_str().unwrap_or("no reason given").to_owned()),
        _ => Packet::Ignored,
    }
}

/// Generous, for a server under load; normally a server answers within milliseconds.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);
/// Events queued for a peer that is busy.
const EVENT_QUEUE: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_lines_are_understood() {
        assert_eq!(
            parse(r#"0{"sid":"a","upgrades":[],"pingInterval":25000}"#, "/calls", &["call:ended"]),
            Packet::Open
        );
        assert_eq!(parse("2", "/calls", &["call:ended"]), Packet::Ping);
        assert_eq!(parse(r#"40/calls,{"sid":"b"}"#, "/calls", &["call:ended"]), Packet::Connected);
        let refused = parse(r#"44/calls,{"message":"unauthorized: bad token"}"#, "/calls", &["call:ended"]);
        assert_eq!(refused, Packet::Refused("unauthorized: bad token".into()));
        assert_eq!(parse("41/calls,", "/calls", &["call:ended"]), Packet::Closed);
    }

    #[test]
    fn an_acknowledgement_carries_its_requests_id() {
        let ack = parse(r#"43/calls,17[{"ok":true,"data":{"id":"x"}}]"#, "/calls", &["call:ended"]);
        assert_eq!(ack, Packet::Ack { id: 17, data: json!({"ok": true, "data": {"id": "x"}}) });
    }

    #[test]
    fn an_event_has_a_name_and_data_with_or_without_an_id() {
        let event = || Packet::Event(Event { name: "call:ended".into(), data: json!({"callId": "c"}) });
        assert_eq!(parse(r#"42/calls,["call:ended",{"callId":"c"}]"#, "/calls", &["call:ended"]), event());
        assert_eq!(parse(r#"42/calls,3["call:ended",{"callId":"c"}]"#, "/calls", &["call:ended"]), event());
    }

    #[test]
    fn events_that_nobody_wants_are_not_even_read() {
        for frame in [r#"42/calls,["call:ended-not",{}]"#, r#"42/calls,["participant-joined",{}]"#] {
            assert_eq!(parse(frame, "/calls", &["call:ended"]), Packet::Ignored);
        }
    }

    #[test]
    fn other_namespaces_and_nonsense_are_ignored() {
        for frame in
            ["", "4", "42", "9", "42[\"x\"]", "43/calls,[1]", "42/calls,{}", "4é/calls,", "42/other,[\"x\"]"]
        {
            assert_eq!(parse(frame, "/calls", &["call:ended"]), Packet::Ignored, "{frame}");
        }
    }
}
