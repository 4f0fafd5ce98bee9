//! Call-control's handle to one call's media.

use crate::error::MediaError;
use crate::placement;
use crate::placement::{Standing, mint, worker_of};
use crate::worker::Command;
use crate::workers::{WorkerHandle, Workers};
use std::num::NonZeroU8;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use switchyard_media::ortc::{DtlsParameters, IceParameters, Layers, ProducerKind, TransportParameters};
use switchyard_media::{
    ConsumeOptions, ConsumerId, ConsumerParameters, ControlError, DataConsumerId, DataConsumerParameters,
    DataProduceOptions, DataProducerId, Direction, Event, ProduceOptions, ProducerId, RouterId, Sfu, ShardId,
    Tapped, TransportId, TransportOptions, TransportStats,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// A handle to a router. The router has a shard on each worker that has one of its transports. The id of a
/// transport, or of an object on it, is created here; it contains the worker's number and is random
/// otherwise. Dropping the last clone closes the router.
#[derive(Clone)]
pub struct Router {
    placement: Arc<Placement>,
}

struct Placement {
    id: RouterId,
    workers: Workers,
    /// The worker that ranks the call's speakers.
    home: ShardId,
    /// Only the shards keep the queue open, so that it ends with the last of them.
    events: mpsc::WeakSender<Event>,
    /// One flag per worker: whether it has a shard of this router.
    open: Box<[AtomicBool]>,
}

impl Router {
    /// Opens a router on the worker with the least load.
    pub(crate) async fn open(workers: Workers, events: mpsc::Sender<Event>) -> Result<Self, MediaError> {
        let open = workers.iter().map(|_| AtomicBool::new(false)).collect();
        let (id, home) = (RouterId(Uuid::new_v4()), ShardId(0));
        let mut placement = Placement { id, workers, home, events: events.downgrade(), open };
        let home = placement.choose()?;
        placement.home = ShardId(home as u16);
        placement.open_on(home)?;
        let router = Self { placement: Arc::new(placement) };
        // Commands run in order: when this one is done, the shard is open.
        router.with(home, |_, _| Ok(())).await?;
        Ok(router)
    }

    pub fn id(&self) -> RouterId {
        self.placement.id
    }

    /// `direction` is the client's view: the client sends on a [`Direction::Send`] transport.
    pub async fn create_transport(
        &self,
        direction: Direction,
    ) -> Result<(TransportId, TransportParameters), MediaError> {
        let worker = self.placement.choose()?;
        let _reservation = self.placement.workers[worker].load.reserve();
        self.placement.open_on(worker)?;
        let (router, id) = (self.id(), TransportId(mint(worker)));
        let options = TransportOptions { direction, padding: true };
        let parameters =
            self.with(worker, move |sfu, now| sfu.create_transport(now, router, id, options)).await?;
        Ok((id, parameters))
    }

    /// A repeated call with the same parameters changes nothing. One with other parameters is refused with
    /// [`ControlError::AlreadyConnected`].
    pub async fn connect_transport(
        &self,
        id: TransportId,
        parameters: DtlsParameters,
    ) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.connect_transport(now, id, &parameters)).await
    }

    /// Creates new ICE credentials. The old ones stay valid until the first valid check with the new ones.
    pub async fn restart_ice(&self, id: TransportId) -> Result<IceParameters, MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.restart_ice(now, id)).await
    }

    pub async fn close_transport(&self, id: TransportId) -> Result<(), MediaError> {
        self.close_with(worker_of(id.0), move |sfu, now| sfu.close_transport(now, id)).await
    }

    pub async fn produce(
        &self,
        transport: TransportId,
        options: ProduceOptions,
    ) -> Result<(ProducerId, ProducerKind), MediaError> {
        let worker = worker_of(transport.0);
        let id = ProducerId(mint(worker));
        let kind = self.with(worker, move |sfu, now| sfu.produce(now, transport, id, options)).await?;
        Ok((id, kind))
    }

    /// The description of a producer that a recorder needs.
    pub async fn tap(&self, id: ProducerId) -> Result<Tapped, MediaError> {
        let router = self.id();
        let producer = self.with(worker_of(id.0), move |sfu, now| sfu.describe_producer(now, id)).await?;
        Ok(Tapped { router, producer })
    }

    pub async fn pause_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.pause_producer(now, id)).await
    }

    pub async fn resume_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.resume_producer(now, id)).await
    }

    pub async fn close_producer(&self, id: ProducerId) -> Result<(), MediaError> {
        self.close_with(worker_of(id.0), move |sfu, now| sfu.close_producer(now, id)).await
    }

    pub async fn consume(
        &self,
        transport: TransportId,
        options: ConsumeOptions,
    ) -> Result<(ConsumerId, ConsumerParameters), MediaError> {
        let (here, there) = (worker_of(transport.0), worker_of(options.producer.0));
        let id = ConsumerId(mint(here));
        let parameters = if here == there {
            self.with(here, move |sfu, now| sfu.consume(now, transport, id, &options)).await?
        } else {
            let producer = options.producer;
            let relayed = self.with(there, move |sfu, now| sfu.describe_producer(now, producer)).await?;
            self.with(here, move |sfu, now| sfu.consume_relayed(now, transport, id, &options, relayed))
                .await?
        };
        Ok((id, parameters))
    }

    pub async fn pause_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.pause_consumer(now, id)).await
    }

    /// Requests a key frame from the producer; forwarding continues with it.
    pub async fn resume_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.resume_consumer(now, id)).await
    }

    pub async fn close_consumer(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.close_with(worker_of(id.0), move |sfu, now| sfu.close_consumer(now, id)).await
    }

    /// See [`switchyard_media::Sfu::set_priority`].
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn set_priority(&self, id: ConsumerId, priority: Option<NonZeroU8>) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.set_priority(now, id, priority)).await
    }

    pub async fn set_preferred_layers(&self, id: ConsumerId, layers: Layers) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.set_preferred_layers(now, id, layers)).await
    }

    pub async fn request_key_frame(&self, id: ConsumerId) -> Result<(), MediaError> {
        self.with(worker_of(id.0), move |sfu, now| sfu.request_key_frame(now, id)).await
    }

    pub async fn produce_data(
        &self,
        transport: TransportId,
        options: DataProduceOptions,
    ) -> Result<DataProducerId, MediaError> {
        let worker = worker_of(transport.0);
        let id = DataProducerId(mint(worker));
        self.with(worker, move |sfu, now| sfu.produce_data(now, transport, id, options)).await?;
        Ok(id)
    }

    pub async fn consume_data(
        &self,
        transport: TransportId,
        producer: DataProducerId,
    ) -> Result<(DataConsumerId, DataConsumerParameters), MediaError> {
        let (here, there) = (worker_of(transport.0), worker_of(producer.0));
        let id = DataConsumerId(mint(here));
        let parameters = if here == there {
            self.with(here, move |sfu, now| sfu.consume_data(now, transport, id, producer)).await?
        } else {
            let relayed = self.with(there, move |sfu, now| sfu.describe_data_producer(now, producer)).await?;
            self.with(here, move |sfu, now| sfu.consume_relayed_data(now, transport, id, relayed)).await?
        };
        Ok((id, parameters))
    }

    pub async fn close_data_producer(&self, id: DataProducerId) -> Result<(), MediaError> {
        self.close_with(worker_of(id.0), move |sfu, now| sfu.close_data_producer(now, id)).await
    }

    pub async fn close_data_consumer(&self, id: DataConsumerId) -> Result<(), MediaError> {
        self.close_with(worker_of(id.0), move |sfu, now| sfu.close_data_consumer(now, id)).await
    }

    pub async fn transport_stats(&self, id: TransportId) -> Result<TransportStats, MediaError> {
        self.with(worker_of(id.0), move |sfu, _| sfu.transport_stats(id)).await
    }

    /// Closes the router and everything in it. Closing a closed router does nothing.
    pub async fn close(&self) {
        for worker in self.placement.open_workers() {
            // An error means that the worker has ended, so its shard is gone.
            let _ = worker.commands.send(Command::CloseRouter(self.id())).await;
        }
    }

    async fn with<T: Send + 'static>(
        &self,
        worker: usize,
        work: impl FnOnce(&mut Sfu, Instant) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<T, MediaError> {
        let (command, answer) = control(work);
        self.placement.worker(worker).offer(command)?;
        Ok(answer.await.map_err(|_| MediaError::WorkerGone)??)
    }

    /// As [`Self::with`], but waits for room in the queue: a lost close would leak the object.
    async fn close_with(
        &self,
        worker: usize,
        work: impl FnOnce(&mut Sfu, Instant) -> Result<(), ControlError> + Send + 'static,
    ) -> Result<(), MediaError> {
        let (command, answer) = control(work);
        let sent = self.placement.worker(worker).commands.send(command).await;
        sent.map_err(|_| MediaError::WorkerGone)?;
        Ok(answer.await.map_err(|_| MediaError::WorkerGone)??)
    }
}

