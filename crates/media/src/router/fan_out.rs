//! Offers a producer's packets to its consumers.
//!
//! The packets of one turn are offered together, consumer by consumer: each consumer's state is loaded into
//! the caches once, however many packets a frame has. Accepted packets are sealed while that state is in the
//! caches. If several producers have packets, accepted packets are queued instead, so that one client's
//! packets from all producers are sent together. New packets are offered only when all consumers were offered
//! the earlier ones.

use super::Router;
use super::egress::{Departure, Exit};
use crate::arrival::Arrival;
use crate::config::Bandwidth;
use crate::consumer::{Consumer, Offer, Taken};
use crate::context::{Context, Outbox};
use crate::due::{Due, DueKind};
use crate::event::{Event, Sealed};
use crate::id::RouterId;
use crate::keys::{ConsumerKey, ProducerKey, TransportKey};
use crate::pacing::Crowding;
use crate::prefetch::prefetch;
use crate::producer::Producer;
use crate::transport::Transport;
use slotmap::SlotMap;
use std::mem;

impl Router {
    /// Notes a packet, to be offered to its producer's consumers at the end of the turn, and relays it to
    /// other shards.
    pub(super) fn forward(&mut self, key: ProducerKey, arrival: Arrival, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key).filter(|producer| !producer.paused) else { return };
        if producer.offered > 0 || producer.fresh.len() >= MAX_FRESH {
            self.fan_out(key, Way::Queued, ctx);
        }
        let Some(producer) = self.producers.get_mut(key) else { return };
        if ctx.config.bandwidth == Bandwidth::Divided {
            producer.measure(&arrival);
        }
        if producer.fresh.is_empty() {
            ctx.outbox.fresh.push_back((self.key, key));
        }
        producer.fresh.push(arrival);
        self.relay(key, &arrival, ctx);
    }

    /// Offers a producer's fresh packets to the consumers that were not offered them yet. [`Sealed::More`] if
    /// the batch is full before all consumers were served.
    pub(crate) fn fan_out(
        &mut self,
        key: ProducerKey,
        mut way: Way<'_, '_>,
        ctx: &mut Context<'_>,
    ) -> Sealed {
        let Self { id, consumers, transports, producers, .. } = self;
        // The packets are taken out, so that after a panic no consumer is offered them twice.
        let Some(producer) = producers.get_mut(key) else { return Sealed::Done };
        let (mut fresh, mut offered) = (mem::take(&mut producer.fresh), mem::take(&mut producer.offered));
        let mut sealed = Sealed::Done;
        let Some(producer) = producers.get(key) else { return sealed };
        let wishes = Wishes::default();
        let mut audience = Audience { router: *id, producer, fresh: &fresh, consumers, transports, wishes };
        let rest = producer.consumers.get(offered..).unwrap_or_default();
        'all: for few in rest.chunks(FEW_CONSUMERS) {
            audience.prefetch(few);
            for &consumer in few {
                if !way.has_room_for(fresh.len()) {
                    sealed = Sealed::More;
                    break 'all;
                }
                audience.offer(consumer, &mut way, ctx);
                offered += 1;
            }
        }
        let wishes = audience.wishes;
        if let Some(producer) = self.producers.get_mut(key) {
            match sealed {
                Sealed::More => producer.offered = offered,
                Sealed::Done => fresh.clear(),
            }
            producer.fresh = fresh;
        }
        (0..8)
            .filter(|encoding| wishes.key_frames & (1 << encoding) != 0)
            .for_each(|encoding| self.wish_key_frame(key, encoding, ctx));
        if wishes.switched {
            self.update_subscription(key, ctx);
        }
        sealed
    }
}

/// What happens to packets that consumers accept.
#[derive(Debug)]
pub(crate) enum Way<'a, 'b> {
    /// Packets are queued for their transports.
    Queued,
    /// Packets are sealed at once, while their data is in the caches.
    Sealed(&'a mut Departure<'b>),
}

impl Way<'_, '_> {
    fn has_room_for(&self, packets: usize) -> bool {
        match self {
            Self::Queued => true,
            Self::Sealed(departure) => departure.batch.has_room_for(packets),
        }
    }
}

/// The consumers of a producer, the packets to offer, and the wishes that result.
struct Audience<'a> {
    router: RouterId,
    producer: &'a Producer,
    fresh: &'a [Arrival],
    consumers: &'a mut SlotMap<ConsumerKey, Consumer>,
    transports: &'a mut SlotMap<TransportKey, Transport>,
    wishes: Wishes,
}

