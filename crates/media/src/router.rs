//! One call's media on one worker: its transports, producers and consumers, and the path of packets between
//! them.

mod bandwidth;
mod control;
mod data_flow;
mod egress;
mod fan_out;
mod feedback;
mod floor;
mod ingest;
mod relay;
mod relayed_data;
mod repair;
mod reports;
mod shedding;
mod upkeep;

use crate::consumer::Consumer;
use crate::context::{Context, Ended};
use crate::counters::Population;
use crate::data::{DataConsumer, DataProducer};
use crate::event::{Event, TransportCloseReason};
use crate::id::{RouterId, ShardId};
use crate::keys::{ConsumerKey, DataConsumerKey, DataProducerKey, ProducerKey, RouterKey, TransportKey};
use crate::paths::Paths;
use crate::producer::{Encoding, Origin, Producer, Stream};
use crate::relay::ProducerMessage;
use crate::speaker::{Speaker, SpeakerDetector};
use crate::timer::Timer;
use crate::transport::{Side, Transport};
pub(crate) use egress::Departure;
pub(crate) use fan_out::Way;
use slotmap::SlotMap;
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) id: RouterId,
    key: RouterKey,
    /// The shard that ranks the call's speakers.
    home: ShardId,
    pub(crate) transports: SlotMap<TransportKey, Transport>,
    producers: SlotMap<ProducerKey, Producer>,
    consumers: SlotMap<ConsumerKey, Consumer>,
    data_producers: SlotMap<DataProducerKey, DataProducer>,
    data_consumers: SlotMap<DataConsumerKey, DataConsumer>,
    speakers: SpeakerDetector<Speaker>,
    /// The dominant speaker's transport, if it is of this shard.
    floor: Option<TransportKey>,
    next_mapped_ssrc: u32,
}

impl Router {
    pub(crate) fn new(id: RouterId, key: RouterKey, home: ShardId) -> Self {
        Self {
            id,
            key,
            home,
            transports: SlotMap::with_key(),
            producers: SlotMap::with_key(),
            consumers: SlotMap::with_key(),
            data_producers: SlotMap::with_key(),
            data_consumers: SlotMap::with_key(),
            speakers: SpeakerDetector::default(),
            floor: None,
            next_mapped_ssrc: FIRST_MAPPED_SSRC,
        }
    }

    pub(crate) fn count(&self, population: &mut Population) {
        population.routers += 1;
        population.transports += self.transports.len();
        population.producers +=
            self.producers.values().filter(|producer| producer.transport().is_some()).count();
        population.consumers += self.consumers.len();
        population.consumers_shed += self.consumers.values().filter(|consumer| consumer.is_shed()).count();
        population.consumers_withheld +=
            self.consumers.values().filter(|consumer| consumer.is_withheld()).count();
        population.data_producers += self.data_producers.len();
        population.data_consumers += self.data_consumers.len();
        let streams = self.producers.values().flat_map(Producer::streams);
        population.stored_bytes +=
            streams.map(|stream: &Stream| stream.history.stored_bytes()).sum::<usize>();
    }

    /// Adds the paths to this router's clients.
    pub(crate) fn survey(&self, paths: &mut Paths) {
        self.transports.values().filter_map(Transport::path).for_each(|path| paths.add(&path));
    }

    /// The transport that receives a producer's packets; `None` if another shard relays them.
    pub(crate) fn transport_of(&self, producer: ProducerKey) -> Option<TransportKey> {
        self.producers.get(producer)?.transport()
    }

    /// Removes a transport and everything on it. With a `reason` the router's owner gets an event; without
    /// one, the owner requested the removal.
    pub(crate) fn remove_transport(
        &mut self,
        key: TransportKey,
        reason: Option<TransportCloseReason>,
        ctx: &mut Context<'_>,
    ) {
        let Some(transport) = self.transports.remove(key) else { return };
        ctx.outbox.forgotten_tuples.extend(transport.ice.tuples().map(|tuple| (tuple, transport.address)));
        ctx.outbox.forgotten_usernames.extend(transport.usernames);
        ctx.outbox.ended.push(Ended::Transport(transport.id));
        match &transport.side {
            Side::Uplink(uplink) => {
                uplink.producers.iter().for_each(|&producer| self.end_producer(producer, ctx));
            }
            Side::Downlink(downlink) => {
                downlink.consumers.iter().for_each(|&consumer| self.end_consumer(consumer, ctx));
            }
        }
        self.remove_data(key, ctx);
        if let Some(reason) = reason {
            let event = Event::TransportClosed { transport: transport.id, reason };
            ctx.outbox.events.push_back((self.id, event));
        }
    }

