//! A client of the bare protocol: Engine.IO 4 and Socket.IO 5 over one WebSocket, without a client library.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(in crate::carriers) struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_ack: u64,
    acks: HashMap<u64, Value>,
    events: VecDeque<(String, Value)>,
    /// All text frames received, for tests that check what must not be in them.
    pub(in crate::carriers) frames: Vec<String>,
}

impl Client {
    pub(in crate::carriers) async fn connect(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::handshake(address).await;
        client.enter(&json!({ "token": token })).await.unwrap();
        client
    }

    pub(in crate::carriers) async fn handshake(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (stream, _) = connect_async(url).await.unwrap();
        let mut client =
            Self { stream, next_ack: 0, acks: HashMap::new(), events: VecDeque::new(), frames: Vec::new() };
        assert!(client.frame().await.starts_with("0{"));
        client
    }

    /// Connects to the namespace. Returns the session id, or the text of `connect_error`.
    pub(in crate::carriers) async fn enter(&mut self, auth: &Value) -> Result<String, String> {
        self.send(format!("40/calls,{auth}")).await;
        let text = |packet: &str, field: &str| {
            let packet: Value = serde_json::from_str(packet).unwrap();
            packet[field].as_str().unwrap().to_owned()
        };
        let frame = self.frame().await;
        match frame.strip_prefix("40/calls,") {
            Some(packet) => Ok(text(packet, "sid")),
            None => Err(text(frame.strip_prefix("44/calls,").unwrap(), "message")),
        }
    }

    pub(in crate::carriers) async fn request(&mut self, event: &str, payload: &Value) -> Value {
        let id = self.post(event, payload).await;
        self.ack(id).await
    }

    /// Sends a request that has to succeed, and returns the data of its answer.
    pub(in crate::carriers) async fn ok(&mut self, event: &str, payload: &Value) -> Value {
        let ack = self.request(event, payload).await;
        assert_eq!(ack["ok"], true, "{event}: {ack}");
        ack["data"].clone()
    }

    /// Sends a request that has to fail, and returns the error code.
    pub(in crate::carriers) async fn refused(&mut self, event: &str, payload: &Value) -> String {
        let ack = self.request(event, payload).await;
        assert_eq!(ack["ok"], false, "{event}: {ack}");
        ack["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Sends a request without waiting for its answer.
    pub(in crate::carriers) async fn post(&mut self, event: &str, payload: &Value) -> u64 {
        self.post_raw(&format!("[{},{payload}]", json!(event))).await
    }

    pub(in crate::carriers) async fn post_raw(&mut self, packet: &str) -> u64 {
        self.next_ack += 1;
        let id = self.next_ack;
        self.send(format!("42/calls,{id}{packet}")).await;
        id
    }

    pub(in crate::carriers) async fn ack(&mut self, id: u64) -> Value {
        loop {
            if let Some(ack) = self.acks.remove(&id) {
                return ack;
            }
            self.receive().await;
        }
    }

    /// The next event of this name; the events before it are dropped.
    pub(in crate::carriers) async fn event(&mut self, name: &str) -> Value {
        loop {
            while let Some((event, payload)) = self.events.pop_front() {
                if event == name {
                    return payload;
                }
            }
            self.receive().await;
        }
    }

    /// Names of the events that were received and not returned yet.
    pub(in crate::carriers) fn pending(&self) -> Vec<&str> {
        self.events.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(in crate::carriers) async fn send(&mut self, frame: String) {
        self.stream.send(Message::text(frame)).await.unwrap();
    }

    pub(in crate::carriers) async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    /// The name of the next event.
    pub(in crate::carriers) async fn any_event(&mut self) -> String {
        loop {
            if let Some((event, _)) = self.events.pop_front() {
                return event;
            }
            self.receive().await;
        }
    }

    /// Drops the connection without a close.
    pub(in crate::carriers) fn vanish(self) {
        drop(self);
    }

    async fn receive(&mut self) {
        let frame = self.frame().await;
        let Some(packet) = frame.strip_prefix("42/calls,").or_else(|| frame.strip_prefix("43/calls,")) else {
            panic!("unexpected frame {frame}");
        };
        if frame.starts_with("43") {
            let (id, ack) = packet.split_once('[').unwrap();
            let [ack] = serde_json::from_str(&format!("[{ack}")).unwrap();
            assert!(self.acks.insert(id.parse().unwrap(), ack).is_none(), "acknowledged twice");
        } else {
            self.events.push_back(serde_json::from_str(packet).unwrap());
        }
    }

    /// The disconnect packet of the namespace; `None` if the connection ends without one.
    pub(in crate::carriers) async fn goodbye(&mut self) -> Option<String> {
        while let Some(frame) = self.next_frame().await {
            if frame.starts_with("41") {
                return Some(frame);
            }
        }
        None
    }

    pub(in crate::carriers) async fn frame(&mut self) -> String {
        self.next_frame().await.unwrap()
    }

    /// The next text frame that is not a ping.
    async fn next_frame(&mut self) -> Option<String> {
        // Pings must not prolong the wait.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = match timeout_at(deadline, self.stream.next()).await.unwrap()? {
                Ok(Message::Text(frame)) => frame,
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(message) => panic!("unexpected message {message:?}"),
            };
            if message.as_str() == "2" {
                self.send("3".to_owned()).await;
            } else {
                self.frames.push(message.to_string());
                return Some(message.to_string());
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
