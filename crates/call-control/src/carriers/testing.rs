//! Shared by the tests of both carriers: a server, and clients of the bare protocols.

pub(super) mod socketio_client;
pub(super) mod websocket_client;
pub(super) mod world;
