//! The plain WebSocket carrier at `GET /calls/ws`, for clients without a Socket.IO library.
//!
//! Text frames hold JSON: `{id?, event, data}` each way. A request is answered by `{id, event: "ack", data}`, in the
//! order of the requests; one that cannot be read is answered like any other. The token comes in the `Authorization`
//! header or in a first frame `{event: "auth", data: {token}}`.
//!
//! A client that closes with 1000 says goodbye, and its legs end. Any other end, 1001 (a page that reloads) included,
//! is a lost connection: the legs wait for the resume window. The server closes with 1008 when the token does not let
//! the client in or on, with 1009 after a message that is too long, with 1012 when it stops, and with 1013 when the
//! client is too slow or should try again later.

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
use crate::carriers::http::client_address;
use crate::carriers::http::method_not_allowed;
use crate::carriers::http::problems::Handshake;

/// The running carrier.
#[derive(Clone)]
pub struct WebSocketCarrier {
    control: Control,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl WebSocketCarrier {
    /// The route to merge into the HTTP router, and the handle to close its connections with.
    pub fn new(control: Control) -> (Router, Self) {
        let carrier = Self { control, stop: CancellationToken::new(), connections: TaskTracker::new() };
        let router = Router::new()
            .route("/calls/ws", get(open_web_socket))
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(carrier.clone());
        (router, carrier)
    }

    /// Closes every connection, and waits until they have gone.
    pub async fn close(&self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Open a WebSocket
///
/// The same requests and events as over Socket.IO, in frames `{id?, event, data}`. The token comes in the
/// `Authorization` header or, from a browser, in a first frame `{"event": "auth", "data": {"token": "…"}}` within 5 s.
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
    let admission = match handshake::token(request.headers()).map_err(handshake::refused)? {
        Some(token) => {
            let admission = Admission::by_token(&control, token, address).await;
            Some(admission.map_err(handshake::refused)?)
        }
        None => None,
    };
    let upgrade = hyper::upgrade::on(&mut request);
    connections.spawn(async move {
        // A connection that breaks before it is a WebSocket has nobody to tell.
        let Ok(upgraded) = upgrade.await else { return };
        let stream =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config())).await;
        connection::serve(stream, connection::Guest { control, admission, address, stop }).await;
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

/// The longest request is a join with a browser's capabilities, some 20 kB.
const MAX_MESSAGE: usize = 256 * 1024;
/// Held by every connection, idle ones too; most messages are shorter.
const BUFFER: usize = 4 * 1024;

#[cfg(test)]
mod tests;
