//! From a producer to everyone who consumes it.
//!
//! What came in one turn is offered together, consumer by consumer: each one's state is brought into the caches once,
//! however many packets a frame has. A producer's consumers may be served in portions, whose packets are sealed while
//! that state is still there; nothing else is offered to some of them before all have what came first.

use super::{ConsumerKey, Context, ProducerKey, Router, TransportKey};
use crate::consumer::{Consumer, Offer, Plan};
use crate::due::{Due, DueKind};
use crate::event::Event;
use crate::id::RouterId;
use crate::prefetch::prefetch;
use crate::producer::{Arrival, Extent, Producer};
use crate::transport::Transport;
use slotmap::SlotMap;

impl Router {
    /// Takes a packet to be offered, at the end of the turn, to those who consume its producer, and to other shards.
    pub(super) fn forward(&mut self, key: ProducerKey, arrival: Arrival, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key).filter(|producer| !producer.paused) else { return };
        if producer.offered > 0 || producer.fresh.len() >= MAX_FRESH {
            self.fan_out(key, Portion::Rest, ctx);
        }
        let Some(producer) = self.producers.get_mut(key) else { return };
        if producer.fresh.is_empty() {
            ctx.outbox.fresh.push_back((self.key, key));
        }
        producer.fresh.push(arrival);
        self.relay(key, &arrival, ctx);
    }

    /// Offers a producer's fresh packets to consumers that were not offered them, and queues them where they are taken.
    pub(crate) fn fan_out(&mut self, key: ProducerKey, portion: Portion, ctx: &mut Context<'_>) -> FannedOut {
        let Some(producer) = self.producers.get_mut(key).filter(|producer| !producer.fresh.is_empty()) else {
            return FannedOut::ToAll;
        };
        let (fresh, first) = (std::mem::take(&mut producer.fresh), std::mem::take(&mut producer.offered));
        let Some(producer) = self.producers.get(key) else { return FannedOut::ToAll };
        let offered = producer.consumers.len().min(first.saturating_add(portion.consumers()));
        let Self { id, consumers, transports, .. } = self;
        let mut audience = Audience { router: *id, consumers, transports, wishes: Wishes::default() };
        let portion = producer.consumers.get(first..offered).unwrap_or_default();
        for few in portion.chunks(FEW_CONSUMERS) {
            audience.prefetch(few);
            few.iter().for_each(|&consumer| audience.offer(consumer, producer, &fresh, ctx));
        }
        let wishes = audience.wishes;
        let fanned_out =
            if offered < producer.consumers.len() { FannedOut::ToSome } else { FannedOut::ToAll };
        if let Some(producer) = self.producers.get_mut(key) {
            producer.fresh = fresh;
            match fanned_out {
                FannedOut::ToSome => producer.offered = offered,
                FannedOut::ToAll => producer.fresh.clear(),
            }
        }
        (0..8)
            .filter(|encoding| wishes.key_frames & (1 << encoding) != 0)
            .for_each(|encoding| self.wish_key_frame(key, encoding, ctx));
        if wishes.switched {
            self.update_subscription(key, ctx);
        }
        fanned_out
    }
}

/// How many of the consumers that were not offered something are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Portion {
    /// As many as a first-level cache holds.
    Few,
    Rest,
}

impl Portion {
    fn consumers(self) -> usize {
        match self {
            Self::Few => FEW_CONSUMERS,
            Self::Rest => usize::MAX,
        }
    }
}

/// Who was offered a producer's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FannedOut {
    ToSome,
    ToAll,
}

/// Those who may be offered packets, and what they answered.
struct Audience<'a> {
    router: RouterId,
    consumers: &'a mut SlotMap<ConsumerKey, Consumer>,
    transports: &'a mut SlotMap<TransportKey, Transport>,
    wishes: Wishes,
}

/// What consumers want that were offered packets.
#[derive(Default)]
struct Wishes {
    /// A bit for each encoding that one cannot use without a key frame.
    key_frames: u8,
    /// One went over to another source.
    switched: bool,
}

impl Audience<'_> {
    /// Begins to fetch the state of consumers that will be offered packets: after a pause between frames it is in no
    /// cache, and the processor would wait for one consumer's after the other's.
    fn prefetch(&self, few: &[ConsumerKey]) {
        let consumers = || few.iter().filter_map(|&key| self.consumers.get(key));
        consumers().for_each(prefetch);
        for consumer in consumers() {
            consumer.prefetch();
            if let Some(transport) = self.transports.get(consumer.transport) {
                transport.prefetch();
            }
        }
    }

    /// Offers packets to one consumer.
    fn offer(&mut self, key: ConsumerKey, producer: &Producer, fresh: &[Arrival], ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        let Some(transport) = self.transports.get_mut(consumer.transport) else { return };
        if !transport.can_send() {
            return;
        }
        let mut offering = Offering { key, consumer, producer, wishes: &mut self.wishes };
        for (index, arrival) in fresh.iter().enumerate() {
            let queue = |due| transport.queue(due, &mut ctx.outbox.due, ctx.counters);
            offering.offer(arrival, &fresh[index + 1..], queue);
            if arrival.is_key_frame()
                && let Some(layers) = offering.consumer.layers_change()
            {
                let event = Event::ConsumerLayers { consumer: offering.consumer.id, layers };
                ctx.outbox.events.push_back((self.router, event));
            }
        }
    }
}

/// One consumer that is offered packets.
struct Offering<'a> {
    key: ConsumerKey,
    consumer: &'a mut Consumer,
    producer: &'a Producer,
    wishes: &'a mut Wishes,
}

impl Offering<'_> {
    /// Offers a packet; `rest` will be offered after it.
    fn offer(&mut self, arrival: &Arrival, rest: &[Arrival], mut queue: impl FnMut(Due)) {
        let before = self.consumer.source();
        self.offer_one(arrival, &mut queue);
        if self.consumer.source() == before {
            return;
        }
        self.wishes.switched = true;
        // A key frame's first packet that had to be repaired comes after the rest of the key frame.
        let comes_later = |next: &Arrival| rest.iter().any(|later| later.is_same_packet(next));
        for next in self.producer.arrived_after(arrival).filter(|next| !comes_later(next)) {
            self.offer_one(&next, &mut queue);
        }
    }

    fn offer_one(&mut self, arrival: &Arrival, queue: &mut impl FnMut(Due)) {
        let (outgoing, kind, size) = match self.consumer.offer(arrival, |source| self.producer.clock(source))
        {
            Offer::Send { outgoing } => (outgoing, DueKind::Media, packet_len(&self.consumer.plan, arrival)),
            Offer::Fill { outgoing } => (outgoing, DueKind::Fill, 0),
            Offer::NeedKeyFrame => {
                self.wishes.key_frames |= 1u8.wrapping_shl(u32::from(arrival.source.encoding));
                return;
            }
            Offer::Ignore => return,
        };
        queue(Due { consumer: self.key, outgoing: outgoing as u32, size, kind });
    }
}

/// How long a packet will be to a consumer, before padding and sealing.
fn packet_len(plan: &Plan, arrival: &Arrival) -> u16 {
    let Extent { payload, dependency, carried } = &arrival.extent;
    plan.header_len(carried, usize::from(*dependency)) as u16 + payload
}

/// Packets of one producer that wait for the end of a turn.
const MAX_FRESH: usize = 256;
const FEW_CONSUMERS: usize = 8;
