//! The other shards subscribed to a producer's packets, and the batches relayed to them.

use crate::arrival::{Arrival, Content};
use crate::history::Stored;
use crate::id::ShardId;
use crate::ortc::MediaKind;
use crate::relay::RelayBatch;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Relays {
    subscribers: Vec<Subscriber>,
    /// The batch being filled; not shared yet.
    open: Option<Arc<RelayBatch>>,
    /// Sent batches. The oldest is reused once every reader has dropped its reference.
    sent: VecDeque<Arc<RelayBatch>>,
    /// The active encodings last announced to subscribers, a bit each.
    pub(crate) told_active: u8,
}

#[derive(Debug)]
struct Subscriber {
    shard: ShardId,
    /// A bit for each encoding subscribed to.
    encodings: u8,
    /// A bit for each encoding subscribed to before: late packets may still fill gaps in them.
    former: u8,
}

impl Relays {
    /// Notes which encodings a shard wants.
    pub(crate) fn subscribe(&mut self, shard: ShardId, encodings: u8) {
        match self.subscribers.iter_mut().find(|subscriber| subscriber.shard == shard) {
            Some(subscriber) => {
                subscriber.former |= subscriber.encodings;
                subscriber.encodings = encodings;
            }
            None => self.subscribers.push(Subscriber { shard, encodings, former: 0 }),
        }
    }

    pub(crate) fn unsubscribe(&mut self, shard: ShardId) {
        self.subscribers.retain(|subscriber| subscriber.shard != shard);
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.subscribers.iter().map(|subscriber| subscriber.shard)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Whether any subscriber wants a packet of an encoding; `late` if a newer packet arrived before it.
    pub(crate) fn wants(&self, encoding: u8, late: bool) -> bool {
        let bit = 1u8.wrapping_shl(u32::from(encoding));
        let (fresh, late) = if late { (0, bit) } else { (bit, 0) };
        self.subscribers.iter().any(|subscriber| subscriber.wants(fresh, late))
    }

    /// Adds a packet to the open batch. True if this began a batch, which must then be taken soon.
    pub(crate) fn add(
        &mut self,
        kind: MediaKind,
        arrival: &Arrival,
        late: bool,
        stored: Option<(&Stored, Content<'_>)>,
    ) -> bool {
        let begins = self.open.is_none();
        if begins {
            self.open = Some(self.fresh(kind));
        }
        // The open batch has no other owner, so this always succeeds.
        if let Some(batch) = self.open.as_mut().and_then(Arc::get_mut) {
            batch.push(arrival, late, stored);
        }
        begins
    }

    /// The open batch, to be sent, and the shards that want any of its packets.
    pub(crate) fn take(&mut self) -> Option<(Arc<RelayBatch>, impl Iterator<Item = ShardId>)> {
        let batch = self.open.take()?;
        if self.sent.len() == MAX_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back(batch.clone());
        let (fresh, late) = (batch.fresh, batch.late);
        let wanting = self.subscribers.iter().filter(move |subscriber| subscriber.wants(fresh, late));
        Some((batch, wanting.map(|subscriber| subscriber.shard)))
    }

    fn fresh(&mut self, kind: MediaKind) -> Arc<RelayBatch> {
        if let Some(mut used) = self.sent.pop_front() {
            if let Some(batch) = Arc::get_mut(&mut used) {
                batch.clear();
                return used;
            }
            self.sent.push_front(used);
        }
        Arc::new(RelayBatch::new(kind))
    }
}

impl Subscriber {
    fn wants(&self, fresh: u8, late: u8) -> bool {
        (self.encodings & (fresh | late)) | (self.former & late) != 0
    }
}

/// Readers copy a batch as soon as they receive it, so many unfinished batches mean a reader that does not
/// keep up.
const MAX_SENT: usize = 8;
