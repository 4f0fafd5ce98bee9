//! The recorder's end of the relay queues. The recorder is a shard of its own, numbered after the last worker.

use std::time::Instant;
use switchyard_media::{Relay, ShardId};

/// Where the recorder receives what producers relay to it, and answers. There is one per [`crate::Media`].
pub struct TapEnd {}

impl TapEnd {
    /// Waits until a message is queued.
    pub async fn ready(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Takes at most `limit` queued messages of each kind, control before media.
    pub fn take(&mut self, _limit: usize) -> impl Iterator<Item = Relay> + '_ {
        std::iter::empty()
    }

    /// Sends a message to a shard. Feedback that finds no room is dropped and counted.
    pub fn send(&mut self, _now: Instant, _to: ShardId, _relay: Relay) {}
}
