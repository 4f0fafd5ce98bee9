//! One call's media, as call-control holds it.

use crate::error::MediaError;
use crate::handle::offer;
use crate::worker::Command;
use std::sync::Arc;
use std::time::Instant;
use switchyard_media::ortc::{DtlsParameters, IceParameters, Layers, ProducerKind, TransportParameters};
use switchyard_media::{
    ConsumeOptions, ConsumerId, ConsumerParameters, ControlError, DataConsumerId, DataConsumerParameters,
    DataProduceOptions, DataProducerId, Direction, ProduceOptions, ProducerId, RouterId, Sfu, TransportId,
    TransportOptions, TransportStats,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// A handle to a router on its worker. Ids are random and made here. Dropping the last clone closes the router.
#[derive(Clone)]
pub struct Router {
    placement: Arc<Placement>,
}

struct Placement {
    id: RouterId,
    commands: mpsc::Sender<Command>,
}

impl Router {
    pub(crate) fn new(id: RouterId, commands: mpsc::Sender<Command>) -> Self {
        Self { placement: Arc::new(Placement { id, commands }) }
    }

    pub fn id(&self) -> RouterId {
        self.placement.id
    }

    /// `direction` as the client sees it: it sends on a [`Direction::Send`] transport.
    pub async fn create_transport(
        &self,
        direction: Direction,
    ) -> Result<(TransportId, TransportParameters), MediaError> {
        let (router, id) = (self.id(), TransportId(Uuid::new_v4()));
        let options = TransportOptions { direction, padding: true };
        let parameters = self.with(move |sfu, now| sfu.create_transport(now, router, id, options)).await?;
        Ok((id, parameters))
    }

    /// Repeating it with the same parameters changes nothing; others are refused with
    /// [`ControlError::AlreadyConnected`].
    pub async fn connect_transport(
        &self,
        id: TransportId,
        parameters: DtlsParameters,
    ) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.connect_transport(now, id, &parameters)).await
    }

    /// New credentials; the old ones stay valid until the first check with the new ones.
    pub async fn restart_ice(&self, id: TransportId) -> Result<IceParameters, MediaError> {
        self.with(move |sfu, now| sfu.restart_ice(now, id)).await
    }

    pub async fn close_transport(&self, id: TransportId) -> Result<(), MediaError> {
        self.close_with(move |sfu, now| sfu.close_transport(now, id)).await
    }

    pub async fn produce(
        &self,
        transport: TransportId,
        options: ProduceOptions,
    ) -> Result<(ProducerId, ProducerKind), MediaError> {
        let id = ProducerId(Uuid::new_v4());
        let kind = self.with(move |sfu, now| sfu.produce(now, transport, id, options)).await?;
        Ok((id, kind))
    }

    pub async fn pause_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.pause_producer(now, id)).await
    }

    pub async fn resume_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.resume_producer(now, id)).await
    }

    pub async fn close_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.close_with(move |sfu, now| sfu.close_producer(now, id)).await
    }

    pub async fn consume(
        &self,
        transport: TransportId,
        options: ConsumeOptions,
    ) -> Result<(ConsumerId, ConsumerParameters), MediaError> {
        let id = ConsumerId(Uuid::new_v4());
        let parameters = self.with(move |sfu, now| sfu.consume(now, transport, id, &options)).await?;
        Ok((id, parameters))
    }

    pub async fn pause_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.pause_consumer(now, id)).await
    }

    /// Asks the producer for a key frame, from which forwarding goes on.
    pub async fn resume_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.resume_consumer(now, id)).await
    }

    pub async fn close_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.close_with(move |sfu, now| sfu.close_consumer(now, id)).await
    }

    pub async fn set_preferred_layers(&self, id: ConsumerId, layers: Layers) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.set_preferred_layers(now, id, layers)).await
    }

    pub async fn request_key_frame(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(move |sfu, now| sfu.request_key_frame(now, id)).await
    }

    pub async fn produce_data(
        &self,
        transport: TransportId,
        options: DataProduceOptions,
    ) -> Result<DataProducerId, MediaError> {
        let id = DataProducerId(Uuid::new_v4());
        self.with(move |sfu, now| sfu.produce_data(now, transport, id, options)).await?;
        Ok(id)
    }

    pub async fn consume_data(
        &self,
        transport: TransportId,
        producer: DataProducerId,
    ) -> Result<(DataConsumerId, DataConsumerParameters), MediaError> {
        let id = DataConsumerId(Uuid::new_v4());
        let parameters = self.with(move |sfu, now| sfu.consume_data(now, transport, id, producer)).await?;
        Ok((id, parameters))
    }

    pub async fn close_data_producer(&self, id: DataProducerId) -> Result<(), MediaError> {
        self.close_with(move |sfu, now| sfu.close_data_producer(now, id)).await
    }

    pub async fn close_data_consumer(&self, id: DataConsumerId) -> Result<(), MediaError> {
        self.close_with(move |sfu, now| sfu.close_data_consumer(now, id)).await
    }

    pub async fn transport_stats(&self, id: TransportId) -> Result<TransportStats, MediaError> {
        self.with(move |sfu, _| sfu.transport_stats(id)).await
    }

    /// Closes the router and everything in it; nothing happens on a router that is closed.
    pub async fn close(&self) {
        // Without a worker there is nothing left to close.
        let _ = self.placement.commands.send(Command::CloseRouter(self.id())).await;
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sfu, Instant) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<T, MediaError> {
        let (command, answer) = control(work);
        offer(&self.placement.commands, command)?;
        Ok(answer.await.map_err(|_| MediaError::WorkerGone)??)
    }

    /// As [`Self::with`], but waits for room in the queue: a close that is lost would leak what it was to close.
    async fn close_with(
        &self,
        work: impl FnOnce(&mut Sfu, Instant) -> Result<(), ControlError> + Send + 'static,
    ) -> Result<(), MediaError> {
        let (command, answer) = control(work);
        self.placement.commands.send(command).await.map_err(|_| MediaError::WorkerGone)?;
        Ok(answer.await.map_err(|_| MediaError::WorkerGone)??)
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        // With a full queue the router lives on until its next event finds no owner.
        let _ = self.commands.try_send(Command::CloseRouter(self.id));
    }
}

fn control<T: Send + 'static>(
    work: impl FnOnce(&mut Sfu, Instant) -> Result<T, ControlError> + Send + 'static,
) -> (Command, oneshot::Receiver<Result<T, ControlError>>) {
    let (reply, answer) = oneshot::channel();
    let work = move |sfu: &mut Sfu, now: Instant| {
        // A caller that no longer waits needs no answer.
        let _ = reply.send(work(sfu, now));
    };
    (Command::Control(Box::new(work)), answer)
}
