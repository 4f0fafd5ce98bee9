use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::Extensions,
    middleware::Next,
    response::Response,
};

use crate::address::{ClientAddress, TrustedProxy, client_of};

/// Middleware that adds the [`ClientAddress`] to each request. It has to wrap all handlers and middleware
/// that read the address.
///
/// Only `X-Forwarded-For` is read: a proxy that sets one such header forwards the others unchanged from the
/// client.
pub async fn note_client_address(
    State(proxies): State<Arc<[TrustedProxy]>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if let Some(peer) = peer {
        let client = client_of(peer, request.headers().get_all(FORWARDED_FOR).iter(), &proxies);
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

/// The address that [`note_client_address`] added; `None` if the server does not provide the peer's address.
#[must_use]
pub fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address)
}

const FORWARDED_FOR: &str = "x-forwarded-for";
