//! What tests of both carriers share: a server, and clients that speak the bare protocols.

pub(super) mod socketio_client;
pub(super) mod websocket_client;
pub(super) mod world;
