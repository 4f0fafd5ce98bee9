//! The Socket.IO carrier: namespace `/calls`, for unmodified socket.io-client 4.x.
//!
//! The library runs each event handler in a task of its own, which would lose the order; but extractors run
//! in the order of arrival. `Posted` is an extractor that puts the event into the bounded mailbox of its
//! socket, and one task per socket handles the mailbox. Handlers are registered during admission, so that an
//! event that arrives together with the connect packet is answered as well.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, Extension, SocketRef, State, TryData};
use socketioxide::handler::{ConnectHandler, FromMessage, FromMessageParts, Value};
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::{DisconnectReason, Socket};
use socketioxide::{SendError, SocketError, SocketIo};
use tokio::sync::{mpsc, watch};

use super::session::TOKEN_WITHIN;
use super::session::{Admission, AdmissionError, Farewell, Session};
use crate::Control;
use crate::carriers::http::{Stranger, client_address};
use crate::clock::now;
use crate::error::{ErrorCode, Refusal};
use crate::hub::{Closing, Outlet, SlowSocket};
use crate::wire::Frame;
use crate::wire::reply::Ack;

/// Handle of the running carrier.
#[derive(Clone)]
pub struct SocketIoCarrier {
    io: SocketIo,
}

impl SocketIoCarrier {
    /// Returns the layer to put around the HTTP router, and the handle to close the carrier.
    pub fn new(control: Control) -> (SocketIoLayer, Self) {
        let (layer, io) = SocketIo::builder()
            .ping_interval(PING)
            .ping_timeout(PING)
            .connect_timeout(TOKEN_WITHIN)
            .max_buffer_size(MAX_OUTGOING)
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .ws_max_frame_size(MAX_MESSAGE)
            .with_state(control)
            .build_layer();
        io.ns("/calls", serve.with(admit));
        (layer, Self { io })
    }

    /// Closes all connections. Clients treat this as a lost connection and reconnect.
    pub async fn close(&self) {
        self.io.close().await;
    }
}

/// Middleware that saves memory: the library keeps the request of each socket as long as the socket lives.
/// Headers and path refer to the read buffer of 8 KiB, which is freed only when none of them is left. So the
/// needed headers and the path are copied, and the others dropped.
pub async fn keep_little(mut request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/socket.io") {
        *request.headers_mut() = KEPT_HEADERS
            .iter()
            .filter_map(|name| Some((name, request.headers().get(name)?)))
            .filter_map(|(name, value)| Some((name.clone(), HeaderValue::from_bytes(value.as_bytes()).ok()?)))
            .collect();
        if let Ok(uri) = request.uri().to_string().parse() {
            *request.uri_mut() = uri;
            request.extensions_mut().remove::<OriginalUri>();
        }
    }
    next.run(request).await
}

/// The connect middleware: admits a socket by its token.
async fn admit(
    socket: SocketRef,
    TryData(auth): TryData<Auth>,
    State(control): State<Control>,
) -> Result<(), AdmissionError> {
    let Ok(Auth { token }) = auth else { return Err(AdmissionError::MissingToken) };
    let address = client_address(&socket.req_parts().extensions);
    let admission = Admission::by_token(&control, &token, address).await?;
    if let Some(stranger) = socket.req_parts().extensions.get::<Stranger>() {
        stranger.admit();
    }
    let (mailbox, letters) = mpsc::channel(MAILBOX);
    let (goodbye, farewell) = watch::channel(None);
    socket.on_fallback(async |_: Posted| {});
    socket.on_disconnect(async move |reason: DisconnectReason| {
        goodbye.send_replace(Some(reason));
    });
    socket.extensions.insert(Mailbox(mailbox));
    socket.extensions.insert(Entrance(Arc::new(Mutex::new(Some(Admitted { admission, letters, farewell })))));
    Ok(())
}

/// The connect handler: answers the requests of this socket until it disconnects.
async fn serve(socket: SocketRef, State(control): State<Control>, Extension(entrance): Extension<Entrance>) {
    let Some(admitted) = entrance.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let Admitted { admission, mut letters, mut farewell } = admitted;
    let mut session = Session::open(control, admission, Box::new(SocketOutlet(socket.clone())));
    session.greet().await;
    let overstayed = loop {
        tokio::select! {
            biased;
            _ = farewell.changed() => break false,
            () = session.overstayed() => break true,
            letter = letters.recv() => match letter {
                Some(letter) => letter.answer(&mut session).await,
                None => break false,
            },
        }
    };
    letters.close();
    while let Some(letter) = letters.recv().await {
        letter.answer(&mut session).await;
    }
    if overstayed {
        session.close(Farewell::Overstayed).await;
        disconnect(socket).await;
    } else {
        let reason = *farewell.borrow();
        session.close(farewell_of(reason)).await;
    }
}

#[derive(Deserialize)]
struct Auth {
    token: String,
}

#[derive(Clone)]
struct Mailbox(mpsc::Sender<Box<Letter>>);

