//! Sockets, whichever carrier they came by.
//!
//! [`Hub`] knows the connected sockets and who hears what; a [`Session`] answers one socket's commands in the order
//! sent. Carriers stay thin.

mod allowance;
pub mod hub;
pub mod seats;
pub mod session;
pub mod socketio;
#[cfg(test)]
mod testing;
pub mod websocket;

pub use hub::{Audience, Hub, Outlet, SocketId};
pub use session::{Admission, AdmissionError, Farewell, Session};
pub use socketio::SocketIoCarrier;
pub use websocket::WebSocketCarrier;
