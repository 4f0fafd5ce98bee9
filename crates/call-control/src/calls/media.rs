//! Media state of one call: which leg owns which transport, producer and consumer, and what each leg may do.
//! [`CallMedia`] executes media commands on the call's router and collects the resulting events as
//! [`Notice`]s, which the owner task takes after each request or router event.
//!
//! A leg can use only its own objects and consume only producers of its own call. Any other id is answered
//! with `not_found`, whether it exists or not.

mod consumers;
mod data;
mod events;
mod fault;
mod levels;
mod moderation;
mod notice;
mod producers;
mod transports;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use switchyard_media_worker::media::ortc::{ReceiverCapabilities, TransportParameters};
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerId, DataProducerId, Direction, Event, ProducerId, RouterId, Tapped, TransportId,
};
use switchyard_media_worker::{Media, MediaError, Router};
use tokio::sync::mpsc;

use levels::LevelReports;
pub use notice::Notice;

use crate::call::{CallType, DataProducerView, Permissions, ProducerView};
use crate::error::{ErrorCode, Refusal};
use crate::hub::Audience;
use crate::ids::{CallId, LegId, UserId};
use crate::limits::Limits;
use crate::wire::command::{MediaCommand, MediaWish};
use crate::wire::event::ServerEvent;
use crate::wire::reply::{Consumed, JoinTransports, MediaReply};

/// The media of one call. Owned by the call's task: no locks.
pub struct CallMedia {
    call: CallId,
    limits: Limits,
    call_type: CallType,
    router: Router,
    legs: HashMap<LegId, LegMedia>,
    producers: HashMap<ProducerId, ProducerView>,
    data_producers: HashMap<DataProducerId, DataProducerView>,
    leg_by_transport: HashMap<TransportId, LegId>,
    leg_by_consumer: HashMap<ConsumerId, LegId>,
    leg_by_data_consumer: HashMap<DataConsumerId, LegId>,
    level_reports: LevelReports,
    notices: Vec<Notice>,
}

/// The media objects of one leg.
struct LegMedia {
    user: UserId,
    permissions: Permissions,
    capabilities: Option<Arc<ReceiverCapabilities>>,
    send: Option<TransportId>,
    recv: Option<TransportId>,
    producers: HashSet<ProducerId>,
    consumers: HashMap<ConsumerId, ProducerId>,
    data_producers: HashSet<DataProducerId>,
    data_consumers: HashMap<DataConsumerId, DataProducerId>,
}

impl CallMedia {
    /// Creates the call's router. The receiver yields the router's events, for [`CallMedia::observe`].
    ///
    /// # Errors
    /// [`MediaError`] when no worker can take another router.
    pub async fn open(
        media: &Media,
        call: CallId,
        call_type: CallType,
        limits: Limits,
    ) -> Result<(Self, mpsc::Receiver<Event>), MediaError> {
        let (router, events) = media.create_router().await?;
        let call_media = Self {
            call,
            limits,
            call_type,
            router,
            legs: HashMap::new(),
            producers: HashMap::new(),
            data_producers: HashMap::new(),
            leg_by_transport: HashMap::new(),
            leg_by_consumer: HashMap::new(),
            leg_by_data_consumer: HashMap::new(),
            level_reports: LevelReports::default(),
            notices: Vec::new(),
        };
        Ok((call_media, events))
    }

    /// The call's `webrtcRoomId`.
    pub fn room(&self) -> RouterId {
        self.router.id()
    }

    /// All open producers, for a snapshot.
    pub fn producers(&self) -> Vec<ProducerView> {
        self.producers.values().cloned().collect()
    }

    /// All open data producers, for a snapshot.
    pub fn data_producers(&self) -> Vec<DataProducerView> {
        self.data_producers.values().cloned().collect()
    }

    /// What a recorder needs to record this producer.
    ///
    /// # Errors
    /// `not_found` if it has closed.
    pub async fn tap(&self, id: ProducerId) -> Result<Tapped, Refusal> {
        Ok(self.router.tap(id).await?)
    }

    /// Takes the notices collected since the last call, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Registers a leg, so that it may create transports. Has no effect if the leg is registered already.
    pub fn open_leg(&mut self, leg: LegId, user: UserId, permissions: Permissions) {
        self.legs.entry(leg).or_insert_with(|| LegMedia::new(user, permissions));
    }

    /// Closes everything a leg owns.
    pub async fn close_leg(&mut self, leg: LegId) {
        let Some(owned) = self.legs.get(&leg) else { return };
        for transport in owned.send.into_iter().chain(owned.recv) {
            // If the worker does not answer, its transports are gone too.
            let _ = self.router.close_transport(transport).await;
            self.forget_transport(transport);
        }
        self.legs.remove(&leg);
    }

    /// Closes the router and all transports of the call.
    pub async fn close(self) {
        self.router.close().await;
    }

