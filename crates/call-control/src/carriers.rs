//! The edges: what comes over HTTP or a socket becomes a typed command here, and answers are written.
//!
//! [`rest`] has a file for each verb. [`socketio`] and [`websocket`] carry the same vocabulary (`wire`): a
//! [`Session`] answers one socket's commands in the order sent, whichever carrier it came by.

mod allowance;
pub mod http;
pub mod origin;
pub mod rest;
pub mod session;
pub mod socketio;
#[cfg(test)]
mod testing;
pub mod websocket;

pub use session::{Admission, AdmissionError, Farewell, Session};
pub use socketio::SocketIoCarrier;
pub use websocket::WebSocketCarrier;
