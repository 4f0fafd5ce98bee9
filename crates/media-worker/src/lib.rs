//! The shell around the pure SFU: worker threads with their sockets and clocks, and the async handles that
//! call-control uses.
//!
//! [`Media`] starts the workers and places routers; a [`Router`] is one call's media and forwards each operation to
//! the worker that owns it. This crate handles packets, queues and time. It knows nothing about participants.

mod config;
mod contain;
mod counters;
mod error;
mod handle;
mod kernel_drops;
mod load;
mod outbox;
mod placement;
mod relays;
mod router;
mod shedding;
mod socket;
mod tap;
mod worker;
mod workers;

pub use config::{MediaConfig, Sending};
pub use counters::{Counters, ShellCounters};
pub use error::{MediaError, StartError};
pub use handle::Media;
pub use router::Router;
pub use switchyard_media as media;
pub use tap::TapEnd;
