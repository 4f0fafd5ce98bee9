//! The queues by which workers tell each other what their shards of a router have to say.

use crate::counters::ShellCounters;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use switchyard_media::{Relay, RelayClass, ShardId};
use tokio::sync::mpsc;

/// The sending ends of all workers' queues.
#[derive(Clone)]
pub(crate) struct Relays {
    own: ShardId,
    queues: Arc<[RelayQueue]>,
}

/// The way to one worker.
#[derive(Clone)]
pub(crate) struct RelayQueue {
    /// Never full: control is told once per change, and data is bounded in bytes.
    ordered: mpsc::UnboundedSender<Message>,
    media: mpsc::Sender<Message>,
    data_bytes: Arc<AtomicUsize>,
}

/// The receiving end.
pub(crate) struct RelayInbox {
    ordered: mpsc::UnboundedReceiver<Message>,
    media: mpsc::Receiver<Message>,
    data_bytes: Arc<AtomicUsize>,
    /// Taken from the queues, for the turn to come.
    waiting: VecDeque<Message>,
}

type Message = (ShardId, Relay);

pub(crate) fn queue() -> (RelayQueue, RelayInbox) {
    let (ordered, ordered_end) = mpsc::unbounded_channel();
    let (media, media_end) = mpsc::channel(MEDIA_QUEUE);
    let data_bytes = Arc::new(AtomicUsize::new(0));
    let inbox = RelayInbox {
        ordered: ordered_end,
        media: media_end,
        data_bytes: data_bytes.clone(),
        waiting: VecDeque::new(),
    };
    (RelayQueue { ordered, media, data_bytes }, inbox)
}

impl Relays {
    pub(crate) fn new(own: ShardId, queues: Arc<[RelayQueue]>) -> Self {
        Self { own, queues }
    }

    pub(crate) fn own(&self) -> ShardId {
        self.own
    }

    /// Queues a message without waiting. What finds no room is dropped and counted, video before audio; a worker that
    /// has ended needs to be told nothing.
    pub(crate) fn send(&self, to: ShardId, relay: Relay, counters: &mut ShellCounters) {
        let Some(queue) = self.queues.get(usize::from(to.0)) else { return };
        let room = queue.media.capacity();
        match relay.class() {
            RelayClass::Control => queue.order(self.own, relay),
            RelayClass::Video if room <= KEPT_FOR_AUDIO => {
                counters.relay_video_dropped += relay.packets() as u64;
            }
            RelayClass::Video => {
                counters.relay_video_dropped += queue.offer(self.own, relay);
            }
            RelayClass::Audio => counters.relay_audio_dropped += queue.offer(self.own, relay),
            RelayClass::Feedback => {
                if queue.media.try_send((self.own, relay)).is_err() {
                    counters.relay_feedback_dropped += 1;
                }
            }
            RelayClass::Data(bytes) => {
                if queue.data_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= DATA_BYTES {
                    return queue.order(self.own, relay);
                }
                queue.data_bytes.fetch_sub(bytes, Ordering::Relaxed);
                counters.relay_data_dropped += 1;
                relay.loss().into_iter().for_each(|loss| queue.order(self.own, loss));
            }
        }
    }
}

impl RelayQueue {
    fn order(&self, from: ShardId, relay: Relay) {
        let _ = self.ordered.send((from, relay));
    }

    /// The packets that were lost.
    fn offer(&self, from: ShardId, relay: Relay) -> u64 {
        match self.media.try_send((from, relay)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => 0,
            Err(mpsc::error::TrySendError::Full((_, relay))) => relay.packets() as u64,
        }
    }
}

impl RelayInbox {
    /// Ready when something waits.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        // Each source is polled, so that each can wake the thread.
        let ordered = self.ordered.poll_recv(context).map(|message| self.waiting.extend(message));
        let media = self.media.poll_recv(context).map(|message| self.waiting.extend(message));
        if ordered.is_ready() || media.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// What waits, control before media, at most `limit` messages of each.
    pub(crate) fn take(&mut self, limit: usize) -> impl Iterator<Item = (ShardId, Relay)> + '_ {
        let ordered = std::iter::from_fn(|| self.ordered.try_recv().ok()).take(limit);
        self.waiting.extend(ordered);
        let media = std::iter::from_fn(|| self.media.try_recv().ok()).take(limit);
        self.waiting.extend(media);
        self.waiting.drain(..).inspect(|(_, relay)| {
            if let RelayClass::Data(bytes) = relay.class() {
                self.data_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.ordered.len() + self.media.len()
    }
}

/// Batches to one worker; one is what a producer brought in a turn.
const MEDIA_QUEUE: usize = 4_096;
/// Room in the media queue that video leaves.
const KEPT_FOR_AUDIO: usize = MEDIA_QUEUE / 4;
/// Of data-channel messages on their way to one worker.
const DATA_BYTES: usize = 8 << 20;
