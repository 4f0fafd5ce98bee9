//! Consumers: tracks sent to one leg each.

use std::sync::Arc;

use switchyard_media_worker::media::allocation::VideoKind;
use switchyard_media_worker::media::ortc::{Layers, ReceiverCapabilities};
use switchyard_media_worker::media::{ConsumeOptions, ConsumerId, Direction, ProducerId, TransportId};

use super::{CallMedia, not_found};

use crate::call::{ProducerView, Source};
use crate::error::{ErrorCode, Refusal};
use crate::hub::Audience;
use crate::ids::LegId;
use crate::wire::command::{Consume, SetPreferredLayers, SetPriority};
use crate::wire::event::{CloseReason, ConsumerClosed, ServerEvent};
use crate::wire::reply::{Consumed, ConsumerView, FailedConsumer, MediaReply};

impl CallMedia {
    /// Creates a consumer for each requested producer. Failures are reported per producer, with an error
    /// code.
    pub(super) async fn consume(&mut self, leg: LegId, request: Consume) -> Result<MediaReply, Refusal> {
        if self.own_transport(leg, request.transport_id)? != Direction::Recv {
            return Err(Refusal::new(ErrorCode::BadRequest, "consume on the transport you receive on"));
        }
        let order = Order {
            transport: request.transport_id,
            paused: request.paused,
            preferred_layers: request.preferred_layers,
        };
        Ok(MediaReply::Consumed(self.consume_each(leg, &order, request.producer_ids).await?))
    }

    /// Creates paused consumers for all producers of the other legs; none if a moderator denied receiving.
    ///
    /// # Errors
    /// `bad_request` without a receive transport or without RTP capabilities.
    pub(super) async fn consume_all(&mut self, leg: LegId) -> Result<Consumed, Refusal> {
        if !self.leg(leg)?.permissions.can_subscribe {
            return Ok(Consumed::default());
        }
        let Some(transport) = self.leg(leg)?.recv else {
            return Err(Refusal::new(ErrorCode::BadRequest, "to consume, ask for a transport to receive on"));
        };
        let others = self.producers.values().filter(|producer| producer.leg_id != leg);
        let producers = others.map(|producer| producer.producer_id).collect();
        let order = Order { transport, paused: true, preferred_layers: None };
        self.consume_each(leg, &order, producers).await
    }

    pub(super) async fn pause_consumers(
        &mut self,
        leg: LegId,
        ids: &[ConsumerId],
        pause: bool,
    ) -> Result<MediaReply, Refusal> {
        self.own_consumers(leg, ids)?;
        for id in ids {
            if pause {
                self.router.pause_consumer(*id).await?;
            } else {
                self.router.resume_consumer(*id).await?;
            }
        }
        Ok(MediaReply::done())
    }

    pub(super) async fn close_consumers(
        &mut self,
        leg: LegId,
        ids: &[ConsumerId],
    ) -> Result<MediaReply, Refusal> {
        self.own_consumers(leg, ids)?;
        for id in ids {
            self.router.close_consumer(*id).await?;
            self.forget_consumer(*id, None);
        }
        Ok(MediaReply::done())
    }

    pub(super) async fn set_preferred_layers(
        &mut self,
        leg: LegId,
        request: SetPreferredLayers,
    ) -> Result<MediaReply, Refusal> {
        self.own_consumers(leg, &[request.consumer_id])?;
        self.router.set_preferred_layers(request.consumer_id, request.layers()).await?;
        Ok(MediaReply::done())
    }

    pub(super) async fn set_priority(&self, leg: LegId, request: SetPriority) -> Result<MediaReply, Refusal> {
        self.own_consumers(leg, &[request.consumer_id])?;
        self.router.set_priority(request.consumer_id, request.priority).await?;
        Ok(MediaReply::done())
    }

    pub(super) async fn request_key_frame(
        &mut self,
        leg: LegId,
        id: ConsumerId,
    ) -> Result<MediaReply, Refusal> {
        self.own_consumers(leg, &[id])?;
        self.router.request_key_frame(id).await?;
        Ok(MediaReply::done())
    }

    pub(super) fn consumers_of(&self, producer: ProducerId) -> Vec<(LegId, ConsumerId)> {
        let of_leg = |(leg, owned): (&LegId, &super::LegMedia)| {
            let theirs = owned.consumers.iter().filter(|(_, source)| **source == producer);
            theirs.map(|(consumer, _)| (*leg, *consumer)).collect::<Vec<_>>()
        };
        self.legs.iter().flat_map(of_leg).collect()
    }

