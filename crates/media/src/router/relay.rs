//! Producers shared with the router's other shards: the messages sent to them and received from them.

use super::Router;
use crate::arrival::{Arrival, EncodingLife};
use crate::context::{Context, Outbox};
use crate::id::{ProducerId, ShardId};
use crate::keys::{ConsumerKey, ProducerKey};
use crate::producer::{Accepted, Encoding, Offered, Origin, Producer, Upstream};
use crate::relay::{Message, ProducerMessage, ProducerState, Relay, RelayBatch, RelayedProducer};
use crate::transport::{Side, Transport};
use std::sync::Arc;

impl Router {
    /// The description that another shard needs to create consumers for a producer of this shard.
    pub(crate) fn describe_producer(&self, key: ProducerKey, ctx: &Context<'_>) -> Option<RelayedProducer> {
        let producer = self.producers.get(key).filter(|producer| producer.transport().is_some())?;
        Some(RelayedProducer {
            id: producer.id,
            shard: ctx.config.shard,
            kind: producer.kind,
            producer_kind: producer.producer_kind,
            codec: producer.codec,
            formats: producer.formats,
            consumable: producer.consumable.clone(),
            encodings: producer.encodings.len(),
            state: self.state(producer, ctx),
        })
    }

    /// Adds a producer of another shard, which stays as long as it has consumers on this shard.
    pub(crate) fn add_relayed(&mut self, relayed: RelayedProducer) -> ProducerKey {
        let RelayedProducer { id, shard, kind, state, .. } = relayed;
        let offered = Offered {
            codec: relayed.codec,
            producer_kind: relayed.producer_kind,
            formats: relayed.formats,
            encodings: (0..relayed.encodings).map(|_| Encoding::default()).collect(),
            consumable: relayed.consumable,
            paused: state.paused,
        };
        let mut producer = Producer::new(id, Origin::Relay(Upstream::new(shard)), kind, offered);
        producer.adopt(state);
        self.producers.insert(producer)
    }

