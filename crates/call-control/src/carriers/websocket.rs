//! The plain WebSocket carrier at `GET /calls/ws`, for clients without a Socket.IO library.
//!
//! Text frames hold JSON: `{id?, event, data}` in both directions. A request is answered with `{id, event:
//! "ack", data}`, in the order of the requests; a malformed request is answered too. The token is sent in the
//! `Authorization` header or in a first frame `{event: "auth", data: {token}}`.
//!
//! If the client closes with code 1000, its legs end. Any other end, also code 1001 (a page that reloads),
//! counts as a lost connection: the legs stay open for the resume window. Close codes of the server (RFC 6455
//! §7.4, and 1012 and 1013 of the IANA registry): 1008 if the token is missing, refused, expired or revoked,
//! or the user has too many sockets; 1009 after a message that is too long; 1012 when the server stops; 1013
//! when the client reads too slowly or should try again later.

mod connection;
mod frame;
mod handshake;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::session::Admission;
use crate::Control;
use crate::carriers::http::Visitor;
use crate::carriers::http::client_address;
use crate::carriers::http::method_not_allowed;
use crate::carriers::http::problems::Handshake;

/// Handle of the running carrier.
#[derive(Clone)]
pub struct WebSocketCarrier {
    control: Control,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl WebSocketCarrier {
    /// Returns the route to merge into the HTTP router, and the handle to close the connections.
    pub fn new(control: Control) -> (Router, Self) {
        let carrier = Self { control, stop: CancellationToken::new(), connections: TaskTracker::new() };
        let router = Router::new()
            .route("/calls/ws", get(open_web_socket))
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(carrier.clone());
        (router, carrier)
    }

    /// Closes all connections, and waits until they have ended.
    pub async fn close(&self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Open a WebSocket
///
/// The same requests and events as over Socket.IO, in frames `{id?, event, data}`. The token comes in the
/// `Authorization` header or, from a browser, in a first frame `{"event": "auth", "data": {"token": "…"}}` within 3 s.
#[utoipa::path(
    get, path = "/calls/ws", tag = "calls",
    security((), ("token" = [])),
    responses(
        (status = 101, description = "The connection is a WebSocket now"),
        Handshake,
    )
)]
pub(crate) async fn open_web_socket(
    State(carrier): State<WebSocketCarrier>,
    mut request: Request,
) -> Result<Response, Response> {
    let WebSocketCarrier { control, stop, connections } = carrier;
    let accepted = handshake::accept(&request, &control.origins).map_err(handshake::refused)?;
    let address = client_address(request.extensions());
    let visitor = request.extensions().get::<Visitor>().cloned();
    let admission = match handshake::token(request.headers()).map_err(handshake::refused)? {
        Some(token) => {
            let admission = Admission::by_token(&control, token, address).await;
            Some(admission.map_err(handshake::refused)?)
        }
        None => None,
    };
    let upgrade = hyper::upgrade::on(&mut request);
    connections.spawn(async move {
        // If the connection breaks before the upgrade, no answer is possible.
        let Ok(upgraded) = upgrade.await else { return };
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config())).await;
        connection::serve(stream, connection::Guest { control, admission, address, visitor, stop }).await;
    });
    Ok(accepted)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
}

/// In bytes. The longest request is a join with a browser's RTP capabilities, some 20 kB.
const MAX_MESSAGE: usize = 256 * 1024;
/// Bytes of each read and write buffer. All connections hold them, also idle ones; most messages are shorter.
const BUFFER: usize = 4 * 1024;

#[cfg(test)]
mod tests;
