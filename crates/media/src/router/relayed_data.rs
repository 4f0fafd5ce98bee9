//! Data producers shared with the router's other shards.

use super::Router;
use crate::context::Context;
use crate::data::{DataOrigin, DataProducer};
use crate::event::DataConsumerCloseReason;
use crate::id::{DataProducerId, ShardId};
use crate::keys::{DataConsumerKey, DataProducerKey};
use crate::relay::{DataMessage, Message, RelayedDataProducer};

impl Router {
    /// The description that another shard needs to create data consumers for a data producer of this shard.
    pub(crate) fn describe_data_producer(
        &self,
        key: DataProducerKey,
        ctx: &Context<'_>,
    ) -> Option<RelayedDataProducer> {
        let DataProducer { id, origin, offer, .. } = self.data_producers.get(key)?;
        if matches!(origin, DataOrigin::Relay(_)) {
            return None;
        }
        Some(RelayedDataProducer { id: *id, shard: ctx.config.shard, offer: offer.clone() })
    }

    /// Adds a data producer of another shard, which stays as long as it has data consumers on this shard.
    pub(crate) fn add_relayed_data(&mut self, relayed: RelayedDataProducer) -> DataProducerKey {
        let RelayedDataProducer { id, shard, offer } = relayed;
        self.data_producers.insert(DataProducer::new(id, DataOrigin::Relay(shard), offer))
    }

    /// Removes a relayed data producer that has no data consumers.
    pub(crate) fn release_unused_data(&mut self, key: DataProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producers.get(key).filter(|it| it.consumers.is_empty()) else {
            return;
        };
        if let DataOrigin::Relay(shard) = producer.origin {
            self.tell_data(shard, producer.id, DataMessage::Unsubscribe, ctx);
            self.remove_data_producer(key, ctx);
        }
    }

    /// Handles a message about a data producer of this shard or one relayed to it. `None` as key: the data
    /// producer is unknown.
    pub(crate) fn receive_data_message(
        &mut self,
        from: ShardId,
        (id, key): (DataProducerId, Option<DataProducerKey>),
        message: DataMessage,
        ctx: &mut Context<'_>,
    ) {
        let Some((key, producer)) = key.and_then(|key| Some((key, self.data_producers.get_mut(key)?))) else {
            return match message {
                DataMessage::Subscribe => self.tell_data(from, id, DataMessage::Closed, ctx),
                DataMessage::Payload(_) => ctx.counters.data_messages_dropped += 1,
                // A data producer that is gone needs no action.
                DataMessage::Lost | DataMessage::Closed | DataMessage::Unsubscribe => {}
            };
        };
        match message {
            DataMessage::Payload(payload) => self.deliver_data(key, &payload, ctx),
            DataMessage::Lost => self.lose_data(key, ctx),
            DataMessage::Closed => self.remove_data_producer(key, ctx),
            DataMessage::Subscribe => {
                if !producer.relays.contains(&from) {
                    producer.relays.push(from);
                }
            }
            DataMessage::Unsubscribe => producer.relays.retain(|&shard| shard != from),
        }
    }

    pub(super) fn tell_data(
        &self,
        to: ShardId,
        producer: DataProducerId,
        message: DataMessage,
        ctx: &mut Context<'_>,
    ) {
        self.send(to, Message::DataProducer(producer, message), ctx);
    }

    /// Messages were lost between shards: closes the reliable data consumers, which must not miss any.
    fn lose_data(&mut self, key: DataProducerKey, ctx: &mut Context<'_>) {
        let Some(producer) = self.data_producers.get(key) else { return };
        let reliable = |key: &DataConsumerKey| self.data_consumers.get(*key).is_some_and(|it| it.reliable);
        let (broken, others): (Vec<_>, Vec<_>) = producer.consumers.iter().copied().partition(reliable);
        ctx.counters.data_messages_dropped += others.len() as u64;
        broken
            .into_iter()
            .for_each(|key| self.end_data_consumer(key, DataConsumerCloseReason::Overflow, ctx));
    }
}
