//! The packets to seal in this turn: for each transport, a queue of index entries.
//!
//! The entries of all queues lie in one vector, in the order in which they were queued, so that a transport with
//! nothing due owns no memory and a packet to many transports is written to neighbouring places.

use crate::counters::Counters;
use crate::keys::{ConsumerKey, RouterKey, TransportAddress};
use std::collections::VecDeque;

/// The packets due to all transports of a worker.
#[derive(Debug, Default)]
pub(crate) struct DueList {
    /// Each entry holds the place of its transport's next entry. Cleared once no transport has entries.
    entries: Vec<(Due, u32)>,
    /// Transports with entries, each once.
    transports: VecDeque<TransportAddress>,
}

/// One transport's place in the list.
#[derive(Debug, Default)]
pub(crate) struct DueQueue {
    first: u32,
    last: u32,
    len: u32,
}

/// A packet to be rewritten and sealed: an index, not a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) consumer: ConsumerKey,
    /// Low 32 bits of its outgoing extended sequence number; of a probe its bytes.
    pub(crate) outgoing: u32,
    /// Bytes of the plaintext packet without padding; 0 if the packet must not be padded to another one's
    /// size.
    pub(crate) size: u16,
    pub(crate) kind: DueKind,
    /// It has waited for its turn.
    pub(crate) paced: bool,
}

/// A queue entry is an index entry.
const _: () = assert!(size_of::<Due>() == 16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DueKind {
    Media,
    /// A retransmission.
    Again,
    /// Padding in place of a packet that is not forwarded.
    Fill,
    /// Such padding once more, in the RTX stream: another packet under the same number would use its nonce twice.
    FillAgain,
    /// Padding in the RTX stream, under no number of the media, to find out what the path carries.
    Probe,
}

impl Due {
    pub(crate) fn new(consumer: ConsumerKey, outgoing: u32, size: u16, kind: DueKind) -> Self {
        Self { consumer, outgoing, size, kind, paced: false }
    }
}

impl DueList {
    /// Queues a packet to the transport that owns this queue. A full queue drops the packet (counted).
    pub(crate) fn push(
        &mut self,
        queue: &mut DueQueue,
        address: TransportAddress,
        due: Due,
        counters: &mut Counters,
    ) {
        if queue.len >= MAX_DUE {
            counters.egress_overflow += 1;
            return;
        }
        let place = self.entries.len() as u32;
        self.entries.push((due, 0));
        if queue.len == 0 {
            queue.first = place;
            self.transports.push_back(address);
        } else {
            self.entries[queue.last as usize].1 = place;
        }
        queue.last = place;
        queue.len += 1;
    }

    pub(crate) fn pop(&mut self, queue: &mut DueQueue) -> Option<Due> {
        queue.len = queue.len.checked_sub(1)?;
        let &(due, next) = self.entries.get(queue.first as usize)?;
        queue.first = next;
        Some(due)
    }

    /// The entries of a queue, in order.
    pub(crate) fn queued(&self, queue: &DueQueue) -> impl Iterator<Item = &Due> {
        let mut place = queue.first;
        (0..queue.len).map_while(move |_| {
            let (due, next) = self.entries.get(place as usize)?;
            place = *next;
            Some(due)
        })
    }

    /// The next transport with something due.
    pub(crate) fn transport(&self) -> Option<TransportAddress> {
        self.transports.front().copied()
    }

    /// Removes the first transport, whose queue must be empty.
    pub(crate) fn next_transport(&mut self) {
        self.transports.pop_front();
        if self.transports.is_empty() {
            self.entries.clear();
        }
    }

    pub(crate) fn forget_transport(&mut self, address: TransportAddress) {
        self.transports.retain(|due| *due != address);
    }

    pub(crate) fn forget_router(&mut self, key: RouterKey) {
        self.transports.retain(|(router, _)| *router != key);
    }
}

impl DueQueue {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Packets per transport: a batch from every producer the client consumes, plus retransmissions.
const MAX_DUE: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_share_a_list_and_keep_their_order() {
        let (mut list, mut counters) = (DueList::default(), Counters::default());
        let mut queues = [DueQueue::default(), DueQueue::default()];
        for outgoing in [10, 20, 11, 21, 12] {
            list.push(&mut queues[outgoing / 10 - 1], address(), due(outgoing as u32), &mut counters);
        }
        assert_eq!(queued(&list, &queues[0]), [10, 11, 12]);
        assert_eq!(list.pop(&mut queues[0]).map(|due| due.outgoing), Some(10));
        assert_eq!(queued(&list, &queues[0]), [11, 12]);
        assert_eq!(queued(&list, &queues[1]), [20, 21]);
    }

    #[test]
    fn a_transport_is_listed_once_until_its_queue_was_emptied() {
        let (mut list, mut counters) = (DueList::default(), Counters::default());
        let mut queue = DueQueue::default();
        (0..3).for_each(|outgoing| list.push(&mut queue, address(), due(outgoing), &mut counters));
        while list.pop(&mut queue).is_some() {}
        assert_eq!(list.transport(), Some(address()));
        list.next_transport();
        assert_eq!((list.transport(), list.entries.len()), (None, 0));
        list.push(&mut queue, address(), due(3), &mut counters);
        assert_eq!(list.transport(), Some(address()));
        assert_eq!(list.pop(&mut queue).map(|due| due.outgoing), Some(3));
    }

    #[test]
    fn a_queue_is_bounded() {
        let (mut list, mut counters) = (DueList::default(), Counters::default());
        let mut queue = DueQueue::default();
        (0..=MAX_DUE).for_each(|outgoing| list.push(&mut queue, address(), due(outgoing), &mut counters));
        assert_eq!((queue.len(), counters.egress_overflow), (MAX_DUE as usize, 1));
    }

    fn queued(list: &DueList, queue: &DueQueue) -> Vec<u32> {
        list.queued(queue).map(|due| due.outgoing).collect()
    }

    fn address() -> TransportAddress {
        Default::default()
    }

    fn due(outgoing: u32) -> Due {
        Due::new(ConsumerKey::default(), outgoing, 0, DueKind::Media)
    }
}
