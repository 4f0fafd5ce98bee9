//! Call control: the durable record of calls, access rules, REST and signaling.
//!
//! [`Control`] holds all parts. A REST request or a socket event becomes a typed command. [`calls::Calls`]
//! sends it to the owner task of the call, [`call::Call`] decides, and the task performs the effects: first
//! in the [`store::Store`], then on the media, then on the sockets of the [`hub::Hub`].

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
pub mod origin;
pub mod recordings;
pub mod store;
pub mod wire;

#[cfg(test)]
mod testing;

pub use control::{Control, ControlConfig, StartError};
pub use groups::GroupsManagedBy;