impl Placement {
    /// The worker for the router's next transport.
    fn choose(&self) -> Result<usize, MediaError> {
        let alive = self.workers.iter().zip(&self.open).enumerate();
        let standings: Vec<Standing> = alive
            .filter(|(_, (worker, _))| !worker.commands.is_closed())
            .map(|(number, (worker, open))| Standing::of(number, &worker.load, open.load(Ordering::Relaxed)))
            .collect();
        placement::choose(&standings).ok_or(MediaError::WorkerGone)
    }

    /// Opens a shard on a worker that has none. The command is queued before any other command for the shard.
    fn open_on(&self, worker: usize) -> Result<(), MediaError> {
        if !self.open[worker].load(Ordering::Relaxed) {
            let events = self.events.upgrade().ok_or(MediaError::WorkerGone)?;
            let open = Command::OpenRouter { id: self.id, home: self.home, events };
            self.workers[worker].offer(open)?;
            self.open[worker].store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The worker with this number. If there is none, the home worker, which then reports that the id is
    /// unknown.
    fn worker(&self, number: usize) -> &WorkerHandle {
        self.workers.get(number).unwrap_or(&self.workers[usize::from(self.home.0)])
    }

    fn open_workers(&self) -> impl Iterator<Item = &WorkerHandle> {
        self.workers.iter().zip(&self.open).filter(|(_, open)| open.load(Ordering::Relaxed)).map(|(it, _)| it)
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        for worker in self.open_workers() {
            // If the queue is full, the shard is closed when its next event finds no receiver.
            let _ = worker.commands.try_send(Command::CloseRouter(self.id));
        }
    }
}

pub(crate) fn control<T: Send + 'static>(
    work: impl FnOnce(&mut Sfu, Instant) -> Result<T, ControlError> + Send + 'static,
) -> (Command, oneshot::Receiver<Result<T, ControlError>>) {
    let (reply, answer) = oneshot::channel();
    let work = move |sfu: &mut Sfu, now: Instant| {
        // An error means that the caller has stopped waiting.
        let _ = reply.send(work(sfu, now));
    };
    (Command::Control(Box::new(work)), answer)
}
