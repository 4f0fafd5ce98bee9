//! Which pages may use the server: its own, and those of the allowed origins. One rule for REST, Socket.IO and
//! plain WebSockets.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::cors::AllowOrigin;

use crate::{
    carriers::http::NO_STORE,
    error::{ErrorCode, Refusal},
    origin::{Authority, Origin},
};

/// Middleware in front of `/socket.io`: refuses pages that may not use the server, since a WebSocket is not
/// subject to CORS, and lets nobody store the answers to polling, which hold resume tokens and TURN
/// credentials. It has to wrap [`super::socketio::keep_little`], which drops the headers.
pub async fn guard_socket_io(State(allowed): State<Arc<[Origin]>>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/socket.io") {
        return next.run(request).await;
    }
    let mut response = match check_origin(request.headers(), request.uri(), &allowed) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
    response
}

/// Browsers send `Origin` with each WebSocket handshake and each request to another origin; other programs
/// need not.
///
/// # Errors
/// `forbidden` for a page that is neither of an allowed origin nor the server's own.
pub(crate) fn check_origin(headers: &HeaderMap, uri: &Uri, allowed: &[Origin]) -> Result<(), Refusal> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = only::<Origin>(headers, &header::ORIGIN);
    let may_connect = |origin: &Origin| {
        allowed.contains(origin) || host(headers, uri).is_some_and(|host| origin.is_served_by(&host))
    };
    if origin.as_ref().is_some_and(may_connect) {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::Forbidden, "pages of this origin are not allowed"))
    }
}

/// The rule of CORS: the answer repeats the origin of the request if it is allowed.
pub(crate) fn cors_rule(allowed: Arc<[Origin]>) -> AllowOrigin {
    AllowOrigin::predicate(move |origin, _: &Parts| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse().ok());
        origin.is_some_and(|origin| allowed.contains(&origin))
    })
}

/// The host of a request: in HTTP/1.1 the one `Host` header (RFC 9112 §3.2), in HTTP/2 the authority of the
/// target. `None` for several, or if it is malformed.
pub(crate) fn host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    match uri.authority().filter(|_| !headers.contains_key(header::HOST)) {
        Some(authority) => authority.as_str().parse().ok(),
        None => only(headers, &header::HOST),
    }
}

/// The value of a header that may be there once.
pub(crate) fn only<T: std::str::FromStr>(headers: &HeaderMap, name: &HeaderName) -> Option<T> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_pages_of_this_server_and_of_allowed_origins_may_connect() {
        let allowed = ["https://app.example".parse().unwrap()];
        let uri = Uri::from_static("/calls/ws");
        let is_allowed = |origin: &'static str| {
            let headers = headers(&[(header::HOST, "calls.example:3000"), (header::ORIGIN, origin)]);
            check_origin(&headers, &uri, &allowed).is_ok()
        };
        for good in [
            "https://app.example",
            "HTTPS://App.Example:443",
            "http://calls.example:3000",
            "https://Calls.example:3000",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in
            ["null", "", "https://calls.example", "http://app.example", "https://app.example.evil.example"]
        {
            assert!(!is_allowed(bad), "{bad}");
        }
        assert!(check_origin(&HeaderMap::new(), &uri, &allowed).is_ok());
    }

    #[test]
    fn two_origins_or_two_hosts_count_as_none() {
        let uri = Uri::from_static("/calls/ws");
        let (ours, other) = ("http://calls.example", "http://evil.example");
        let mut twice = headers(&[(header::HOST, "calls.example"), (header::ORIGIN, ours)]);
        assert!(check_origin(&twice, &uri, &[]).is_ok());
        twice.append(header::ORIGIN, other.parse().unwrap());
        assert!(check_origin(&twice, &uri, &[]).is_err());
        let mut twice = headers(&[(header::HOST, "evil.example"), (header::ORIGIN, ours)]);
        twice.append(header::HOST, "calls.example".parse().unwrap());
        assert!(check_origin(&twice, &uri, &[]).is_err());
        assert_eq!(host(&twice, &uri), None);
    }
}