/// What consumers need after they were offered packets.
#[derive(Default)]
struct Wishes {
    /// A bit for each encoding of which a consumer needs a key frame.
    key_frames: u8,
    /// A consumer switched to another source.
    switched: bool,
}

impl Audience<'_> {
    /// Prefetches the state of consumers that will be offered packets: between frames it drops out of the
    /// caches, and without prefetching the processor would wait for each consumer's state in turn.
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

    /// Offers the fresh packets to one consumer.
    fn offer(&mut self, key: ConsumerKey, way: &mut Way<'_, '_>, ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get_mut(key) else { return };
        let Some(transport) = self.transports.get_mut(consumer.transport) else { return };
        if !transport.can_send() {
            return;
        }
        if !transport.takes(consumer.is_video(), ctx.now) {
            consumer.start_over();
            ctx.counters.unproven_withheld += self.fresh.len() as u64;
            return;
        }
        match transport.crowding() {
            Crowding::Full
                if consumer.is_video() && self.fresh.first().is_some_and(Arrival::begins_delta_picture) =>
            {
                consumer.start_over();
                ctx.counters.video_left_out += self.fresh.len() as u64;
            }
            crowding @ (Crowding::None | Crowding::Crowded | Crowding::Full) => {
                consumer.crowd(crowding > Crowding::None);
            }
        }
        let Outbox { taken, due: list, events, .. } = &mut *ctx.outbox;
        taken.clear();
        let mut offering = Offering { consumer, producer: self.producer, wishes: &mut self.wishes, taken };
        for (index, arrival) in self.fresh.iter().enumerate() {
            offering.offer(arrival, &self.fresh[index + 1..], |outgoing| {
                let due = Due::new(key, outgoing, 0, DueKind::Fill);
                transport.queue(due, list, ctx.counters);
            });
            if arrival.is_key_frame()
                && let Some(layers) = offering.consumer.layers_change()
            {
                events.push_back((
                    self.router,
                    Event::ConsumerLayers { consumer: offering.consumer.id, layers },
                ));
            }
        }
        let sealed = match way {
            Way::Queued => 0,
            Way::Sealed(departure) => {
                let publisher = ctx.current.replace(transport.address);
                let mut exit = Exit::open(transport, departure, ctx.counters);
                let sealed = exit.as_mut().map_or(0, |exit| exit.seal(taken, consumer, self.producer));
                *ctx.current = publisher;
                sealed
            }
        };
        for packet in taken.get(sealed..).unwrap_or_default() {
            let Taken { rewrite, size } = *packet;
            let due = Due::new(key, rewrite.record.outgoing, size, DueKind::Media);
            transport.queue(due, list, ctx.counters);
        }
    }
}

/// One consumer that is offered packets.
struct Offering<'a> {
    consumer: &'a mut Consumer,
    producer: &'a Producer,
    wishes: &'a mut Wishes,
    taken: &'a mut Vec<Taken>,
}

impl Offering<'_> {
    /// Offers a packet; `rest` will be offered after it. `fill` is called with each outgoing number that
    /// needs padding.
    fn offer(&mut self, arrival: &Arrival, rest: &[Arrival], mut fill: impl FnMut(u32)) {
        let before = self.consumer.source();
        self.offer_one(arrival, &mut fill);
        if self.consumer.source() == before {
            return;
        }
        self.wishes.switched = true;
        // If a key frame's first packet was retransmitted, it arrives after the rest of the key frame.
        let comes_later = |next: &Arrival| rest.iter().any(|later| later.is_same_packet(next));
        for next in self.producer.arrived_after(arrival).filter(|next| !comes_later(next)) {
            self.offer_one(&next, &mut fill);
        }
    }

    fn offer_one(&mut self, arrival: &Arrival, fill: &mut impl FnMut(u32)) {
        match self.consumer.offer(arrival, |source| self.producer.clock(source)) {
            Offer::Take { ends_picture } => self.consumer.take(arrival, ends_picture, self.taken),
            Offer::Fill { outgoing } => fill(outgoing as u32),
            Offer::NeedKeyFrame => {
                self.wishes.key_frames |= 1u8.wrapping_shl(u32::from(arrival.source.encoding));
            }
            Offer::Ignore => {}
        }
    }
}

/// The number of packets of one producer that may wait for the end of a turn.
const MAX_FRESH: usize = 256;
/// The number of consumers whose state fits a first-level cache.
const FEW_CONSUMERS: usize = 8;
