//! The checks of the WebSocket handshake.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::carriers::http::bearer;
use crate::carriers::origin::check_origin;
use crate::error::{ErrorCode, Refusal};
use crate::origin::Origin;

/// The answer that upgrades the connection to a WebSocket.
///
/// # Errors
/// `bad_request` for a request that is no handshake (RFC 6455 §4.2.1) or has a query, because URLs are logged
/// and must not contain a token; `forbidden` for pages of an origin that is not allowed.
pub(super) fn accept(request: &Request, origins: &[Origin]) -> Result<Response, Refusal> {
    if request.uri().query().is_some() {
        let detail =
            "this address takes no query; a token goes into the Authorization header or the first frame";
        return Err(Refusal::new(ErrorCode::BadRequest, detail));
    }
    check_origin(request.headers(), request.uri(), origins)?;
    create_response_with_body(request, Body::empty).map_err(|error| {
        Refusal::new(ErrorCode::BadRequest, format!("this is no WebSocket handshake: {error}"))
    })
}

/// Answers a refused handshake, with the supported protocol version (RFC 6455 §4.2.2).
pub(super) fn refused(refusal: impl Into<Refusal>) -> Response {
    ([(header::SEC_WEBSOCKET_VERSION, "13")], refusal.into()).into_response()
}

/// The bearer token of the `Authorization` header; `None` without that header.
///
/// # Errors
/// `unauthorized` if the header contains no bearer token.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    if headers.contains_key(header::AUTHORIZATION) { bearer(headers).map(Some) } else { Ok(None) }
}
