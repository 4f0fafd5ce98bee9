//! Checks that a request comes from this machine, and not through a proxy or from a page of another origin.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, header, request::Parts},
    middleware::Next,
    response::Response,
};

use crate::{
    carriers::origin::{host, only},
    control::Control,
    error::{ErrorCode, Refusal},
    origin::Origin,
};

/// Proof that a request comes from this machine, as far as this machine can tell: the peer address and the
/// `Host` are loopback (with DNS rebinding the `Host` is the page's own name), no proxy has named a client
/// since the server started, and a browser says that the page is one of this machine.
///
/// A proxy that passes requests on without adding a header looks like a browser of this machine.
pub(in crate::carriers::rest) struct Local;

impl FromRequestParts<Control> for Local {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Refusal> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
            return Err(forbidden("the request does not come from this machine"));
        }
        note_proxy(control, &parts.headers);
        if control.auth.is_behind_proxy() {
            return Err(forbidden(
                "requests come through a proxy, so sign-in by name is off until a restart",
            ));
        }
        if !host(&parts.headers, &parts.uri).is_some_and(|host| host.is_loopback()) {
            return Err(forbidden("the request does not name this machine as its host"));
        }
        if !is_page_of_this_machine(parts, control) {
            return Err(forbidden("pages of this origin are not allowed"));
        }
        Ok(Self)
    }
}

/// Middleware that looks for a proxy in every request: one is in front of all of them. It has to wrap all
/// handlers.
pub async fn watch_for_proxies(State(control): State<Control>, request: Request, next: Next) -> Response {
    note_proxy(&control, request.headers());
    next.run(request).await
}

fn note_proxy(control: &Control, headers: &HeaderMap) {
    if let Some(name) = headers.keys().find(|name| names_a_client(name)) {
        control.auth.note_proxy(name.as_str());
    }
}

/// Whether proxies add this header, to tell whom a request comes from, or that they passed it on.
fn names_a_client(name: &HeaderName) -> bool {
    let name = name.as_str();
    PROXY_HEADERS.contains(&name) || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Browsers send `Origin` with each POST, and `Sec-Fetch-Site` with each request (Fetch Metadata §2.3); other
/// programs need not.
fn is_page_of_this_machine(parts: &Parts, control: &Control) -> bool {
    let headers = &parts.headers;
    let fetched_here = !headers.contains_key(SEC_FETCH_SITE)
        || only::<String>(headers, &SEC_FETCH_SITE).is_some_and(|site| OWN_SITES.contains(&site.as_str()));
    let own = |origin: &Origin| host(headers, &parts.uri).is_some_and(|host| origin.is_served_by(&host));
    let may_ask = |origin: &Origin| origin.is_loopback() && (own(origin) || control.origins.contains(origin));
    let origin = || only::<Origin>(headers, &header::ORIGIN);
    fetched_here && (!headers.contains_key(header::ORIGIN) || origin().as_ref().is_some_and(may_ask))
}

fn forbidden(detail: &'static str) -> Refusal {
    Refusal::new(ErrorCode::Forbidden, detail)
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The page that asks is of the origin that it asks, or there is no page.
const OWN_SITES: [&str; 2] = ["same-origin", "none"];
/// RFC 7239, RFC 9110 §7.6.3, RFC 8586, and what products add.
const PROXY_HEADERS: [&str; 15] = [
    "cdn-loop",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "forwarded-for",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
];
const PROXY_PREFIXES: [&str; 6] =
    ["cf-", "tailscale-", "x-appengine-", "x-azure-", "x-envoy-", "x-forwarded"];

#[cfg(test)]
mod tests {
    use crate::carriers::rest::auth::local::*;

    #[test]
    fn whatever_names_a_client_gives_a_proxy_away() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-port",
            "forwarded",
            "via",
            "x-real-ip",
            "cf-ray",
            "true-client-ip",
        ] {
            assert!(names_a_client(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["host", "origin", "authorization", "user-agent", "connection", "sec-fetch-site"] {
            assert!(!names_a_client(&HeaderName::from_static(name)), "{name}");
        }
    }
}
