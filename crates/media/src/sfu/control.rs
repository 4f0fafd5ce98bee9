//! Control calls: maps ids to keys, then calls the router.

use super::Sfu;
use crate::config::{
    Bandwidth, ConsumeOptions, ConsumerParameters, DataConsumerParameters, DataProduceOptions,
    ProduceOptions, TransportOptions,
};
use crate::context::Context;
use crate::event::{ControlError, TransportStats};
use crate::id::{ConsumerId, DataConsumerId, DataProducerId, ProducerId, RouterId, ShardId, TransportId};
use crate::keys::{RouterKey, TransportAddress, TransportKey};
use crate::ortc::{DtlsParameters, IceParameters, Layers, ProducerKind, TransportParameters};
use crate::relay::{RelayedDataProducer, RelayedProducer};
use crate::router::Router;
use crate::trace::TracePart;
use crate::transport::Side;
use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU8;
use std::time::Instant;

/// Every call either succeeds completely or changes nothing and returns the reason. The caller chooses ids,
/// which must be random so that they cannot be guessed.
impl Sfu {
    /// Creates this shard of a router. Shard `home` ranks the router's speakers.
    pub fn create_router(&mut self, id: RouterId, home: ShardId) -> Result<(), ControlError> {
        vacant(&self.names.routers, &id)?;
        let key = self.routers.insert_with_key(|key| Router::new(id, key, home));
        self.names.routers.insert(id, key);
        Ok(())
    }

    /// Closes a router and everything in it. Its clients are notified by DTLS close_notify; its owner, who
    /// requested it, gets no event.
    pub fn close_router(&mut self, now: Instant, id: RouterId) -> Result<(), ControlError> {
        let key = self.names.routers.remove(&id).ok_or(ControlError::RouterNotFound)?;
        let transports: Vec<_> =
            self.routers.get(key).into_iter().flat_map(|it| it.transports.keys()).collect();
        for transport in transports {
            self.work(now, key, Some(transport), |router, ctx| router.close_transport(transport, ctx));
        }
        self.routers.remove(key);
        self.outbox.events.retain(|(router, _)| *router != id);
        self.outbox.due.forget_router(key);
        Ok(())
    }

    pub fn create_transport(
        &mut self,
        now: Instant,
        router: RouterId,
        id: TransportId,
        options: TransportOptions,
    ) -> Result<TransportParameters, ControlError> {
        vacant(&self.names.transports, &id)?;
        let router_key = *self.names.routers.get(&router).ok_or(ControlError::RouterNotFound)?;
        let (key, parameters) = self
            .work(now, router_key, None, |router, ctx| router.create_transport(id, options, ctx))
            .ok_or(ControlError::RouterNotFound)?;
        self.names.transports.insert(id, (router_key, key));
        let username = parameters.ice_parameters.username_fragment.clone();
        self.demux.by_username.insert(username, (router_key, key));
        Ok(parameters)
    }

    /// Sets the DTLS parameters of a transport's client. A repeated call with the same parameters changes
    /// nothing.
    pub fn connect_transport(
        &mut self,
        now: Instant,
        id: TransportId,
        parameters: &DtlsParameters,
    ) -> Result<(), ControlError> {
        let (router, key) = self.transport(id)?;
        self.work(now, router, Some(key), |router, ctx| router.connect_transport(key, parameters, ctx))
            .ok_or(ControlError::TransportNotFound)?
    }

    /// Creates new ICE credentials. The old ones stay valid until the client's first valid check with the new
    /// ones.
    pub fn restart_ice(&mut self, now: Instant, id: TransportId) -> Result<IceParameters, ControlError> {
        let (router, key) = self.transport(id)?;
        let parameters = self
            .work(now, router, Some(key), |router, ctx| router.restart_ice(key, ctx))
            .ok_or(ControlError::TransportNotFound)??;
        self.demux.by_username.insert(parameters.username_fragment.clone(), (router, key));
        Ok(parameters)
    }

    pub fn close_transport(&mut self, now: Instant, id: TransportId) -> Result<(), ControlError> {
        let (router, key) = self.transport(id)?;
        self.work(now, router, Some(key), |router, ctx| router.close_transport(key, ctx));
        Ok(())
    }

    pub fn produce(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: ProducerId,
        options: ProduceOptions,
    ) -> Result<ProducerKind, ControlError> {
        vacant(&self.names.producers, &id)?;
        let (router, key) = self.transport(transport)?;
        let (producer, kind) = self
            .work(now, router, Some(key), |router, ctx| router.produce(key, id, options, ctx))
            .ok_or(ControlError::TransportNotFound)??;
        self.names.producers.insert(id, (router, producer));
        Ok(kind)
    }

