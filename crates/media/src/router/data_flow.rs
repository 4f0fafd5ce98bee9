//! Data-channel messages from a data producer to its data consumers.

use super::Router;
use crate::context::{Context, Ended};
use crate::data::DataProducer;
use crate::event::{DataConsumerCloseReason, Event};
use crate::keys::{DataConsumerKey, DataProducerKey, TransportKey};
use crate::relay::DataMessage;
use crate::sctp::{Payload, SctpSendError};
use crate::transport::DataReceived;

impl Router {
    pub(super) fn receive_data(&mut self, key: TransportKey, message: &DataReceived, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producer_on(key, message.stream) else {
            ctx.counters.data_messages_dropped += 1;
            return;
        };
        ctx.counters.data_messages_received += 1;
        if let Some(DataProducer { id, relays, .. }) = self.data_producers.get(producer) {
            for &shard in relays {
                self.tell_data(shard, *id, DataMessage::Payload(message.payload.clone()), ctx);
            }
        }
        self.deliver_data(producer, &message.payload, ctx);
    }

    pub(super) fn deliver_data(&mut self, key: DataProducerKey, payload: &Payload, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producers.get(key) else { return };
        let mut overflowed = Vec::new();
        for &consumer_key in &producer.consumers {
            let Some(consumer) = self.data_consumers.get(consumer_key) else { continue };
            let Some(transport) = self.transports.get_mut(consumer.transport) else { continue };
            match transport.sctp.send(ctx.now, consumer.stream, payload) {
                Ok(()) => ctx.counters.data_messages_sent += 1,
                Err(SctpSendError::Blocked) if consumer.reliable => overflowed.push(consumer_key),
                Err(_) => ctx.counters.data_messages_dropped += 1,
            }
            transport.pump(&mut Vec::new(), ctx);
            ctx.outbox.touched.push((self.key, consumer.transport));
        }
        overflowed
            .into_iter()
            .for_each(|key| self.end_data_consumer(key, DataConsumerCloseReason::Overflow, ctx));
    }

    /// The client closed a data channel: ends the data producer or data consumer on it.
    pub(super) fn close_stream(&mut self, key: TransportKey, stream: u16, ctx: &mut Context<'_>) {
        if let Some(producer) = self.data_producer_on(key, stream) {
            self.end_data_producer(producer, ctx);
        }
        let is = |transport: TransportKey, other: u16| transport == key && other == stream;
        if let Some(consumer) =
            self.data_consumers.iter().find(|(_, it)| is(it.transport, it.stream)).map(|(key, _)| key)
        {
            self.end_data_consumer(consumer, DataConsumerCloseReason::ReceiverClosed, ctx);
        }
    }

    pub(super) fn remove_data_producer(&mut self, key: DataProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producers.remove(key) else { return };
        ctx.outbox.ended.push(Ended::DataProducer(producer.id));
        for consumer in producer.consumers {
            self.end_data_consumer(consumer, DataConsumerCloseReason::ProducerClosed, ctx);
        }
        for shard in producer.relays {
            self.tell_data(shard, producer.id, DataMessage::Closed, ctx);
        }
    }

    pub(super) fn remove_data_consumer(&mut self, key: DataConsumerKey, ctx: &mut Context<'_>) {
        let Some(consumer) = self.data_consumers.remove(key) else { return };
        ctx.outbox.ended.push(Ended::DataConsumer(consumer.id));
        if let Some(producer) = self.data_producers.get_mut(consumer.producer) {
            producer.consumers.retain(|&other| other != key);
            self.release_unused_data(consumer.producer, ctx);
        }
        if let Some(transport) = self.transports.get_mut(consumer.transport) {
            transport.sctp.close_stream(ctx.now, consumer.stream);
            transport.pump(&mut Vec::new(), ctx);
            ctx.outbox.touched.push((self.key, consumer.transport));
        }
    }

    /// Ends the data producers and consumers of a transport that was removed.
    pub(super) fn remove_data(&mut self, removed: TransportKey, ctx: &mut Context<'_>) {
        let producers =
            self.data_producers.iter().filter(|(_, producer)| producer.stream_on(removed).is_some());
        for key in producers.map(|(key, _)| key).collect::<Vec<_>>() {
            self.end_data_producer(key, ctx);
        }
        let consumers = self.data_consumers.iter().filter(|(_, consumer)| consumer.transport == removed);
        for key in consumers.map(|(key, _)| key).collect::<Vec<_>>() {
            self.end_data_consumer(key, DataConsumerCloseReason::ProducerClosed, ctx);
        }
    }

    fn data_producer_on(&self, transport: TransportKey, stream: u16) -> Option<DataProducerKey> {
        let is = |producer: &DataProducer| producer.stream_on(transport) == Some(stream);
        self.data_producers.iter().find(|(_, producer)| is(producer)).map(|(key, _)| key)
    }

    fn end_data_producer(&mut self, key: DataProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producers.get(key) else { return };
        let event = Event::DataProducerClosed { data_producer: producer.id };
        ctx.outbox.events.push_back((self.id, event));
        self.remove_data_producer(key, ctx);
    }

    pub(super) fn end_data_consumer(
        &mut self,
        key: DataConsumerKey,
        reason: DataConsumerCloseReason,
        ctx: &mut Context<'_>,
    ) {
        let Some(consumer) = self.data_consumers.get(key) else { return };
        let event = Event::DataConsumerClosed { data_consumer: consumer.id, reason };
        ctx.outbox.events.push_back((self.id, event));
        self.remove_data_consumer(key, ctx);
    }
}
