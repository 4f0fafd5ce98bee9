//! Why the media cannot start, and why an operation on it was refused.

use std::io;
use std::net::{IpAddr, SocketAddr};
use switchyard_media::ControlError;

/// Why [`crate::Media::start`] failed; nothing keeps running then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("at least one media worker is needed")]
    NoWorkers,
    #[error("{workers} workers do not fit above media port {port}")]
    PortRange { port: u16, workers: usize },
    #[error("cannot list the addresses of this host")]
    Interfaces(#[source] io::Error),
    #[error("none of the media addresses can be bound on this host")]
    NoAddress,
    #[error("cannot bind media address {address}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("announced address {0} is of a family that no media socket is bound to")]
    NotBound(IpAddr),
    #[error("cannot make the DTLS certificate: {0}")]
    Certificate(String),
    #[error("no entropy for the worker's seed: {0}")]
    Entropy(String),
    #[error("cannot start a media worker thread")]
    Thread(#[source] io::Error),
}

/// Why a media operation was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The SFU refused the operation; nothing changed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The worker ended, or the operation panicked in it: the state of the operation's object is unknown.
    #[error("the media worker did not answer")]
    WorkerGone,
    /// All workers are at their load limit, or a command queue is full. The same operation may succeed later.
    #[error("the media workers have too much to do")]
    Overloaded,
}
