//! The other shards that want a producer's packets, and the batch on its way to them.

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
    /// Being filled; shared with nobody yet.
    open: Option<Arc<RelayBatch>>,
    /// On their way; the oldest is filled anew once every reader has let go of it.
    sent: VecDeque<Arc<RelayBatch>>,
    /// The active encodings that subscribers were told of.
    pub(crate) told_active: u8,
}

#[derive(Debug)]
struct Subscriber {
    shard: ShardId,
    /// A bit for each encoding it wants.
    encodings: u8,
    /// A bit for each encoding it ever wanted: gaps in what it got of them may be filled late.
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

    /// Whether anybody wants a packet of an encoding; `late` if newer ones came before it.
    pub(crate) fn wants(&self, encoding: u8, late: bool) -> bool {
        let bit = 1u8.wrapping_shl(u32::from(encoding));
        let (fresh, late) = if late { (0, bit) } else { (bit, 0) };
        self.subscribers.iter().any(|subscriber| subscriber.wants(fresh, late))
    }

    /// Adds a packet to the batch. True if it begins one, which is then to be taken soon.
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
        // Until it is sent nobody else holds the batch.
        if let Some(batch) = self.open.as_mut().and_then(Arc::get_mut) {
            batch.push(arrival, late, stored);
        }
        begins
    }

    /// The batch, ready to be sent, and who wants any of it.
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

/// Readers copy a batch as soon as they see it, so that more than a few under way mean one that does not keep up.
const MAX_SENT: usize = 8;
