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

/// A middleware that notes the [`ClientAddress`] of every request. It belongs outside of all that asks for it.
///
/// Only `X-Forwarded-For` is read: a proxy that writes one header leaves the others as the client sent them.
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

/// What [`note_client_address`] found, if the server was told the other end of the connection.
#[must_use]
pub fn client_address(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ClientAddress>().map(|ClientAddress(address)| *address)
}

const FORWARDED_FOR: &str = "x-forwarded-for";