    /// Creates the transports and consumers that a join asks for.
    ///
    /// # Errors
    /// A [`Refusal`] when a transport cannot be created, or `consume` lacks a receive transport or
    /// capabilities.
    pub async fn provide(
        &mut self,
        leg: LegId,
        wish: MediaWish,
    ) -> Result<(JoinTransports, Consumed), Refusal> {
        let mut transports = JoinTransports::default();
        if wish.send {
            transports.send = Some(self.fresh_transport(leg, Direction::Send).await?);
        }
        if wish.recv {
            transports.recv = Some(self.fresh_transport(leg, Direction::Recv).await?);
        }
        let consumed = if wish.consume { self.consume_all(leg).await? } else { Consumed::default() };
        Ok((transports, consumed))
    }

    /// Stores the RTP capabilities of a leg. Legs with equal capabilities (several kilobytes) share one copy.
    ///
    /// # Errors
    /// `not_in_call` for an unknown leg.
    pub fn set_capabilities(
        &mut self,
        leg: LegId,
        capabilities: ReceiverCapabilities,
    ) -> Result<(), Refusal> {
        let mut known = self.legs.values().filter_map(|leg| leg.capabilities.as_ref());
        let same = known.find(|known| ***known == capabilities).cloned();
        self.leg_mut(leg)?.capabilities = Some(same.unwrap_or_else(|| Arc::new(capabilities)));
        Ok(())
    }

    /// Executes a media command of a leg.
    ///
    /// # Errors
    /// The [`Refusal`] to answer the client with.
    pub async fn execute(&mut self, leg: LegId, command: MediaCommand) -> Result<MediaReply, Refusal> {
        match command {
            MediaCommand::ConnectTransport(request) => self.connect_transport(leg, request).await,
            MediaCommand::RestartIce(request) => self.restart_ice(leg, request.transport_id).await,
            MediaCommand::CloseTransport(request) => self.close_transport(leg, request.transport_id).await,
            MediaCommand::TransportStats(request) => self.transport_stats(leg, request.transport_id).await,
            MediaCommand::Produce(request) => self.produce(leg, request).await,
            MediaCommand::PauseProducer(request) => self.pause_producer(leg, request.producer_id, true).await,
            MediaCommand::ResumeProducer(request) => {
                self.pause_producer(leg, request.producer_id, false).await
            }
            MediaCommand::CloseProducer(request) => self.close_producer(leg, request.producer_id).await,
            MediaCommand::Consume(request) => self.consume(leg, request).await,
            MediaCommand::PauseConsumers(request) => {
                self.pause_consumers(leg, &request.consumer_ids, true).await
            }
            MediaCommand::ResumeConsumers(request) => {
                self.pause_consumers(leg, &request.consumer_ids, false).await
            }
            MediaCommand::CloseConsumers(request) => self.close_consumers(leg, &request.consumer_ids).await,
            MediaCommand::SetPreferredLayers(request) => self.set_preferred_layers(leg, request).await,
            MediaCommand::SetPriority(request) => self.set_priority(leg, request).await,
            MediaCommand::RequestKeyFrame(request) => self.request_key_frame(leg, request.consumer_id).await,
            MediaCommand::ProduceData(request) => self.produce_data(leg, request).await,
            MediaCommand::CloseDataProducer(request) => self.close_data_producer(leg, request.id).await,
            MediaCommand::ConsumeData(request) => self.consume_data(leg, request).await,
            MediaCommand::CloseDataConsumer(request) => self.close_data_consumer(leg, request.id).await,
        }
    }

    /// Creates a transport for a join and replaces an existing one: the client that created that one is gone.
    async fn fresh_transport(
        &mut self,
        leg: LegId,
        direction: Direction,
    ) -> Result<TransportParameters, Refusal> {
        if let Some(stale) = self.leg(leg)?.transport(direction) {
            let _ = self.close_transport(leg, stale).await;
        }
        self.create_transport(leg, direction).await
    }

    fn tell(&mut self, audience: Audience, event: ServerEvent) {
        self.notices.push(Notice::Observed(audience, Box::new(event)));
    }

    fn leg(&self, leg: LegId) -> Result<&LegMedia, Refusal> {
        self.legs.get(&leg).ok_or_else(not_in_call)
    }

    fn leg_mut(&mut self, leg: LegId) -> Result<&mut LegMedia, Refusal> {
        self.legs.get_mut(&leg).ok_or_else(not_in_call)
    }
}

impl LegMedia {
    fn new(user: UserId, permissions: Permissions) -> Self {
        Self {
            user,
            permissions,
            capabilities: None,
            send: None,
            recv: None,
            producers: HashSet::new(),
            consumers: HashMap::new(),
            data_producers: HashSet::new(),
            data_consumers: HashMap::new(),
        }
    }

    fn transport(&self, direction: Direction) -> Option<TransportId> {
        match direction {
            Direction::Send => self.send,
            Direction::Recv => self.recv,
        }
    }
}

fn not_in_call() -> Refusal {
    Refusal::new(ErrorCode::NotInCall, "join the call first")
}

fn not_found(what: &'static str) -> Refusal {
    Refusal::new(ErrorCode::NotFound, what)
}

fn limit_exceeded(what: &'static str) -> Refusal {
    Refusal::new(ErrorCode::LimitExceeded, what)
}
