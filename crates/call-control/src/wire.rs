//! The socket protocol: requests, events and answers, and their JSON form.
//!
//! [`ClientCommand`] lists all requests of a client and [`ServerEvent`] all events of the server. These two
//! enums are the only place with names on the wire; [`typescript`] generates the types for clients from them.

pub mod command;
pub mod event;
pub mod frame;
mod ice_server;
pub mod reply;
pub mod stats;
pub mod typescript;

pub use command::{ClientCommand, CommandError};
pub use event::ServerEvent;
pub use frame::Frame;
pub use ice_server::IceServer;
pub use reply::{Ack, Reply};
