//! Accepts TCP connections and serves HTTP on them. No client can keep a connection, or all of them, for nothing: each
//! step has a time limit, and there are limits per address and in all.

mod body;
mod pace;
mod places;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(target_os = "linux")]
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use switchyard_call_control::carriers::http::Connection;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use body::{RequestBody, ResponseBody};
use pace::Pace;
pub(crate) use places::{Counts, Limits, Places, raise_descriptor_limit};
use stream::{STALL, Stream};

/// Serves connections until `stop`, then lets running requests finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    places: Arc<Places>,
    stop: CancellationToken,
) {
    // Without this, the router would build its middleware anew for each request, with its state.
    let router = router.with_state(());
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                accept(stream, peer, &router, &places, &connections, &stop);
            }
            Err(error) => pause_after(&error).await,
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    router: &Router,
    places: &Arc<Places>,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    send_at_once(&stream);
    notice_stalls(&stream);
    let (connection, pace) = (Connection::new(), Arc::new(Pace::new()));
    let Some(place) = places.take(peer.ip(), connection.clone(), Arc::clone(&pace)) else { return };
    let stream = Stream::new(stream, connection.clone(), Arc::clone(&pace), place);
    let served = converse(stream, peer, connection, pace, router.clone(), stop.clone());
    connections.spawn(served);
}

/// Serves requests on one connection until it is closed, or becomes a WebSocket.
async fn converse(
    stream: Stream<TcpStream>,
    peer: SocketAddr,
    connection: Connection,
    pace: Arc<Pace>,
    router: Router,
    stop: CancellationToken,
) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (router, pace) = (router.clone(), Arc::clone(&pace));
        let mut request = request.map(|body| Body::new(RequestBody::new(body, Arc::clone(&pace))));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(connection.clone());
        async move {
            let response = router.oneshot(request).await?;
            Ok::<_, std::convert::Infallible>(response.map(|body| ResponseBody::new(body, pace)))
        }
    });
    let mut http = http1::Builder::new();
    // The time for the head is part of the pace, which knows an idle connection from one that sends slowly.
    http.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEADER);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        // How a client's connection ends is the client's business.
        _ = &mut served => return,
        () = pace.overrun() => return,
        () = stop.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    tokio::select! {
        _ = &mut served => {}
        () = pace.overrun() => {}
    }
}

/// Without a free descriptor, accepting fails at once, again and again.
async fn pause_after(error: &io::Error) {
    let of_the_client = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];
    if !of_the_client.contains(&error.kind()) {
        tracing::warn!(%error, "connections cannot be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Disables Nagle's algorithm: signaling messages are small and urgent, and must not wait for the
/// acknowledgement of the previous one.
fn send_at_once(connection: &TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
}

/// Lets the kernel end a connection whose client acknowledges nothing, or has no room, for [`STALL`]. A client that is sent
/// little would fill the kernel's buffers only after many minutes, and [`Stream`] would notice only then.
fn notice_stalls(connection: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        setsockopt(connection, TcpUserTimeout, &u32::try_from(STALL.as_millis()).unwrap_or(u32::MAX))
    {
        tracing::debug!(%error, "a connection may stall for long");
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a request's head: room for a token of several KiB among the headers.
const MAX_HEADER: usize = 32 * 1024;

#[cfg(test)]
mod tests;
