//! The two transports of a leg: one for sending, one for receiving.

use switchyard_media_worker::media::ortc::TransportParameters;
use switchyard_media_worker::media::{Direction, TransportId};

use super::{CallMedia, limit_exceeded, not_found};
use crate::error::Refusal;
use crate::ids::LegId;
use crate::wire::command::ConnectTransport;
use crate::wire::reply::{IceRestarted, MediaReply, Stats};

impl CallMedia {
    /// # Errors
    /// `limit_exceeded` when the leg has a transport in this direction already.
    pub async fn create_transport(
        &mut self,
        leg: LegId,
        direction: Direction,
    ) -> Result<TransportParameters, Refusal> {
        if self.leg(leg)?.transport(direction).is_some() {
            return Err(limit_exceeded("a leg has one transport to send and one to receive"));
        }
        let (id, parameters) = self.router.create_transport(direction).await?;
        self.leg_by_transport.insert(id, leg);
        let owned = self.leg_mut(leg)?;
        match direction {
            Direction::Send => owned.send = Some(id),
            Direction::Recv => owned.recv = Some(id),
        }
        Ok(parameters)
    }

    pub(super) async fn connect_transport(
        &mut self,
        leg: LegId,
        request: ConnectTransport,
    ) -> Result<MediaReply, Refusal> {
        self.own_transport(leg, request.transport_id)?;
        self.router.connect_transport(request.transport_id, request.dtls_parameters).await?;
        Ok(MediaReply::done())
    }

    pub(super) async fn restart_ice(&mut self, leg: LegId, id: TransportId) -> Result<MediaReply, Refusal> {
        self.own_transport(leg, id)?;
        let ice_parameters = self.router.restart_ice(id).await?;
        Ok(MediaReply::IceRestarted(IceRestarted { ice_parameters }))
    }

    pub(super) async fn close_transport(
        &mut self,
        leg: LegId,
        id: TransportId,
    ) -> Result<MediaReply, Refusal> {
        self.own_transport(leg, id)?;
        self.router.close_transport(id).await?;
        self.forget_transport(id);
        Ok(MediaReply::done())
    }

    pub(super) async fn transport_stats(
        &mut self,
        leg: LegId,
        id: TransportId,
    ) -> Result<MediaReply, Refusal> {
        self.own_transport(leg, id)?;
        let stats = self.router.transport_stats(id).await?;
        Ok(MediaReply::Stats(Stats { stats: stats.into() }))
    }

    pub(super) fn own_transport(&self, leg: LegId, id: TransportId) -> Result<Direction, Refusal> {
        let owned = self.leg(leg)?;
        if owned.send == Some(id) {
            Ok(Direction::Send)
        } else if owned.recv == Some(id) {
            Ok(Direction::Recv)
        } else {
            Err(not_found("no such transport of yours"))
        }
    }

    /// Removes a closed transport with its producers and consumers. Idempotent.
    pub(super) fn forget_transport(&mut self, id: TransportId) {
        let Some(leg) = self.leg_by_transport.remove(&id) else { return };
        let Some(owned) = self.legs.get_mut(&leg) else { return };
        if owned.send == Some(id) {
            owned.send = None;
            for producer in std::mem::take(&mut owned.producers) {
                self.forget_producer(producer);
            }
            let Some(owned) = self.legs.get_mut(&leg) else { return };
            for data_producer in std::mem::take(&mut owned.data_producers) {
                self.forget_data_producer(data_producer);
            }
        } else {
            owned.recv = None;
            for consumer in std::mem::take(&mut owned.consumers).into_keys() {
                self.leg_by_consumer.remove(&consumer);
            }
            for data_consumer in std::mem::take(&mut owned.data_consumers).into_keys() {
                self.leg_by_data_consumer.remove(&data_consumer);
            }
        }
    }
}
