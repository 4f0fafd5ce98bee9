//! A call's media as its owner task sees it: which leg owns which transport, producer and consumer, and what
//! each may do. [`CallMedia`] executes media commands on the call's router and collects what others must be
//! told as [`Notice`]s, which the owner takes after every call.
//!
//! A leg reaches only what is its own, and only what its own call produces; anything else is `not_found`,
//! whether it exists or not.

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

use switchyard_media_worker::media::ortc::{RtpCapabilities, TransportParameters};
use switchyard_media_worker::media::{
    ConsumerId, DataConsumerId, DataProducerId, Direction, Event, ProducerId, RouterId, TransportId,
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

/// The media of one call. Owned by the call's task, so nothing here is shared or locked.
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

/// What one leg owns.
struct LegMedia {
    user: UserId,
    permissions: Permissions,
    capabilities: Option<Arc<RtpCapabilities>>,
    send: Option<TransportId>,
    recv: Option<TransportId>,
    producers: HashSet<ProducerId>,
    consumers: HashMap<ConsumerId, ProducerId>,
    data_producers: HashSet<DataProducerId>,
    data_consumers: HashMap<DataConsumerId, DataProducerId>,
}

impl CallMedia {
    /// Creates the call's router. The receiver yields its events, for [`CallMedia::observe`].
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

    /// Everything being sent, for a snapshot.
    pub fn producers(&self) -> Vec<ProducerView> {
        self.producers.values().cloned().collect()
    }

    /// Every open data producer, for a snapshot.
    pub fn data_producers(&self) -> Vec<DataProducerView> {
        self.data_producers.values().cloned().collect()
    }

    /// What others must be told since the last time, in order.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Lets a leg have media.
    pub fn open_leg(&mut self, leg: LegId, user: UserId, permissions: Permissions) {
        self.legs.entry(leg).or_insert_with(|| LegMedia::new(user, permissions));
    }

    /// Closes everything a leg owns.
    pub async fn close_leg(&mut self, leg: LegId) {
        let Some(owned) = self.legs.get(&leg) else { return };
        for transport in owned.send.into_iter().chain(owned.recv) {
            // A worker that does not answer has no transport left to close either.
            let _ = self.router.close_transport(transport).await;
            self.forget_transport(transport);
        }
        self.legs.remove(&leg);
    }

    /// Closes the router, and with it every transport of the call.
    pub async fn close(self) {
        self.router.close().await;
    }

    /// Gives a joining leg what it asked for in the same round trip.
    ///
    /// # Errors
    /// A [`Refusal`] when a transport cannot be made or `consume` was asked for without the means.
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

    /// Remembers what a leg can decode: once for all that can decode the same, which is kilobytes long.
    ///
    /// # Errors
    /// `not_in_call` for an unknown leg.
    pub fn set_capabilities(&mut self, leg: LegId, capabilities: RtpCapabilities) -> Result<(), Refusal> {
        let mut known = self.legs.values().filter_map(|leg| leg.capabilities.as_ref());
        let same = known.find(|known| ***known == capabilities).cloned();
        self.leg_mut(leg)?.capabilities = Some(same.unwrap_or_else(|| Arc::new(capabilities)));
        Ok(())
    }

    /// Does what a leg asks of its own media.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing has changed then.
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
            MediaCommand::SetPriority(request) => self.set_priority(leg, request),
            MediaCommand::RequestKeyFrame(request) => self.request_key_frame(leg, request.consumer_id).await,
            MediaCommand::ProduceData(request) => self.produce_data(leg, request).await,
            MediaCommand::CloseDataProducer(request) => self.close_data_producer(leg, request.id).await,
            MediaCommand::ConsumeData(request) => self.consume_data(leg, request).await,
            MediaCommand::CloseDataConsumer(request) => self.close_data_consumer(leg, request.id).await,
        }
    }

    /// A join that finds a transport in its way replaces it: the client that made it is gone.
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
