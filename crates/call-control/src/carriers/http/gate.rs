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
    strangers::{StrangerCounts, Strangers, Visitor},
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

    /// A handshake that opens a socket: the socket finds its [`Visitor`] among the extensions of the request.
    async fn open_socket(&self, mut request: Request, next: Next) -> Result<Response, Refusal> {
        let visitor = self.strangers.enter(client_address(request.extensions()))?;
        own_if_web_socket(&visitor, &request);
        request.extensions_mut().insert(visitor);
        Ok(next.run(request).await)
    }

    async fn pass(&self, request: Request, next: Next) -> Result<Response, Refusal> {
        let knock = Knock::of(&request);
        let session = if let Knock::Session(id) = &knock { self.strangers.session(id) } else { None };
        // Load balancers probe often, and an admitted socket has an allowance of its own.
        let admitted = session.as_ref().filter(|visitor| visitor.is_admitted());
        if let Some(visitor) = admitted {
            own_if_web_socket(visitor, &request);
        }
        if admitted.is_some() || matches!(knock, Knock::Probe) {
            return Ok(next.run(request).await);
        }
        self.count(&request)?;
        match (knock, session) {
            (Knock::Session(_), Some(visitor)) => go_on(&visitor, request, next).await,
            (Knock::Handshake, _) => self.open_socket(request, next).await,
            (Knock::Probe | Knock::Request | Knock::Session(_), _) => Ok(next.run(request).await),
        }
    }
}

/// A request of an Engine.IO session that is not admitted yet.
async fn go_on(visitor: &Visitor, request: Request, next: Next) -> Result<Response, Refusal> {
    own_if_web_socket(visitor, &request);
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
    /// It opens a socket, of either carrier.
    Handshake,
    Request,
}

impl Knock {
    fn of(request: &Request) -> Self {
        let path = request.uri().path();
        if path.starts_with(PROBES) {
            return Self::Probe;
        }
        if path == PLAIN_WEB_SOCKET {
            return Self::Handshake;
        }
        if !path.starts_with(SOCKET_IO) || request.method() == Method::OPTIONS {
            return Self::Request;
        }
        match parameter(request.uri(), "sid") {
            Some(id) => Self::Session(id.to_owned()),
            None => Self::Handshake,
        }
    }
}

async fn let_go_in_time(strangers: Strangers) {
    while !strangers.is_gone() {
        tokio::time::sleep(LET_GO_EVERY).await;
        strangers.expire();
    }
}

/// A connection that becomes a WebSocket belongs to its socket alone.
fn own_if_web_socket(visitor: &Visitor, request: &Request) {
    if request.headers().contains_key(header::UPGRADE)
        && let Some(connection) = request.extensions().get::<Connection>()
    {
        visitor.own(connection);
    }
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
/// Bytes that a session may post at once before it is admitted.
const STRANGERS_POST: usize = 16 * 1024;
