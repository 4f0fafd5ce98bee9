//! Runs the server: each part is started after the parts it needs, and stopped in reverse order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use switchyard_call_control::auth::SignIn;
use switchyard_call_control::carriers::WebSocketCarrier;
use switchyard_call_control::carriers::http::{Gate, note_client_address, pass_gate};
use switchyard_call_control::carriers::origin::guard_socket_io;
use switchyard_call_control::carriers::socketio::{SocketIoCarrier, keep_little};
use switchyard_call_control::{Control, carriers::rest};
use switchyard_media_worker::Media;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

use crate::config::{Config, Connections};
use crate::listener::{self, Limits, Places};
use crate::metrics::{self, Figures};
use crate::page;
use crate::trace;

/// Runs until SIGINT or SIGTERM, then stops within [`PATIENCE`].
pub(crate) async fn serve(config: Config, data_dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
    // Bind the ports first: if a port is in use, nothing else has been started.
    let listener = listen(config.listen).await?;
    let admin = match config.admin {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let address = listener.local_addr()?;
    let dev_sign_in = matches!(config.control.auth.sign_in, SignIn::Dev { .. });
    let media = Media::start(config.media).await.context("cannot start media")?;
    let control = Control::start(config.control, media.clone()).await.context("cannot start call control")?;
    let gate = Gate::new(Arc::clone(&control.limiter));
    let (router, carriers) = app(control.clone(), gate.clone());
    let places = Places::new(places_for(config.connections));

    let stop = CancellationToken::new();
    let server = tokio::spawn(listener::serve(listener, router, Arc::clone(&places), stop.clone()));
    if let Some(admin) = admin {
        tracing::info!("metrics are at http://{}/metrics", admin.local_addr()?);
        let router = metrics::router(Figures {
            control: control.clone(),
            media: media.clone(),
            gate,
            places: Arc::clone(&places),
        })
        .merge(trace::router(media.clone()));
        tokio::spawn(listener::serve(admin, router, places, stop.clone()));
    }
    announce(address, dev_sign_in);

    stop_signal().await?;
    tracing::info!("stopping");
    stop.cancel();
    let stopped = timeout(PATIENCE, async {
        tokio::join!(carriers.socket_io.close(), carriers.web_socket.close());
        // The end of the runtime aborts requests that take longer, such as downloads: recordings have to be closed in time.
        let _ = timeout(REQUESTS, server).await;
        control.shutdown().await;
        media.shutdown().await;
    });
    match stopped.await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("not everything stopped in time"),
    }
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// As many connections as are set, or as the limit of open files has room for.
fn places_for(Connections { in_all, per_address }: Connections) -> Limits {
    let room = listener::raise_descriptor_limit();
    if in_all.is_some_and(|wanted| wanted > room) {
        tracing::warn!("MAX_CONNECTIONS is more than the limit of open files allows: {room} connections");
    }
    Limits { in_all: in_all.map_or(room, |wanted| wanted.min(room)), per_address }
}

fn app(control: Control, gate: Gate) -> (Router, Carriers) {
    let cors = rest::cors(&control);
    let (layer, socket_io) = SocketIoCarrier::new(control.clone());
    let (route, web_socket) = WebSocketCarrier::new(control.clone());
    let origins = from_fn_with_state(Arc::clone(&control.origins), guard_socket_io);
    let client_address = from_fn_with_state(Arc::clone(&control.trusted_proxies), note_client_address);
    let proxies = from_fn_with_state(control.clone(), rest::watch_for_proxies);
    let router = rest::router(control)
        .merge(route)
        .fallback(page::serve)
        .layer(layer)
        .layer(from_fn(keep_little))
        .layer(origins)
        .layer(from_fn_with_state(gate, pass_gate))
        .layer(cors)
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        // Whoever answers with a fault logs it, with its cause.
        .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
        .layer(client_address)
        .layer(proxies);
    (router, Carriers { socket_io, web_socket })
}

/// The carriers, which hold clients' sockets open.
struct Carriers {
    socket_io: SocketIoCarrier,
    web_socket: WebSocketCarrier,
}

/// The query is not logged: it may contain secrets.
fn span(request: &Request) -> Span {
    tracing::info_span!("http", method = %request.method(), path = request.uri().path())
}

fn announce(address: SocketAddr, dev_sign_in: bool) {
    let port = address.port();
    if address.ip().is_loopback() {
        tracing::info!("open http://localhost:{port}");
    } else {
        tracing::info!("listening on http://{address}");
    }
    if dev_sign_in {
        tracing::warn!(
            "DEV SIGN-IN IS ON: anybody on this machine can sign in under any name. A proxy or tunnel on this \
             machine that adds no header looks like somebody on it: whoever it lets through could sign in as \
             well. Set JWT_SECRET or JWKS_URL to let your app say who is who, or DEV_SIGN_IN=off"
        );
    }
}

async fn stop_signal() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Time limit for stopping, less than the 10 s after which Docker kills the process.
const PATIENCE: Duration = Duration::from_secs(8);
/// Time that running requests have to finish.
const REQUESTS: Duration = Duration::from_secs(2);
