//! Calls, people and rules: the durable record, access, REST and signaling.
//!
//! [`Control`] is the whole. A REST handler or a socket event becomes a typed command, [`calls::Calls`] hands it to
//! the task that owns the call, [`call::Call`] decides, and the task carries out what it says: first the
//! [`store::Store`], then media, then the sockets of the [`hub::Hub`].

pub mod actor;
pub mod address;
pub mod audit;
pub mod auth;
pub mod call;
pub mod calls;
pub mod carriers;
pub mod clock;
mod control;
pub mod error;
pub mod groups;
pub mod hub;
pub mod ice;
pub mod ids;
mod known;
pub mod limiter;
pub mod limits;
pub mod name;
pub mod store;
pub mod wire;

#[cfg(test)]
mod testing;

pub use control::{Control, ControlConfig, StartError};
pub use groups::GroupsManagedBy;