    pub fn pause_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.producers.get(&id).ok_or(ControlError::ProducerNotFound)?;
        self.work(now, router, None, |router, ctx| router.pause_producer(key, ctx))
            .ok_or(ControlError::ProducerNotFound)
    }

    pub fn resume_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.producers.get(&id).ok_or(ControlError::ProducerNotFound)?;
        self.work(now, router, None, |router, ctx| router.resume_producer(key, ctx))
            .ok_or(ControlError::ProducerNotFound)
    }

    pub fn close_producer(&mut self, now: Instant, id: ProducerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.producers.get(&id).ok_or(ControlError::ProducerNotFound)?;
        self.work(now, router, None, |router, ctx| drop(router.remove_producer(key, ctx)))
            .ok_or(ControlError::ProducerNotFound)
    }

    /// The transport and the producer must belong to the same router.
    pub fn consume(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: ConsumerId,
        options: &ConsumeOptions,
    ) -> Result<ConsumerParameters, ControlError> {
        vacant(&self.names.consumers, &id)?;
        let (router, key) = self.transport(transport)?;
        let producers_of_router =
            self.names.producers.get(&options.producer).filter(|(other, _)| *other == router);
        let &(_, producer) = producers_of_router.ok_or(ControlError::ProducerNotFound)?;
        let (consumer, parameters) = self
            .work(now, router, Some(key), |router, ctx| router.consume(key, id, producer, options, ctx))
            .ok_or(ControlError::TransportNotFound)??;
        self.names.consumers.insert(id, (router, consumer));
        Ok(parameters)
    }

    /// As [`Self::consume`], of a producer that another shard of the router described ([`Self::describe_producer`]).
    pub fn consume_relayed(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: ConsumerId,
        options: &ConsumeOptions,
        producer: RelayedProducer,
    ) -> Result<ConsumerParameters, ControlError> {
        let (router, _) = self.transport(transport)?;
        let producer_id = producer.id;
        if !self.names.producers.contains_key(&producer_id) {
            let added = self.work(now, router, None, |router, _| router.add_relayed(producer));
            self.names.producers.extend(added.map(|key| (producer_id, (router, key))));
        }
        let consumed = self.consume(now, transport, id, options);
        if consumed.is_err()
            && let Some(&(router, key)) = self.names.producers.get(&producer_id)
        {
            self.work(now, router, None, |router, ctx| router.release_unused(key, ctx));
        }
        consumed
    }

    /// The description that another shard of the router needs to create consumers for a producer of this
    /// shard.
    pub fn describe_producer(
        &mut self,
        now: Instant,
        id: ProducerId,
    ) -> Result<RelayedProducer, ControlError> {
        let &(router, key) = self.names.producers.get(&id).ok_or(ControlError::ProducerNotFound)?;
        self.work(now, router, None, |router, ctx| router.describe_producer(key, ctx))
            .flatten()
            .ok_or(ControlError::ProducerNotFound)
    }

    pub fn pause_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.pause_consumer(key, ctx))
            .ok_or(ControlError::ConsumerNotFound)
    }

    /// Starts or continues forwarding at the next key frame, which is requested.
    pub fn resume_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.resume_consumer(key, ctx))
            .ok_or(ControlError::ConsumerNotFound)
    }

    pub fn close_consumer(&mut self, now: Instant, id: ConsumerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| drop(router.remove_consumer(key, ctx)))
            .ok_or(ControlError::ConsumerNotFound)
    }

    /// Sets which of a client's videos are more important: those of a higher priority get bandwidth first. `None`: as
    /// if it was never set, which is 255 for a screen, 200 for the dominant speaker's camera and 10 for other cameras.
    ///
    /// # Errors
    /// [`ControlError::ConsumerNotFound`].
    pub fn set_priority(
        &mut self,
        now: Instant,
        id: ConsumerId,
        priority: Option<NonZeroU8>,
    ) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.set_priority(key, priority, ctx))
            .ok_or(ControlError::ConsumerNotFound)
    }

    pub fn set_preferred_layers(
        &mut self,
        now: Instant,
        id: ConsumerId,
        layers: Layers,
    ) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.set_preferred_layers(key, layers, ctx))
            .ok_or(ControlError::ConsumerNotFound)
    }

    pub fn request_key_frame(&mut self, now: Instant, id: ConsumerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.consumers.get(&id).ok_or(ControlError::ConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.request_key_frame(key, ctx))
            .ok_or(ControlError::ConsumerNotFound)
    }

    pub fn produce_data(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: DataProducerId,
        options: DataProduceOptions,
    ) -> Result<(), ControlError> {
        vacant(&self.names.data_producers, &id)?;
        let (router, key) = self.transport(transport)?;
        let producer = self
            .work(now, router, Some(key), |router, _| router.produce_data(key, id, options))
            .ok_or(ControlError::TransportNotFound)??;
        self.names.data_producers.insert(id, (router, producer));
        Ok(())
    }

    /// The transport and the data producer must belong to the same router.
    pub fn consume_data(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: DataConsumerId,
        producer: DataProducerId,
    ) -> Result<DataConsumerParameters, ControlError> {
        vacant(&self.names.data_consumers, &id)?;
        let (router, key) = self.transport(transport)?;
        let producers_of_router =
            self.names.data_producers.get(&producer).filter(|(other, _)| *other == router);
        let &(_, producer) = producers_of_router.ok_or(ControlError::DataProducerNotFound)?;
        let (consumer, parameters) = self
            .work(now, router, Some(key), |router, ctx| router.consume_data(key, id, producer, ctx))
            .ok_or(ControlError::TransportNotFound)??;
        self.names.data_consumers.insert(id, (router, consumer));
        Ok(parameters)
    }

    /// As [`Self::consume_data`], of a data producer that another shard of the router described
    /// ([`Self::describe_data_producer`]).
    pub fn consume_relayed_data(
        &mut self,
        now: Instant,
        transport: TransportId,
        id: DataConsumerId,
        producer: RelayedDataProducer,
    ) -> Result<DataConsumerParameters, ControlError> {
        let (router, _) = self.transport(transport)?;
        let producer_id = producer.id;
        if !self.names.data_producers.contains_key(&producer_id) {
            let added = self.work(now, router, None, |router, _| router.add_relayed_data(producer));
            self.names.data_producers.extend(added.map(|key| (producer_id, (router, key))));
        }
        let consumed = self.consume_data(now, transport, id, producer_id);
        if consumed.is_err()
            && let Some(&(router, key)) = self.names.data_producers.get(&producer_id)
        {
            self.work(now, router, None, |router, ctx| router.release_unused_data(key, ctx));
        }
        consumed
    }

    /// The description that another shard of the router needs to create data consumers for a data producer of
    /// this shard.
    pub fn describe_data_producer(
        &mut self,
        now: Instant,
        id: DataProducerId,
    ) -> Result<RelayedDataProducer, ControlError> {
        let &(router, key) = self.names.data_producers.get(&id).ok_or(ControlError::DataProducerNotFound)?;
        self.work(now, router, None, |router, ctx| router.describe_data_producer(key, ctx))
            .flatten()
            .ok_or(ControlError::DataProducerNotFound)
    }

    pub fn close_data_producer(&mut self, now: Instant, id: DataProducerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.data_producers.get(&id).ok_or(ControlError::DataProducerNotFound)?;
        self.work(now, router, None, |router, ctx| router.close_data_producer(key, ctx))
            .ok_or(ControlError::DataProducerNotFound)
    }

    pub fn close_data_consumer(&mut self, now: Instant, id: DataConsumerId) -> Result<(), ControlError> {
        let &(router, key) = self.names.data_consumers.get(&id).ok_or(ControlError::DataConsumerNotFound)?;
        self.work(now, router, None, |router, ctx| router.close_data_consumer(key, ctx))
            .ok_or(ControlError::DataConsumerNotFound)
    }

    pub fn transport_stats(&self, id: TransportId) -> Result<TransportStats, ControlError> {
        let (router, key) = self.transport(id)?;
        let transport = self.routers.get(router).and_then(|router| router.transports.get(key));
        Ok(transport.ok_or(ControlError::TransportNotFound)?.stats())
    }

    /// What congestion control of a transport to a client saw and decided since the last call. The first call begins
    /// the trace, and five seconds without a call end it. Only one reader gets each event.
    ///
    /// # Errors
    /// [`ControlError::TransportNotFound`]; [`ControlError::WrongDirection`] for a transport from a client;
    /// [`ControlError::Unsupported`] if no bandwidth is divided.
    pub fn read_trace(&mut self, now: Instant, id: TransportId) -> Result<TracePart, ControlError> {
        let (router, key) = self.transport(id)?;
        if self.config.bandwidth != Bandwidth::Divided {
            return Err(ControlError::Unsupported("bandwidth is not divided".to_owned()));
        }
        let transport = self.routers.get_mut(router).and_then(|router| router.transports.get_mut(key));
        match &mut transport.ok_or(ControlError::TransportNotFound)?.side {
            Side::Uplink(_) => Err(ControlError::WrongDirection),
            Side::Downlink(downlink) => Ok(downlink.allotment.read_trace(now)),
        }
    }

    fn transport(&self, id: TransportId) -> Result<TransportAddress, ControlError> {
        self.names.transports.get(&id).copied().ok_or(ControlError::TransportNotFound)
    }

    /// Runs `does` on a router, for a transport if one is given. `None` if there is no such router.
    pub(super) fn work<T>(
        &mut self,
        now: Instant,
        router_key: RouterKey,
        transport: Option<TransportKey>,
        does: impl FnOnce(&mut Router, &mut Context<'_>) -> T,
    ) -> Option<T> {
        // Packets received before this call are for the consumers as they were before it.
        self.queue_fresh(now);
        self.current = transport.map(|transport| (router_key, transport));
        let (routers, mut ctx) = self.split(now);
        let done = does(routers.get_mut(router_key)?, &mut ctx);
        self.outbox.touched.extend(transport.map(|transport| (router_key, transport)));
        self.settle();
        self.current = None;
        Some(done)
    }
}

fn vacant<K: Hash + Eq, V>(names: &HashMap<K, V>, id: &K) -> Result<(), ControlError> {
    if names.contains_key(id) { Err(ControlError::AlreadyExists) } else { Ok(()) }
}
