//! The recorder's end of the relay queues. The recorder is a shard of its own, numbered after the last worker.

use crate::counters::ShellCounters;
use crate::relays::{RelayInbox, Relays};
use std::future::{pending, poll_fn};
use std::time::Instant;
use switchyard_media::{Relay, ShardId};

/// Where the recorder receives what producers relay to it, and answers. There is one per [`crate::Media`].
///
/// Nothing is queued before a [`switchyard_media::Tap`] has subscribed to a producer. While nobody reads, the queue
/// fills to 4,096 batches or 32 MiB; then packets are dropped, video before audio, and counted by the workers
/// ([`ShellCounters::recorder_video_dropped`], [`ShellCounters::recorder_audio_dropped`]).
pub struct TapEnd {
    relays: Relays,
    inbox: RelayInbox,
    counters: ShellCounters,
}

impl TapEnd {
    pub(crate) fn new(relays: Relays, inbox: RelayInbox) -> Self {
        Self { relays, inbox, counters: ShellCounters::default() }
    }

    /// Waits until a message is queued.
    pub async fn ready(&mut self) {
        if self.inbox.len() == 0 {
            poll_fn(|context| self.inbox.poll_ready(context)).await;
        }
        if self.inbox.len() == 0 {
            // The queue is closed: nothing will come.
            pending::<()>().await;
        }
    }

    /// Takes at most `limit` queued messages of each kind, control before media.
    pub fn take(&mut self, limit: usize) -> impl Iterator<Item = Relay> + '_ {
        self.inbox.take(limit).map(|letter| letter.message)
    }

    /// Sends a message to a shard. Feedback that finds no room is dropped and counted.
    pub fn send(&mut self, now: Instant, to: ShardId, relay: Relay) {
        self.relays.send(now, to, relay, &mut self.counters);
    }

    /// The requests for missing packets that a worker's full queue had no room for.
    #[must_use]
    pub fn feedback_dropped(&self) -> u64 {
        self.counters.relay_feedback_dropped
    }
}
