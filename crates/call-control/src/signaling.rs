//! What goes over a socket, whichever carrier it came by.
//!
//! [`Command`] is everything a client may ask and [`ServerEvent`] everything it is told: these two
//! enums are the only home of wire names, and [`typescript`] prints them for clients. [`Hub`] knows the connected sockets and who hears what;
//! a [`Session`] answers one socket's commands in the order sent. Carriers stay thin.

mod allowance;
pub mod command;
pub mod event;
pub mod hub;
pub mod reply;
pub mod seats;
pub mod session;
pub mod socketio;
#[cfg(test)]
mod testing;
pub mod typescript;
pub mod websocket;

pub use command::{Command, CommandError};
pub use event::{ServerEvent, Stamp};
pub use hub::{Audience, Hub, Outlet, SocketId};
pub use reply::{Ack, Reply};
pub use session::{Admission, AdmissionError, Farewell, Session};
pub use socketio::SocketIoCarrier;
pub use websocket::WebSocketCarrier;
