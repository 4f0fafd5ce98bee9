//! The checks of the WebSocket handshake.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::carriers::http::bearer;
use crate::error::{ErrorCode, Refusal};

/// The answer that upgrades the connection to a WebSocket.
///
/// # Errors
/// `bad_request` for a request that is no handshake (RFC 6455 §4.2.1) or has a query, because URLs are logged
/// and must not contain a token; `forbidden` for pages of an origin that is not allowed.
pub(super) fn accept(request: &Request, origins: &[HeaderValue]) -> Result<Response, Refusal> {
    if request.uri().query().is_some() {
        let detail =
            "this address takes no query; a token goes into the Authorization header or the first frame";
        return Err(Refusal::new(ErrorCode::BadRequest, detail));
    }
    if !is_allowed_origin(request.headers(), origins) {
        let detail = "pages of this origin are not allowed";
        return Err(Refusal::new(ErrorCode::Forbidden, detail));
    }
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

/// Browsers send `Origin` with each WebSocket handshake; other programs need not. The server's own page may
/// be served over TLS by a proxy, so both schemes are allowed for the own host.
fn is_allowed_origin(headers: &HeaderMap, allowed: &[HeaderValue]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    allowed.contains(origin) || is_own(origin, headers.get(header::HOST)).unwrap_or(false)
}

fn is_own(origin: &HeaderValue, host: Option<&HeaderValue>) -> Option<bool> {
    let origin = origin.to_str().ok()?;
    let page = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    Some(page.eq_ignore_ascii_case(host?.to_str().ok()?))
}

#[cfg(test)]
mod tests {
    use crate::carriers::websocket::handshake::*;

    #[test]
    fn only_pages_of_this_server_and_of_allowed_origins_may_connect() {
        let allowed = [HeaderValue::from_static("https://app.example")];
        let is_allowed = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("calls.example:3000"));
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            is_allowed_origin(&headers, &allowed)
        };
        for good in ["https://app.example", "http://calls.example:3000", "https://Calls.example:3000"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in
            ["null", "", "https://calls.example", "http://app.example", "https://app.example.evil.example"]
        {
            assert!(!is_allowed(bad), "{bad}");
        }
        assert!(is_allowed_origin(&HeaderMap::new(), &allowed));
    }
}
