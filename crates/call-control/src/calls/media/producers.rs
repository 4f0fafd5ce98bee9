//! Producers: tracks that legs send.

use switchyard_media_worker::media::{Direction, ProduceOptions, ProducerId};

use super::notice::Notice;
use super::{CallMedia, not_found};
use crate::call::{MediaChange, ProducerView};
use crate::error::{ErrorCode, Refusal};
use crate::hub::Audience;
use crate::ids::LegId;
use crate::wire::command::Produce;
use crate::wire::event::{CloseReason, ConsumerPause, PausedBy, ServerEvent};
use crate::wire::reply::{Created, MediaReply};

impl CallMedia {
    pub(super) async fn produce(&mut self, leg: LegId, request: Produce) -> Result<MediaReply, Refusal> {
        self.may_produce(leg, &request)?;
        let Produce { transport_id, kind, rtp_parameters, app_data, paused } = request;
        let options = ProduceOptions { kind, rtp_parameters, paused };
        let (producer_id, producer_kind) = self.router.produce(transport_id, options).await?;
        let owned = self.leg_mut(leg)?;
        owned.producers.insert(producer_id);
        let user_id = owned.user;
        let producer =
            ProducerView { producer_id, user_id, leg_id: leg, kind, producer_kind, paused, app_data };
        self.producers.insert(producer_id, producer.clone());
        self.notices.push(Notice::Recorded(MediaChange::ProducerOpened(producer)));
        Ok(MediaReply::Created(Created { id: producer_id.0 }))
    }

    pub(super) async fn pause_producer(
        &mut self,
        leg: LegId,
        id: ProducerId,
        pause: bool,
    ) -> Result<MediaReply, Refusal> {
        self.own_producer(leg, id)?;
        if pause {
            self.router.pause_producer(id).await?;
        } else {
            self.router.resume_producer(id).await?;
        }
        let Some(producer) = self.producers.get_mut(&id) else { return Err(not_found(NO_PRODUCER)) };
        if producer.paused != pause {
            producer.paused = pause;
            let producer = (&*producer).into();
            let change = if pause {
                MediaChange::ProducerPaused(producer)
            } else {
                MediaChange::ProducerResumed(producer)
            };
            self.notices.push(Notice::Recorded(change));
            self.tell_consumers_of_pause(id, pause);
        }
        Ok(MediaReply::done())
    }

    pub(super) async fn close_producer(&mut self, leg: LegId, id: ProducerId) -> Result<MediaReply, Refusal> {
        self.own_producer(leg, id)?;
        self.router.close_producer(id).await?;
        self.forget_producer(id);
        Ok(MediaReply::done())
    }

    /// Removes a closed producer and all its consumers. Idempotent.
    pub(super) fn forget_producer(&mut self, id: ProducerId) {
        let Some(producer) = self.producers.remove(&id) else { return };
        if let Some(owned) = self.legs.get_mut(&producer.leg_id) {
            owned.producers.remove(&id);
        }
        self.notices.push(Notice::Recorded(MediaChange::ProducerClosed((&producer).into())));
        for (_, consumer) in self.consumers_of(id) {
            self.forget_consumer(consumer, Some(CloseReason::ProducerClosed));
        }
    }

    fn may_produce(&self, leg: LegId, request: &Produce) -> Result<(), Refusal> {
        if self.own_transport(leg, request.transport_id)? != Direction::Send {
            return Err(Refusal::new(ErrorCode::BadRequest, "produce on the transport you send on"));
        }
        let source = request.app_data.source;
        if source.kind() != request.kind {
            return Err(Refusal::new(ErrorCode::BadRequest, "`kind` does not fit `appData.source`"));
        }
        if !source.is_allowed_in(self.call_type) {
            return Err(Refusal::new(ErrorCode::Unsupported, "this type of call does not carry that source"));
        }
        let owned = self.leg(leg)?;
        if !owned.permissions.can_publish.contains(&source) {
            return Err(Refusal::new(ErrorCode::Forbidden, "a moderator does not let you send this"));
        }
        if owned.producers.len() >= self.limits.producers_per_leg {
            return Err(Refusal::new(ErrorCode::TooManyProducers, "this leg sends all it may"));
        }
        Ok(())
    }

    fn own_producer(&self, leg: LegId, id: ProducerId) -> Result<(), Refusal> {
        if self.leg(leg)?.producers.contains(&id) { Ok(()) } else { Err(not_found(NO_PRODUCER)) }
    }

    pub(super) fn tell_consumers_of_pause(&mut self, id: ProducerId, pause: bool) {
        for (leg, consumer_id) in self.consumers_of(id) {
            let change = ConsumerPause { call_id: self.call, consumer_id, by: PausedBy::Producer };
            let event = if pause {
                ServerEvent::ConsumerPaused(change)
            } else {
                ServerEvent::ConsumerResumed(change)
            };
            self.tell(Audience::Leg(leg), event);
        }
    }
}

const NO_PRODUCER: &str = "no such producer of yours";
