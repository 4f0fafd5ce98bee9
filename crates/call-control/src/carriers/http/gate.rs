//! The gate in front of everything that the server answers: it counts requests by address, and handshakes of sockets
//! besides.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Connection, client_address,
    strangers::{Stranger, StrangerCounts, Strangers},
};
use crate::{
    error::{ErrorCode, Refusal},
    limiter::Limiter,
};

/// Cheap to clone; all clones are one gate.
#[derive(Clone)]
pub struct Gate {
    limiter: Arc<Limiter>,
    strangers: Strangers,
}

impl Gate {
    /// Has to be made inside a runtime: a task lets strangers go in time.
    #[must_use]
    pub fn new(limiter: Arc<Limiter>) -> Self {
        let strangers = Strangers::default();
        tokio::spawn(let_go_in_time(strangers.clone()));
        Self { limiter, strangers }
    }

    #[must_use]
    pub fn strangers(&self) -> StrangerCounts {
        self.strangers.counts()
    }

    fn count(&self, request: &Request) -> Result<(), Refusal> {
        client_address(request.extensions()).map_or(Ok(()), |from| self.limiter.count_address(from))
    }

    /// A handshake that opens a socket: the socket finds its [`Stranger`] among the extensions of the request.
    fn welcome(&self, request: &mut Request) -> Result<Stranger, Refusal> {
        let stranger = self.strangers.enter(client_address(request.extensions()))?;
        request.extensions_mut().insert(stranger.clone());
        Ok(stranger)
    }

    /// Opens an Engine.IO session by polling. The answer names the session.
    async fn open_session(&self, mut request: Request, next: Next) -> Result<Response, Refusal> {
        let stranger = self.welcome(&mut request)?;
        let (parts, body) = next.clone().run(request).await.into_parts();
        let body = to_bytes(body, OPEN_PACKET).await.map_err(|error| Refusal::internal(&error))?;
        if let Some(id) = session_of(&body) {
            let uri = format!("{SOCKET_IO}/?EIO=4&transport=polling&sid={id}").parse().unwrap_or_default();
            stranger.has_session(id, move || close_session(&uri, &next));
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// Opens a WebSocket, of either carrier.
    async fn open_socket(&self, mut request: Request, next: Next) -> Result<Response, Refusal> {
        let stranger = self.welcome(&mut request)?;
        if let Some(connection) = request.extensions().get::<Connection>() {
            stranger.own(connection);
        }
        Ok(next.run(request).await)
    }

    async fn pass(&self, request: Request, next: Next) -> Result<Response, Refusal> {
        let knock = Knock::of(&request);
        let session = if let Knock::Session(id) = &knock { self.strangers.session(id) } else { None };
        // Load balancers probe often, and an admitted socket has an allowance of its own.
        if matches!(knock, Knock::Probe) || session.as_ref().is_some_and(Stranger::is_admitted) {
            return Ok(next.run(request).await);
        }
        self.count(&request)?;
        match (knock, session) {
            (Knock::Session(_), Some(stranger)) => go_on(&stranger, request, next).await,
            (Knock::Polling, _) => self.open_session(request, next).await,
            (Knock::WebSocket, _) => self.open_socket(request, next).await,
            (Knock::Probe | Knock::Request | Knock::Session(_), _) => Ok(next.run(request).await),
        }
    }
}

/// A request of an Engine.IO session that is not admitted yet.
async fn go_on(stranger: &Stranger, request: Request, next: Next) -> Result<Response, Refusal> {
    if is_upgrade(&request)
        && let Some(connection) = request.extensions().get::<Connection>()
    {
        stranger.own(connection);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, STRANGERS_POST).await.map_err(|_| {
        let most = STRANGERS_POST / 1024;
        Refusal::new(ErrorCode::TooLarge, format!("before its token a session may post {most} KiB at once"))
    })?;
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("strangers", &self.strangers).finish_non_exhaustive()
    }
}

/// The middleware. It belongs outside of everything but the middleware that adds the client's address.
pub async fn pass_gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    gate.pass(request, next).await.unwrap_or_else(IntoResponse::into_response)
}

/// What a request wants, as far as the gate is concerned.
enum Knock {
    Probe,
    /// It belongs to the Engine.IO session with this id.
    Session(String),
    /// It opens an Engine.IO session by polling.
    Polling,
    /// It opens a WebSocket, of either carrier.
    WebSocket,
    Request,
}

impl Knock {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        if path.starts_with(PROBES) {
            return Self::Probe;
        }
        if path == PLAIN_WEB_SOCKET {
            return Self::WebSocket;
        }
        if !path.starts_with(SOCKET_IO) || request.method() == Method::OPTIONS {
            return Self::Request;
        }
        match parameter(request.uri(), "sid") {
            Some(id) => Self::Session(id.to_owned()),
            None if is_upgrade(request) => Self::WebSocket,
            None => Self::Polling,
        }
    }
}

async fn let_go_in_time(strangers: Strangers) {
    while !strangers.is_gone() {
        tokio::time::sleep(LET_GO_EVERY).await;
        strangers.expire();
    }
}

/// Ends an Engine.IO session as its client would, by a close packet.
fn close_session(uri: &Uri, next: &Next) {
    let mut request = Request::new(Body::from("1"));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    tokio::spawn(next.clone().run(request));
}

/// The id in an Engine.IO open packet: `0{"sid":"…",…}`.
fn session_of(packet: &[u8]) -> Option<&str> {
    #[derive(serde::Deserialize)]
    struct Open<'a> {
        sid: &'a str,
    }
    serde_json::from_slice(packet.strip_prefix(b"0")?).ok().map(|Open { sid }| sid)
}

fn is_upgrade(request: &Request) -> bool {
    request.headers().contains_key(header::UPGRADE)
}

/// Engine.IO clients write nothing into the query that would have to be decoded.
fn parameter<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut parameters = uri.query()?.split('&').filter_map(|parameter| parameter.split_once('='));
    parameters.find(|(key, _)| *key == name).map(|(_, value)| value)
}

const PROBES: &str = "/health/";
const SOCKET_IO: &str = "/socket.io";
const PLAIN_WEB_SOCKET: &str = "/calls/ws";
const LET_GO_EVERY: Duration = Duration::from_millis(500);
/// Bytes of an Engine.IO open packet, generously.
const OPEN_PACKET: usize = 4 * 1024;
/// Bytes that a session may post at once before it is admitted.
const STRANGERS_POST: usize = 16 * 1024;