/// Passed from the connect middleware to the connect handler of the same socket.
#[derive(Clone)]
struct Entrance(Arc<Mutex<Option<Admitted>>>);

struct Admitted {
    admission: Admission,
    letters: mpsc::Receiver<Box<Letter>>,
    farewell: watch::Receiver<Option<DisconnectReason>>,
}

/// One event as received: `["name", payload]`. Boxed, because a mailbox allocates places for dozens of
/// letters at once.
struct Letter {
    packet: Value,
    ack: AckSender,
    socket: SocketRef,
}

impl Letter {
    async fn answer(self, session: &mut Session) {
        let ack = match open_packet(&self.packet) {
            Ok((name, payload)) => session.answer(&name, payload.get(), now()).await,
            Err(refusal) => Ack(Err(refusal)),
        };
        send_ack(&self.socket, self.ack, &ack);
    }
}

/// Puts an event into the mailbox. It is an extractor because extractors run in the order of arrival.
struct Posted;

impl FromMessage<LocalAdapter> for Posted {
    type Error = Infallible;

    fn from_message(
        socket: Arc<Socket<LocalAdapter>>,
        mut packet: Value,
        ack_id: Option<i64>,
    ) -> Result<Self, Infallible> {
        let Ok(ack) = AckSender::from_message_parts(&socket, &mut packet, &ack_id);
        let Some(Mailbox(mailbox)) = socket.extensions.get() else { return Ok(Self) };
        let letter = Box::new(Letter { packet, ack, socket: socket.into() });
        if let Err(mpsc::error::TrySendError::Full(letter)) = mailbox.try_send(letter) {
            let letter = *letter;
            let refusal = Refusal::new(ErrorCode::RateLimited, "too many requests wait for an answer");
            send_ack(&letter.socket, letter.ack, &Ack(Err(refusal)));
        }
        Ok(Self)
    }
}

struct SocketOutlet(SocketRef);

impl Outlet for SocketOutlet {
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
        match self.0.emit(frame.name, &frame.data) {
            // A closed socket is not slow: its disconnect handler will run.
            Ok(()) | Err(SendError::Socket(SocketError::Closed) | SendError::Serialize(_)) => Ok(()),
            Err(SendError::Socket(SocketError::InternalChannelFull)) => Err(SlowSocket),
        }
    }

    fn close(&self, _why: Closing) {
        tokio::spawn(disconnect(self.0.clone()));
    }
}

/// Disconnects. The disconnect packet needs room in the send queue, which may be full: retries until there is
/// room, or the heartbeat timeout has closed the socket.
async fn disconnect(socket: SocketRef) {
    while socket.connected() && socket.clone().disconnect().is_err() {
        tokio::time::sleep(DISCONNECT_RETRY).await;
    }
}

/// Sends an acknowledgement. If the queue is full the socket is closed, so that the client notices the loss.
fn send_ack(socket: &SocketRef, ack: AckSender, answer: &Ack) {
    if let Err(SendError::Socket(SocketError::InternalChannelFull)) = ack.send(answer) {
        tokio::spawn(disconnect(socket.clone()));
    }
}

fn open_packet(packet: &Value) -> Result<(String, Box<RawValue>), Refusal> {
    let malformed = |detail: &'static str| Refusal::new(ErrorCode::BadRequest, detail);
    let Value::Str(text, None) = packet else { return Err(malformed("binary attachments are not taken")) };
    let mut parts: Vec<Box<RawValue>> =
        serde_json::from_str(text.as_str()).map_err(|_| malformed("the event is not JSON"))?;
    let payload = match parts.len() {
        2 => parts.remove(1),
        _ => return Err(malformed("an event takes exactly one argument")),
    };
    let name = serde_json::from_str(parts[0].get()).map_err(|_| malformed("the event has no name"))?;
    Ok((name, payload))
}

fn farewell_of(reason: Option<DisconnectReason>) -> Farewell {
    match reason {
        Some(DisconnectReason::ClientNSDisconnect) => Farewell::Left,
        Some(
            DisconnectReason::TransportClose
            | DisconnectReason::TransportError
            | DisconnectReason::HeartbeatTimeout
            | DisconnectReason::MultipleHttpPollingError
            | DisconnectReason::PacketParsingError
            | DisconnectReason::ServerNSDisconnect
            | DisconnectReason::ClosingServer,
        )
        | None => Farewell::Lost,
    }
}

/// The headers that the library reads: those of the WebSocket handshake (RFC 6455 §4.2.1), and the content
/// type of polling requests.
const KEPT_HEADERS: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::CONTENT_TYPE,
];
/// Ping interval and ping timeout: a dead connection is detected within twice this time.
const PING: Duration = Duration::from_secs(10);
/// In bytes. The longest request is a join with a browser's RTP capabilities, some 20 kB.
const MAX_MESSAGE: usize = 256 * 1024;
/// Requests of one socket that may wait. Another one is refused with `rate_limited`.
const MAILBOX: usize = 256;
/// Packets that may wait to be sent to one socket. A socket with more is closed.
const MAX_OUTGOING: usize = 4096;
const DISCONNECT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
