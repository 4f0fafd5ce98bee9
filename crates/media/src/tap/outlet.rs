//! What a tap gives out, and its counts.

use super::{TapCounts, TapNotice, TapOutput, Tapped, TrackFormat};
use crate::id::{ProducerId, RouterId, ShardId};
use crate::relay::{Message, ProducerMessage, Relay};
use std::collections::VecDeque;

/// Where the parts of a tap put their outputs.
#[derive(Debug)]
pub(super) struct Outlet {
    router: RouterId,
    producer: ProducerId,
    shard: ShardId,
    queue: VecDeque<TapOutput>,
    pub(super) counts: TapCounts,
}

impl Outlet {
    pub(super) fn new(tapped: &Tapped) -> Self {
        let Tapped { router, producer } = tapped;
        Self {
            router: *router,
            producer: producer.id,
            shard: producer.shard,
            queue: VecDeque::new(),
            counts: TapCounts::default(),
        }
    }

    pub(super) fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Sends a message to the producer's shard.
    pub(super) fn tell(&mut self, message: ProducerMessage) {
        let relay = Relay::new(self.router, Message::Producer(self.producer, message));
        self.queue.push_back(TapOutput::Relay { to: self.shard, relay });
    }

    pub(super) fn notice(&mut self, notice: TapNotice) {
        self.queue.push_back(TapOutput::Notice(notice));
    }

    pub(super) fn format(&mut self, format: TrackFormat) {
        self.queue.push_back(TapOutput::Format(format));
    }

    pub(super) fn sample(&mut self, sample: super::Sample) {
        self.queue.push_back(TapOutput::Sample(sample));
    }

    pub(super) fn poll(&mut self) -> Option<TapOutput> {
        self.queue.pop_front()
    }
}
