//! Checks that a request comes from this machine, and not through a proxy or from a page of another origin.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};

use crate::{
    control::Control,
    error::{ErrorCode, Refusal},
};

/// Proof that a request comes from this machine: the peer address and the `Host` are loopback (with DNS
/// rebinding the `Host` is the page's own name), there are no proxy headers, and the `Origin`, if present, is
/// allowed.
pub(in crate::carriers::rest) struct Local;

impl FromRequestParts<Control> for Local {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Refusal> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
            return Err(forbidden("the request does not come from this machine"));
        }
        if PROXY_HEADERS.iter().any(|name| parts.headers.contains_key(*name)) {
            return Err(forbidden("the request came through a proxy"));
        }
        let host = host(parts).filter(|host| is_loopback_host(host));
        let host = host.ok_or_else(|| forbidden("the request does not name this machine as its host"))?;
        if !is_allowed_origin(&parts.headers, &host, &control.origins) {
            return Err(forbidden("pages of this origin are not allowed"));
        }
        Ok(Self)
    }
}

/// The host of a request: in HTTP/1.1 the `Host` header, in HTTP/2 the authority of the target.
fn host(parts: &Parts) -> Option<String> {
    match parts.headers.get(header::HOST) {
        Some(host) => host.to_str().ok().map(str::to_owned),
        None => parts.uri.authority().map(ToString::to_string),
    }
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let is_loopback = |name: &str| name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    name.is_some_and(|name| name.eq_ignore_ascii_case("localhost") || is_loopback(name))
}

/// Browsers send `Origin` with each POST; other programs need not.
fn is_allowed_origin(headers: &HeaderMap, host: &str, allowed: &[HeaderValue]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let own = origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host));
    own || allowed.contains(origin)
}

fn forbidden(detail: &'static str) -> Refusal {
    Refusal::new(ErrorCode::Forbidden, detail)
}

const PROXY_HEADERS: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

#[cfg(test)]
mod tests {
    use crate::carriers::rest::auth::local::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_hosts() {
        for good in ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.1.2.3:80", "[::1]:3000"] {
            assert!(is_loopback_host(good), "{good}");
        }
        for bad in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "[::2]:1",
            "::1",
        ] {
            assert!(!is_loopback_host(bad), "{bad}");
        }
    }

    #[test]
    fn a_page_is_allowed_by_name_or_as_the_servers_own() {
        let allowed = [HeaderValue::from_static("http://localhost:5173")];
        let from = |origin: &'static str| {
            let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            is_allowed_origin(&headers, "localhost:3000", &allowed)
        };
        assert!(from("http://localhost:5173"));
        assert!(from("http://localhost:3000"));
        assert!(!from("http://localhost:3001"));
        assert!(!from("https://evil.example"));
        assert!(!from("null"));
        assert!(is_allowed_origin(&HeaderMap::new(), "localhost:3000", &allowed));
    }
}
