//! A client of the plain WebSocket carrier.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(in crate::carriers) struct PlainClient {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u64,
    events: VecDeque<(String, Value)>,
    /// In their order: `>` a request that the client sent with an id, `<` whatever it received.
    pub(in crate::carriers) frames: Vec<(char, Value)>,
}

impl PlainClient {
    /// Connects with the token in the `Authorization` header.
    pub(in crate::carriers) async fn connect(address: SocketAddr, token: &str) -> Self {
        let authorization = format!("Bearer {token}").parse().unwrap();
        Self::open(address, "", &[(header::AUTHORIZATION, authorization)]).await.unwrap()
    }

    pub(in crate::carriers) async fn anonymous(address: SocketAddr) -> Self {
        Self::open(address, "", &[]).await.unwrap()
    }

    /// Opens a connection; the error is the HTTP status of a refused handshake.
    pub(in crate::carriers) async fn open(
        address: SocketAddr,
        query: &str,
        headers: &[(header::HeaderName, HeaderValue)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{address}/calls/ws{query}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        match connect_async(request).await {
            Ok((stream, _)) => Ok(Self { stream, next_id: 0, events: VecDeque::new(), frames: Vec::new() }),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends the token in the first frame, and returns the answer.
    pub(in crate::carriers) async fn sign_in(&mut self, token: &str) -> Value {
        self.request("auth", &json!({ "token": token })).await
    }

    pub(in crate::carriers) async fn request(&mut self, event: &str, payload: &Value) -> Value {
        let id = self.post(event, payload).await;
        let (answered, ack) = self.ack().await;
        assert_eq!(answered, json!(id), "answers come in the order of the requests");
        ack
    }

    pub(in crate::carriers) async fn ok(&mut self, event: &str, payload: &Value) -> Value {
        let ack = self.request(event, payload).await;
        assert_eq!(ack["ok"], true, "{event}: {ack}");
        ack["data"].clone()
    }

    pub(in crate::carriers) async fn refused(&mut self, event: &str, payload: &Value) -> String {
        let ack = self.request(event, payload).await;
        assert_eq!(ack["ok"], false, "{event}: {ack}");
        ack["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Sends a request without waiting for its answer.
    pub(in crate::carriers) async fn post(&mut self, event: &str, payload: &Value) -> u64 {
        self.next_id += 1;
        let frame = json!({"id": self.next_id, "event": event, "data": payload});
        self.send(frame.to_string()).await;
        self.frames.push(('>', frame));
        self.next_id
    }

    /// The id (null without one) and the data of the next answer.
    pub(in crate::carriers) async fn ack(&mut self) -> (Value, Value) {
        loop {
            let mut frame = self.frame().await.expect("the connection is open");
            if frame["event"] == "ack" {
                return (frame["id"].take(), frame["data"].take());
            }
            self.keep(frame);
        }
    }

    /// The next event of this name; the events before it are dropped.
    pub(in crate::carriers) async fn event(&mut self, name: &str) -> Value {
        loop {
            let (event, payload) = self.any_event().await;
            if event == name {
                return payload;
            }
        }
    }

    pub(in crate::carriers) async fn any_event(&mut self) -> (String, Value) {
        while self.events.is_empty() {
            let frame = self.frame().await.expect("the connection is open");
            self.keep(frame);
        }
        self.events.pop_front().unwrap()
    }

    /// Reads to the end. Returns code and reason of the close frame; `None` without a close frame.
    pub(in crate::carriers) async fn end(&mut self) -> Option<(u16, String)> {
        loop {
            if let Err(end) = self.frame().await {
                return end;
            }
        }
    }

    pub(in crate::carriers) async fn send(&mut self, text: String) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    pub(in crate::carriers) async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.stream.send(Message::binary(bytes)).await.unwrap();
    }

    pub(in crate::carriers) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        self.stream.close(Some(frame)).await.unwrap();
        self.end().await;
    }

    fn keep(&mut self, mut frame: Value) {
        let name = frame["event"].as_str().unwrap().to_owned();
        assert_eq!(frame.as_object().map(serde_json::Map::len), Some(2), "{frame}");
        self.events.push_back((name, frame["data"].take()));
    }

    async fn frame(&mut self) -> Result<Value, Option<(u16, String)>> {
        // Pings must not prolong the wait.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match timeout_at(deadline, self.stream.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.frames.push(('<', frame.clone()));
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => panic!("unexpected message {message:?}"),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(60);