    /// Removes a transport at its owner's request, and closes the DTLS association with its client.
    pub(crate) fn close_transport(&mut self, key: TransportKey, ctx: &mut Context<'_>) {
        if let Some(transport) = self.transports.get_mut(key) {
            transport.close(ctx);
        }
        self.remove_transport(key, None, ctx);
    }

    /// Removes a producer and its consumers, at the request of the producer's owner.
    pub(crate) fn remove_producer(&mut self, key: ProducerKey, ctx: &mut Context<'_>) -> Option<Producer> {
        let producer = self.producers.remove(key)?;
        ctx.outbox.ended.push(Ended::Producer(producer.id));
        for &consumer in &producer.consumers {
            self.end_consumer(consumer, ctx);
        }
        let Origin::Transport(transport) = producer.origin else { return Some(producer) };
        if let Some(Side::Uplink(uplink)) = self.transports.get_mut(transport).map(|it| &mut it.side) {
            uplink.forget(key);
        }
        for shard in producer.relays.shards() {
            self.tell(shard, producer.id, ProducerMessage::Closed, ctx);
        }
        self.end_voice(Speaker { shard: ctx.config.shard, producer: producer.id }, ctx);
        Some(producer)
    }

    /// Removes a consumer, at its owner's request.
    pub(crate) fn remove_consumer(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) -> Option<Consumer> {
        let consumer = self.consumers.remove(key)?;
        ctx.outbox.ended.push(Ended::Consumer(consumer.id));
        if let Some(producer) = self.producers.get_mut(consumer.producer) {
            producer.forget_consumer(key);
            self.release_unused(consumer.producer, ctx);
            self.update_subscription(consumer.producer, ctx);
        }
        if let Some(Side::Downlink(downlink)) =
            self.transports.get_mut(consumer.transport).map(|it| &mut it.side)
        {
            downlink.forget(key, &consumer.plan);
        }
        Some(consumer)
    }

    fn end_producer(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        if let Some(producer) = self.remove_producer(key, ctx) {
            ctx.outbox.events.push_back((self.id, Event::ProducerClosed { producer: producer.id }));
        }
    }

    fn end_consumer(&mut self, key: ConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.remove_consumer(key, ctx) else { return };
        let event = Event::ConsumerClosed { consumer: consumer.id, producer: consumer.producer_id };
        ctx.outbox.events.push_back((self.id, event));
    }

    /// Requests a key frame of one encoding from the producer's client, as soon as the minimum interval
    /// allows.
    fn wish_key_frame(&mut self, key: ProducerKey, encoding: u8, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(key) else { return };
        let Some(Encoding { key_frames, stream, .. }) = producer.encodings.get_mut(usize::from(encoding))
        else {
            return;
        };
        let transport_key = match &producer.origin {
            Origin::Transport(_) if stream.is_none() => return,
            Origin::Transport(transport) => *transport,
            Origin::Relay(upstream) => {
                key_frames.wish();
                // A consumer that still waits repeats its wish at the next packet, so no timer is needed.
                if key_frames.poll(ctx.now, Duration::ZERO) {
                    let (id, shard) = (producer.id, upstream.shard);
                    self.tell(shard, id, ProducerMessage::KeyFrame(encoding), ctx);
                }
                return;
            }
        };
        key_frames.wish();
        let Some(transport) = self.transports.get_mut(transport_key) else { return };
        let at = key_frames.next_timeout(ctx.now, transport.rtt());
        transport.timers.advance(Timer::KeyFrame, at.unwrap_or(ctx.now));
        ctx.outbox.touched.push((self.key, transport_key));
    }
}

/// The first of ORTC's mapped SSRCs. They name encodings inside a router and are never sent to clients.
const FIRST_MAPPED_SSRC: u32 = 100_000_000;
