use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio_util::sync::CancellationToken;

/// The TCP connection of a request, as the server's accept loop adds it to the request's extensions. All clones
/// are one connection.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Bytes that may still be read from it; `usize::MAX`: any number.
    readable: AtomicUsize,
    closed: CancellationToken,
}

impl Connection {
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default connection would be one to nobody")]
    pub fn new() -> Self {
        let shared = Shared { readable: AtomicUsize::new(usize::MAX), closed: CancellationToken::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Counts bytes that were read. `false` if they are more than allowed: the connection has to be closed.
    #[must_use]
    pub fn spend(&self, bytes: usize) -> bool {
        let spend = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(bytes) };
        self.shared.readable.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    /// Allows `bytes` more to be read.
    pub(super) fn limit(&self, bytes: usize) {
        self.shared.readable.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn unlimit(&self) {
        self.shared.readable.store(usize::MAX, Ordering::Relaxed);
    }

    /// Closes it, also after it became a WebSocket.
    pub fn close(&self) {
        self.shared.closed.cancel();
    }

    /// Cancelled by [`Self::close`].
    #[must_use]
    pub fn closed(&self) -> &CancellationToken {
        &self.shared.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_connection_may_read_so_many_bytes_and_an_unlimited_one_any_number() {
        let connection = Connection::new();
        assert!(connection.spend(usize::MAX / 2) && connection.spend(usize::MAX / 2));
        connection.limit(10);
        assert!(connection.spend(4) && connection.spend(6) && !connection.spend(1));
        connection.unlimit();
        assert!(connection.spend(1_000));
    }
}