    /// Removes a closed consumer. With a `reason` its leg is notified; without one the leg closed it itself.
    /// Idempotent.
    pub(super) fn forget_consumer(&mut self, consumer_id: ConsumerId, reason: Option<CloseReason>) {
        let Some(leg) = self.leg_by_consumer.remove(&consumer_id) else { return };
        let Some(owned) = self.legs.get_mut(&leg) else { return };
        let Some(producer_id) = owned.consumers.remove(&consumer_id) else { return };
        if let Some(reason) = reason {
            let closed = ConsumerClosed { call_id: self.call, consumer_id, producer_id, reason };
            self.tell(Audience::Leg(leg), ServerEvent::ConsumerClosed(closed));
        }
    }

    async fn consume_each(
        &mut self,
        leg: LegId,
        order: &Order,
        producers: Vec<ProducerId>,
    ) -> Result<Consumed, Refusal> {
        if !self.leg(leg)?.permissions.can_subscribe {
            return Err(Refusal::new(ErrorCode::Forbidden, "a moderator does not let you receive"));
        }
        let Some(capabilities) = self.leg(leg)?.capabilities.clone() else {
            return Err(Refusal::new(ErrorCode::BadRequest, "say what you can decode: `rtpCapabilities`"));
        };
        let mut consumed = Consumed::default();
        for producer_id in producers {
            match self.consume_one(leg, order, producer_id, &capabilities).await {
                Ok(consumer) => consumed.consumers.push(consumer),
                Err(refusal) => consumed.failed.push(FailedConsumer { producer_id, code: refusal.code }),
            }
        }
        Ok(consumed)
    }

    async fn consume_one(
        &mut self,
        leg: LegId,
        order: &Order,
        producer_id: ProducerId,
        capabilities: &Arc<ReceiverCapabilities>,
    ) -> Result<ConsumerView, Refusal> {
        let producer =
            self.producers.get(&producer_id).ok_or_else(|| not_found("no such producer in this call"))?;
        let producer = producer.clone();
        let owned = self.leg(leg)?;
        if owned.consumers.values().any(|consumed| *consumed == producer_id) {
            return Err(Refusal::new(ErrorCode::Conflict, "you consume this producer already"));
        }
        if owned.consumers.len() >= self.limits.consumers_per_transport {
            return Err(Refusal::new(ErrorCode::TooManyConsumers, "this transport receives all it may"));
        }
        let options = ConsumeOptions {
            producer: producer_id,
            rtp_capabilities: Arc::clone(capabilities),
            paused: order.paused,
            preferred_layers: order.preferred_layers,
            video: if producer.app_data.source == Source::Screen {
                VideoKind::Screen
            } else {
                VideoKind::Camera
            },
        };
        let (id, parameters) = self.router.consume(order.transport, options).await?;
        self.leg_by_consumer.insert(id, leg);
        self.leg_mut(leg)?.consumers.insert(id, producer_id);
        Ok(view(id, &producer, parameters))
    }

    fn own_consumers(&self, leg: LegId, ids: &[ConsumerId]) -> Result<(), Refusal> {
        let owned = self.leg(leg)?;
        if ids.iter().all(|id| owned.consumers.contains_key(id)) {
            Ok(())
        } else {
            Err(not_found("no such consumer of yours"))
        }
    }
}

/// The options that all consumers of one request share.
struct Order {
    transport: TransportId,
    paused: bool,
    preferred_layers: Option<Layers>,
}

fn view(
    id: ConsumerId,
    producer: &ProducerView,
    parameters: switchyard_media_worker::media::ConsumerParameters,
) -> ConsumerView {
    ConsumerView {
        id,
        producer_id: producer.producer_id,
        user_id: producer.user_id,
        leg_id: producer.leg_id,
        kind: parameters.kind,
        rtp_parameters: parameters.rtp_parameters,
        producer_kind: parameters.producer_kind,
        paused: parameters.paused,
        producer_paused: parameters.producer_paused,
        stream_id: format!("{}:{}", producer.leg_id, producer.app_data.source.stream()),
        app_data: producer.app_data,
    }
}
