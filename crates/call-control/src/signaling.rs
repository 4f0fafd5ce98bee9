//! Sockets, whichever carrier they came by.
//!
//! A [`Session`] answers one socket's commands in the order sent. Carriers stay thin.

mod allowance;
pub mod session;
pub mod socketio;
#[cfg(test)]
mod testing;
pub mod websocket;

pub use session::{Admission, AdmissionError, Farewell, Session};
pub use socketio::SocketIoCarrier;
pub use websocket::WebSocketCarrier;
