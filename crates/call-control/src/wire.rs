//! The vocabulary of sockets: what clients may ask, what they are told, and how it is written.
//!
//! [`ClientCommand`] is everything a client may ask and [`ServerEvent`] everything it is told: these two
//! enums are the only home of wire names, and [`typescript`] prints them for clients.

pub mod command;
pub mod event;
pub mod frame;
mod ice_server;
pub mod reply;
pub mod typescript;

pub use command::{ClientCommand, CommandError};
pub use event::ServerEvent;
pub use frame::Frame;
pub use ice_server::IceServer;
pub use reply::{Ack, Reply};
