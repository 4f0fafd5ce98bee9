//! The carriers: they parse HTTP requests and socket events into typed commands, and write the answers.
//!
//! [`rest`] has a file for each operation. [`socketio`] and [`websocket`] carry the same protocol (`wire`): a
//! [`Session`] answers the requests of one socket in the order sent, whatever the carrier.

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
