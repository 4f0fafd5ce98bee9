//! Data producers and data consumers.

use switchyard_media_worker::media::{
    DataConsumerCloseReason, DataConsumerId, DataProduceOptions, DataProducerId, Direction,
};

use super::{CallMedia, limit_exceeded, not_found};
use crate::call::DataProducerView;
use crate::error::{ErrorCode, Refusal};
use crate::hub::Audience;
use crate::ids::LegId;
use crate::wire::command::{ConsumeData, ProduceData};
use crate::wire::event::{DataConsumerClosed, DataProducerClosed, NewDataProducer, ServerEvent};
use crate::wire::reply::{Created, DataConsumerView, MediaReply};

impl CallMedia {
    pub(super) async fn produce_data(
        &mut self,
        leg: LegId,
        request: ProduceData,
    ) -> Result<MediaReply, Refusal> {
        if self.own_transport(leg, request.transport_id)? != Direction::Send {
            return Err(Refusal::new(ErrorCode::BadRequest, "produce on the transport you send on"));
        }
        if self.leg(leg)?.permissions.can_publish.is_empty() {
            return Err(Refusal::new(ErrorCode::Forbidden, "a moderator does not let you send"));
        }
        if self.leg(leg)?.data_producers.len() >= MAX_DATA_PRODUCERS {
            return Err(limit_exceeded("a leg has at most 8 data producers"));
        }
        let (label, protocol) = (request.label.into_string(), request.protocol.into_string());
        let options = DataProduceOptions {
            sctp_stream_parameters: request.sctp_stream_parameters,
            label: label.clone(),
            protocol: protocol.clone(),
        };
        let data_producer_id = self.router.produce_data(request.transport_id, options).await?;
        let owned = self.leg_mut(leg)?;
        owned.data_producers.insert(data_producer_id);
        let user_id = owned.user;
        let app_data = request.app_data;
        let data_producer =
            DataProducerView { data_producer_id, user_id, leg_id: leg, label, protocol, app_data };
        self.data_producers.insert(data_producer_id, data_producer.clone());
        let event = ServerEvent::NewDataProducer(NewDataProducer { call_id: self.call, data_producer });
        self.tell(Audience::CallExcept(self.call, leg), event);
        Ok(MediaReply::Created(Created { id: data_producer_id.0 }))
    }

    pub(super) async fn close_data_producer(
        &mut self,
        leg: LegId,
        id: DataProducerId,
    ) -> Result<MediaReply, Refusal> {
        if !self.leg(leg)?.data_producers.contains(&id) {
            return Err(not_found("no such data producer of yours"));
        }
        self.router.close_data_producer(id).await?;
        self.forget_data_producer(id);
        Ok(MediaReply::done())
    }

    pub(super) async fn consume_data(
        &mut self,
        leg: LegId,
        request: ConsumeData,
    ) -> Result<MediaReply, Refusal> {
        if self.own_transport(leg, request.transport_id)? != Direction::Recv {
            return Err(Refusal::new(ErrorCode::BadRequest, "consume on the transport you receive on"));
        }
        if !self.leg(leg)?.permissions.can_subscribe {
            return Err(Refusal::new(ErrorCode::Forbidden, "a moderator does not let you receive"));
        }
        let producer = self.data_producers.get(&request.data_producer_id);
        let user_id = producer.ok_or_else(|| not_found("no such data producer in this call"))?.user_id;
        if self.leg(leg)?.data_consumers.len() >= MAX_DATA_CONSUMERS {
            return Err(limit_exceeded("a transport has at most 200 data consumers"));
        }
        let (id, parameters) =
            self.router.consume_data(request.transport_id, request.data_producer_id).await?;
        self.leg_by_data_consumer.insert(id, leg);
        self.leg_mut(leg)?.data_consumers.insert(id, request.data_producer_id);
        Ok(MediaReply::DataConsumer(DataConsumerView {
            id,
            data_producer_id: request.data_producer_id,
            sctp_stream_parameters: parameters.sctp_stream_parameters,
            label: parameters.label,
            protocol: parameters.protocol,
            user_id,
        }))
    }

    pub(super) async fn close_data_consumer(
        &mut self,
        leg: LegId,
        id: DataConsumerId,
    ) -> Result<MediaReply, Refusal> {
        if !self.leg(leg)?.data_consumers.contains_key(&id) {
            return Err(not_found("no such data consumer of yours"));
        }
        self.router.close_data_consumer(id).await?;
        self.forget_data_consumer(id, None);
        Ok(MediaReply::done())
    }

    /// Removes a closed data producer and all its consumers. Idempotent.
    pub(super) fn forget_data_producer(&mut self, data_producer_id: DataProducerId) {
        let Some(producer) = self.data_producers.remove(&data_producer_id) else { return };
        let leg_id = producer.leg_id;
        if let Some(owned) = self.legs.get_mut(&leg_id) {
            owned.data_producers.remove(&data_producer_id);
        }
        let closed =
            DataProducerClosed { call_id: self.call, data_producer_id, user_id: producer.user_id, leg_id };
        let event = ServerEvent::DataProducerClosed(closed);
        self.tell(Audience::CallExcept(self.call, leg_id), event);
        let consumers = self.legs.values().flat_map(|owned| &owned.data_consumers);
        let orphans: Vec<_> =
            consumers.filter(|(_, source)| **source == data_producer_id).map(|(id, _)| *id).collect();
        for id in orphans {
            self.forget_data_consumer(id, Some(DataConsumerCloseReason::ProducerClosed));
        }
    }

    /// Removes a closed data consumer. With a `reason` its leg is notified; without one the leg closed it
    /// itself. Idempotent.
    pub(super) fn forget_data_consumer(
        &mut self,
        id: DataConsumerId,
        reason: Option<DataConsumerCloseReason>,
    ) {
        let Some(leg) = self.leg_by_data_consumer.remove(&id) else { return };
        if let Some(owned) = self.legs.get_mut(&leg) {
            owned.data_consumers.remove(&id);
        }
        if let Some(reason) = reason {
            let closed = DataConsumerClosed { call_id: self.call, data_consumer_id: id, reason };
            self.tell(Audience::Leg(leg), ServerEvent::DataConsumerClosed(closed));
        }
    }
}

const MAX_DATA_PRODUCERS: usize = 8;
const MAX_DATA_CONSUMERS: usize = 200;
