//! The running workers as their handles know them.

use crate::error::MediaError;
use crate::load::Load;
use crate::worker::Command;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// All workers, indexed by worker number.
pub(crate) type Workers = Arc<[WorkerHandle]>;

pub(crate) struct WorkerHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) load: Arc<Load>,
    pub(crate) bound: Arc<[SocketAddr]>,
}

impl WorkerHandle {
    /// Queues a command unless the worker is overloaded or gone.
    pub(crate) fn offer(&self, command: Command) -> Result<(), MediaError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => MediaError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => MediaError::WorkerGone,
        })
    }
}
