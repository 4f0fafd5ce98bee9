//! Calls, people and rules: the durable record, access, REST and signaling.

pub mod call;
pub mod calls;
pub mod error;
pub mod ids;
pub mod signaling;