    /// Removes a relayed producer that has no consumers.
    pub(crate) fn release_unused(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key).filter(|producer| producer.consumers.is_empty()) else {
            return;
        };
        let Origin::Relay(upstream) = &producer.origin else { return };
        if upstream.subscribed.is_some() {
            self.tell(upstream.shard, producer.id, ProducerMessage::Unsubscribe, ctx);
        }
        drop(self.remove_producer(key, ctx));
    }

    /// Handles a message about a producer of this shard or one relayed to it. `None` as key: the producer is
    /// unknown.
    pub(crate) fn receive_producer_message(
        &mut self,
        from: ShardId,
        (id, key): (ProducerId, Option<ProducerKey>),
        message: ProducerMessage,
        ctx: &mut Context<'_>,
    ) {
        let Some(key) = key else {
            return match message {
                ProducerMessage::Subscribe(_) => self.tell(from, id, ProducerMessage::Closed, ctx),
                ProducerMessage::Packets(_) => ctx.counters.relayed_unknown += 1,
                // A producer that is gone needs no action.
                ProducerMessage::State(_)
                | ProducerMessage::Closed
                | ProducerMessage::Unsubscribe
                | ProducerMessage::KeyFrame(_)
                | ProducerMessage::Missing(..) => {}
            };
        };
        match message {
            ProducerMessage::Packets(batch) => self.accept_packets(key, &batch, ctx),
            ProducerMessage::State(state) => self.adopt_state(key, state, ctx),
            ProducerMessage::Closed => drop(self.remove_producer(key, ctx)),
            ProducerMessage::Subscribe(encodings) => self.subscribe(key, from, encodings, ctx),
            ProducerMessage::Unsubscribe => {
                if let Some(producer) = self.producers.get_mut(key) {
                    producer.relays.unsubscribe(from);
                }
            }
            ProducerMessage::KeyFrame(encoding) => self.wish_key_frame(key, encoding, ctx),
            ProducerMessage::Missing(source, sequences) => {
                self.relay_again(from, key, source, &sequences, ctx);
            }
        }
    }

    /// Adds a packet received by this shard to the batch for the other shards, if any of them wants it.
    pub(super) fn relay(&mut self, key: ProducerKey, arrival: &Arrival, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(key) else { return };
        let Producer { kind, relays, encodings, .. } = producer;
        let stream = encodings.get(usize::from(arrival.source.encoding)).and_then(|it| it.stream.as_ref());
        let Some(stream) = stream.filter(|_| !relays.is_empty()) else { return };
        let late = arrival.sequence < stream.newest().sequence;
        if !relays.wants(arrival.source.encoding, late) {
            return;
        }
        if relays.add(*kind, arrival, late, stream.history.get(arrival.sequence)) {
            ctx.outbox.relay_due.push((self.key, key));
        }
    }

    /// Sends a producer's batch to the shards that want it.
    pub(crate) fn flush_relay(&mut self, key: ProducerKey, outbox: &mut Outbox) {
        let Some(producer) = self.producers.get_mut(key) else { return };
        let Some((batch, shards)) = producer.relays.take() else { return };
        for shard in shards {
            let message = Message::Producer(producer.id, ProducerMessage::Packets(batch.clone()));
            outbox.relays.push_back((shard, Relay::new(self.id, message)));
        }
    }

    /// Sends a producer's changed state to the other shards.
    pub(super) fn announce_state(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key) else { return };
        if producer.relays.shards().next().is_none() {
            return;
        }
        let (id, state) = (producer.id, self.state(producer, ctx));
        let Some(producer) = self.producers.get_mut(key) else { return };
        producer.relays.told_active = state.active;
        for shard in producer.relays.shards() {
            let message = Message::Producer(id, ProducerMessage::State(state.clone()));
            ctx.outbox.relays.push_back((shard, Relay::new(self.id, message)));
        }
    }

    /// Updates the subscription to a relayed producer, if its consumers' wishes changed.
    pub(super) fn update_subscription(&mut self, key: ProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get(key) else { return };
        if producer.transport().is_some() {
            return;
        }
        let consumers = producer.consumers.iter().filter_map(|&consumer| self.consumers.get(consumer));
        let reachable = consumers
            .filter(|consumer| self.transports.get(consumer.transport).is_some_and(Transport::can_send));
        let wanted = reachable.fold(0, |mask, consumer| mask | consumer.wanted_encodings());
        let id = producer.id;
        let Some(Origin::Relay(upstream)) = self.producers.get_mut(key).map(|it| &mut it.origin) else {
            return;
        };
        if upstream.subscribed.replace(wanted) != Some(wanted) {
            let shard = upstream.shard;
            self.tell(shard, id, ProducerMessage::Subscribe(wanted), ctx);
        }
    }

    /// Requests packets that a consumer's client misses and that never reached this shard.
    pub(super) fn ask_for_missing(&mut self, consumer: ConsumerKey, missing: &[u16], ctx: &mut Context<'_>) {
        let Some(consumer) = self.consumers.get(consumer) else { return };
        let Some(producer) = self.producers.get_mut(consumer.producer) else { return };
        let Origin::Relay(upstream) = &mut producer.origin else {
            ctx.counters.retransmissions_unavailable += missing.len() as u64;
            return;
        };
        let mut asked: Vec<(_, Vec<u64>)> = Vec::new();
        for (source, sequence) in missing.iter().filter_map(|&number| consumer.never_sent(number)) {
            if !upstream.ask(source, sequence, ctx.now) {
                continue;
            }
            match asked.iter_mut().find(|(of, _)| *of == source) {
                Some((_, sequences)) => sequences.push(sequence),
                None => asked.push((source, vec![sequence])),
            }
        }
        let (id, shard) = (producer.id, upstream.shard);
        for (source, sequences) in asked {
            self.tell(shard, id, ProducerMessage::Missing(source, sequences), ctx);
        }
    }

    pub(super) fn tell(
        &self,
        to: ShardId,
        producer: ProducerId,
        message: ProducerMessage,
        ctx: &mut Context<'_>,
    ) {
        self.send(to, Message::Producer(producer, message), ctx);
    }

    pub(super) fn send(&self, to: ShardId, message: Message, ctx: &mut Context<'_>) {
        ctx.outbox.relays.push_back((to, Relay::new(self.id, message)));
    }

    fn accept_packets(&mut self, key: ProducerKey, batch: &RelayBatch, ctx: &mut Context<'_>) {
        for (packet, content) in batch.packets() {
            let Some(producer) = self.producers.get_mut(key) else { return };
            let Origin::Relay(upstream) = &producer.origin else { return };
            let number = usize::from(packet.source.encoding);
            let Some(encoding) = producer.encodings.get_mut(number) else { continue };
            let wanted = upstream.subscribed.is_some_and(|encodings| encodings & (1 << number) != 0);
            match encoding.accept(producer.kind, packet, content, wanted) {
                Accepted::Taken(arrival) => {
                    ctx.counters.relayed_in += 1;
                    self.forward(key, arrival, ctx);
                }
                Accepted::Known => ctx.counters.relayed_duplicate += 1,
                Accepted::Unwanted => {}
            }
        }
    }

    fn adopt_state(&mut self, key: ProducerKey, state: ProducerState, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(key) else { return };
        let was_paused = producer.paused;
        let had_floor = producer.has_floor(self.floor);
        producer.adopt(state);
        let floor_changed = producer.has_floor(self.floor) != had_floor;
        if was_paused && !producer.paused {
            self.start_consumers_over(key);
        }
        self.retarget(key, ctx);
        if floor_changed {
            self.reconsider_consumers(key, ctx);
        }
    }

    fn subscribe(&mut self, key: ProducerKey, from: ShardId, encodings: u8, ctx: &mut Context<'_>) {
        let Some(producer) = self.producers.get_mut(key).filter(|it| it.transport().is_some()) else {
            return;
        };
        producer.relays.subscribe(from, encodings);
        let Some(producer) = self.producers.get(key) else { return };
        let state = self.state(producer, ctx);
        self.tell(from, producer.id, ProducerMessage::State(state), ctx);
    }

    /// Resends packets that another shard misses. A packet that has not arrived here either may be requested
    /// again.
    fn relay_again(
        &mut self,
        to: ShardId,
        key: ProducerKey,
        source: EncodingLife,
        sequences: &[u64],
        ctx: &mut Context<'_>,
    ) {
        let Some(producer) = self.producers.get(key) else { return };
        let Some(stream) = producer.stream(source).filter(|stream| stream.source == source) else { return };
        let mut batch = RelayBatch::new(producer.kind);
        for &sequence in sequences {
            match stream.again(sequence, ctx.now).zip(stream.history.get(sequence)) {
                Some((arrival, stored)) => {
                    batch.push(&arrival, true, Some(stored));
                    ctx.counters.relayed_again += 1;
                }
                None => ctx.counters.retransmissions_unavailable += 1,
            }
        }
        if !batch.is_empty() {
            self.tell(to, producer.id, ProducerMessage::Packets(Arc::new(batch)), ctx);
        }
    }

    fn state(&self, producer: &Producer, ctx: &Context<'_>) -> ProducerState {
        let transport = producer.transport().and_then(|key| self.transports.get(key));
        let clock_offset = transport.and_then(|transport| match &transport.side {
            Side::Uplink(uplink) => uplink.clock_offset(),
            Side::Downlink(_) => None,
        });
        ProducerState {
            prices: producer.rates.as_ref().map(|rates| rates.prices()).unwrap_or_default(),
            has_floor: producer.has_floor(self.floor),
            paused: producer.paused,
            active: producer.active(ctx.now),
            clock_offset,
            clocks: producer.encodings.iter().filter_map(|encoding| encoding.clock).collect(),
            captured: producer.encodings.iter().filter_map(|encoding| encoding.captured).collect(),
        }
    }
}
