//! The Socket.IO carrier: namespace `/calls`, for unmodified socket.io-client 4.x.
//!
//! The library carries Engine.IO: handshakes, long polling, WebSockets, the change from one to the other, and
//! heartbeats. The packets of Socket.IO, which it carries, are read and written here. So an event is one text in
//! memory for all its recipients, what waits for a socket is bounded by bytes, requests keep their order, and a socket
//! that reads too slowly is dropped like a lost connection, after which clients come back by themselves. (After a
//! DISCONNECT packet they do not.)

mod line;
mod packet;
mod visit;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use engineioxide::config::EngineIoConfig;
use engineioxide::handler::EngineIoHandler;
use engineioxide::layer::EngineIoLayer;
use engineioxide::{DisconnectReason, Socket, Str};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::line::{Line, Place};
use self::visit::Visit;
use crate::Control;
use crate::carriers::http::Visitor;
use crate::hub::outbox::MOST_MESSAGES;

/// Handle of the running carrier.
#[derive(Clone)]
pub struct SocketIoCarrier {
    control: Control,
    stop: CancellationToken,
    visits: TaskTracker,
}

impl SocketIoCarrier {
    /// Returns the layer to put around the HTTP router, and the handle to close the carrier.
    pub fn new(control: Control) -> (EngineIoLayer<Self>, Self) {
        let carrier = Self { control, stop: CancellationToken::new(), visits: TaskTracker::new() };
        let config = EngineIoConfig::builder()
            .req_path("/socket.io")
            .ping_interval(PING)
            .ping_timeout(PING)
            // Besides the messages there are heartbeats.
            .max_buffer_size(MOST_MESSAGES + 16)
            .max_payload(MAX_MESSAGE as u64)
            .ws_max_message_size(MAX_MESSAGE)
            .ws_max_frame_size(MAX_MESSAGE)
            .build();
        (EngineIoLayer::from_config(Arc::new(carrier.clone()), config), carrier)
    }

    /// Closes all connections, and waits until they have ended. Clients treat this as a lost connection and reconnect.
    pub async fn close(&self) {
        self.stop.cancel();
        self.visits.close();
        self.visits.wait().await;
    }
}

impl EngineIoHandler for SocketIoCarrier {
    type Data = Place;

    fn on_connect(self: Arc<Self>, socket: Arc<Socket<Place>>) {
        if let Some(visitor) = socket.req_parts.extensions.get::<Visitor>() {
            // The socket keeps the request and with it the visitor, which therefore must not keep the socket.
            let session = Arc::downgrade(&socket);
            visitor.has_session(socket.id.as_str().into(), move || {
                if let Some(socket) = session.upgrade() {
                    socket.close(DisconnectReason::TransportError);
                }
            });
        }
        let letters = Place::open(&socket, self.control.hub.outbox());
        let visit = Visit::new(self.control.clone(), Line::of(socket), letters, self.stop.clone());
        self.visits.spawn(visit.run());
    }

    fn on_message(self: &Arc<Self>, message: Str, socket: Arc<Socket<Place>>) {
        Line::of(socket).deliver(&message);
    }

    /// Attachments of an event that has been refused.
    fn on_binary(self: &Arc<Self>, _data: Bytes, _socket: Arc<Socket<Place>>) {}

    fn on_disconnect(&self, socket: Arc<Socket<Place>>, _reason: DisconnectReason) {
        Line::of(socket).end();
    }
}

impl fmt::Debug for SocketIoCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoCarrier").field("visits", &self.visits.len()).finish_non_exhaustive()
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

#[cfg(test)]
mod tests;
