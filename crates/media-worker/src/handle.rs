//! Starts the workers, places routers on them, and stops them.

use crate::config::{MediaConfig, Sending};
use crate::counters::Counters;
use crate::error::{MediaError, StartError};
use crate::kernel_drops::kernel_drops;
use crate::load::Load;
use crate::placement::worker_of;
use crate::relays::{self, RelayInbox, RelayQueue, Relays};
use crate::router::{Router, control};
use crate::socket::{self, Socket};
use crate::tap::TapEnd;
use crate::worker::{Command, Ends, Worker};
use crate::workers::{WorkerHandle, Workers};
use rand::TryRng;
use rand::rngs::SysRng;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use switchyard_media::{
    Certificate, Config, ControlError, Epoch, Event, Sfu, ShardId, TracePart, TransportId,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// All media of this process. The workers stop when the last handle to it and to its routers is dropped.
#[derive(Clone)]
pub struct Media {
    workers: Workers,
    max_load: f64,
    /// Until the recorder takes it.
    tap_end: Arc<Mutex<Option<TapEnd>>>,
}

impl Media {
    /// Binds all sockets and starts all workers. If one of these fails, everything is undone.
    pub async fn start(config: MediaConfig) -> Result<Self, StartError> {
        let count = u16::try_from(config.workers).map_err(|_| config.port_range())?;
        let numbers = 0..count;
        if numbers.is_empty() {
            return Err(StartError::NoWorkers);
        }
        let certificate =
            Certificate::generate().map_err(|error| StartError::Certificate(error.to_string()))?;
        let (mut queues, inboxes): (Vec<_>, Vec<_>) = numbers.clone().map(|_| relays::queue()).unzip();
        let (recorder_queue, recorded) = relays::recorder_queue();
        queues.push(recorder_queue);
        let common = Common { config: &config, certificate, epoch: epoch(), queues: queues.into() };
        let recorder = Relays::new(ShardId(count), common.queues.clone());
        let mut workers = Vec::with_capacity(inboxes.len());
        for (number, relayed) in numbers.zip(inboxes) {
            workers.push(start_worker(&common, ShardId(number), relayed).await?);
        }
        let tap_end = Arc::new(Mutex::new(Some(TapEnd::new(recorder, recorded))));
        Ok(Self { workers: workers.into(), max_load: config.max_load, tap_end })
    }

    /// Opens a router, with its first shard on the worker with the least load. The events must be read. While
    /// they are not, newer states replace older ones; if too many events still pile up, or the receiver is
    /// dropped, the router is closed.
    pub async fn create_router(&self) -> Result<(Router, mpsc::Receiver<Event>), MediaError> {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let router = Router::open(self.workers.clone(), events).await?;
        Ok((router, receiver))
    }

    /// Call this before admitting a new participant, to protect the present ones: [`MediaError::Overloaded`]
    /// when every worker is at its load limit.
    pub fn admit(&self) -> Result<(), MediaError> {
        let has_room = |worker: &WorkerHandle| worker.load.busy() <= self.max_load;
        if self.workers.iter().any(has_room) { Ok(()) } else { Err(MediaError::Overloaded) }
    }

    /// The counters of each running worker.
    pub async fn counters(&self) -> Vec<Counters> {
        let mut counters = Vec::with_capacity(self.workers.len());
        for worker in self.workers.iter() {
            let (reply, answer) = oneshot::channel();
            if worker.commands.send(Command::Count(reply)).await.is_ok()
                && let Ok(mut counted) = answer.await
            {
                counted.shell.kernel_receive_drops = kernel_drops(&worker.bound);
                counters.push(counted);
            }
        }
        counters
    }

    /// The recorder's end. `None` if it was taken before.
    #[must_use]
    pub fn take_tap_end(&self) -> Option<TapEnd> {
        self.tap_end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// See [`Sfu::read_trace`].
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn read_trace(&self, id: TransportId) -> Result<TracePart, MediaError> {
        let worker = self.workers.get(worker_of(id.0)).ok_or(ControlError::TransportNotFound)?;
        let (command, answer) = control(move |sfu, now| sfu.read_trace(now, id));
        worker.offer(command)?;
        Ok(answer.await.map_err(|_| MediaError::WorkerGone)??)
    }

    /// Closes all routers and sockets and stops the threads. Waits at most 5 s for each worker.
    pub async fn shutdown(&self) {
        for worker in self.workers.iter() {
            let stopped = timeout(SHUTDOWN, async {
                // An error means that the worker has ended already, which is the goal.
                let _ = worker.commands.send(Command::Stop).await;
                worker.commands.closed().await;
            });
            if stopped.await.is_err() {
                tracing::warn!("a media worker did not stop in time");
            }
        }
    }
}

/// What all workers share.
struct Common<'a> {
    config: &'a MediaConfig,
    certificate: Certificate,
    epoch: Epoch,
    /// One for each worker, and the recorder's.
    queues: Arc<[RelayQueue]>,
}

async fn start_worker(
    common: &Common<'_>,
    number: ShardId,
    relayed: RelayInbox,
) -> Result<WorkerHandle, StartError> {
    let config = common.config;
    let sockets = bind_sockets(config, config.port_of(number.0)?)?;
    let bound: Vec<SocketAddr> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let candidates = config.candidates(&bound)?;
    tracing::info!(worker = number.0, ?bound, ?candidates, "media worker listens");
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|error| StartError::Entropy(error.to_string()))?;
    let sfu_config = Config::new(number, candidates, common.certificate.clone());
    let Sending { padding, bandwidth, .. } = config.sending;
    let sfu_config = Config { padding, bandwidth, max_packet_rate: config.max_packet_rate, ..sfu_config };
    let sfu = Sfu::new(sfu_config, seed, common.epoch);
    let coalesce = config.sending.coalesce.min(Sending::MAX_COALESCE);

    let (commands, received) = mpsc::channel(COMMAND_QUEUE);
    let load = Arc::new(Load::new());
    let relays = Relays::new(number, common.queues.clone());
    let ends = Ends { coalesce, load: load.clone(), relays, relayed, commands: received };
    let (ready, started) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("media-{}", number.0))
        .spawn(move || run_thread(sfu, sockets, ends, ready))
        .map_err(StartError::Thread)?;
    started.await.map_err(|_| StartError::Thread(std::io::ErrorKind::Other.into()))??;
    Ok(WorkerHandle { commands, load, bound: bound.into() })
}

fn run_thread(sfu: Sfu, sockets: Vec<UdpSocket>, ends: Ends, ready: oneshot::Sender<Result<(), StartError>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(StartError::Thread(error)))),
    };
    runtime.block_on(async {
        let sockets: Result<Vec<Socket>, _> = sockets.into_iter().map(Socket::register).collect();
        match sockets {
            Ok(sockets) => {
                drop(ready.send(Ok(())));
                Worker::new(sfu, sockets, ends).run().await;
            }
            Err(error) => drop(ready.send(Err(StartError::Thread(error)))),
        }
    });
}

fn bind_sockets(config: &MediaConfig, port: u16) -> Result<Vec<UdpSocket>, StartError> {
    let mut sockets = Vec::new();
    for wanted in config.bind_addresses()? {
        let address = SocketAddr::new(wanted.ip, port);
        match socket::bind(address) {
            Ok(socket) => sockets.push(socket),
            Err(source) if wanted.required => return Err(StartError::Bind { address, source }),
            Err(error) => tracing::warn!(%address, %error, "skipping an interface's address"),
        }
    }
    if sockets.is_empty() { Err(StartError::NoAddress) } else { Ok(sockets) }
}

/// The base of NTP times in sender reports. A wall clock before 1970 gives wrong times, but is no error.
fn epoch() -> Epoch {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Epoch { at: Instant::now(), unix }
}

/// Commands per worker. A command takes microseconds, so a full queue is about a second of work or more.
const COMMAND_QUEUE: usize = 4_096;
/// Events per router; beyond them, newer states replace older ones.
const EVENT_QUEUE: usize = 256;
/// Time limit for a worker to close its routers and sockets.
const SHUTDOWN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_stun::attributes::{
        ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute,
    };
    use rtc_stun::fingerprint::FINGERPRINT;
    use rtc_stun::integrity::MessageIntegrity;
    use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
    use rtc_stun::textattrs::TextAttribute;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use switchyard_media::Direction;
    use switchyard_media::ortc::{IceParameters, TransportParameters};

    #[tokio::test]
    async fn a_binding_request_is_answered_from_the_address_it_was_sent_to() {
        let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
        if UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            addresses.push(Ipv6Addr::LOCALHOST.into());
        } else {
            eprintln!("no IPv6 on this host: tested over IPv4 only");
        }
        let media = start(addresses.clone(), 1).await;
        let (router, _events) = media.create_router().await.unwrap();
        let (_, transport) = router.create_transport(Direction::Send).await.unwrap();
        let candidates = candidates(&transport);
        assert_eq!(candidates.iter().map(SocketAddr::ip).collect::<Vec<_>>(), addresses);
        for candidate in candidates {
            assert!(answers_stun(candidate, &transport.ice_parameters));
        }
        media.shutdown().await;
    }

    #[tokio::test]
    async fn garbage_of_every_size_is_counted_and_harms_nobody() {
        let media = start(vec![Ipv4Addr::LOCALHOST.into()], 1).await;
        let (router, _events) = media.create_router().await.unwrap();
        let (_, transport) = router.create_transport(Direction::Send).await.unwrap();
        let candidate = candidates(&transport)[0];
        let client = client(candidate);
        let sizes = [0, 1, 2, 3, 4, 11, 12, 13, 19, 20, 28, 100, 1_200, 1_500, 9_000, 65_507];
        for size in sizes {
            // First bytes at the limits of the ranges for STUN, DTLS, RTP and no protocol (RFC 7983).
            for first in [0, 1, 20, 22, 63, 64, 79, 128, 191, 255] {
                let mut garbage = vec![first; size];
                garbage
                    .iter_mut()
                    .skip(1)
                    .zip(0..)
                    .for_each(|(byte, index): (_, u32)| *byte = (index * 31) as u8);
                client.send(&garbage).unwrap();
            }
        }
        assert!(answers_stun(candidate, &transport.ice_parameters));
        let counters = &media.counters().await[0];
        let sent = (sizes.len() * 10 + 1) as u64;
        assert_eq!(counters.shell.datagrams_received + counters.shell.datagrams_unusable, sent);
        assert_eq!((counters.shell.datagrams_unusable, counters.shell.faults), (10, 0));
        media.shutdown().await;
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_costs_nobody_else() {
        let media = start(vec![Ipv4Addr::LOCALHOST.into()], 1).await;
        let (router, _events) = media.create_router().await.unwrap();
        let (_, transport) = router.create_transport(Direction::Send).await.unwrap();
        for _ in 0..3 {
            let panics = Command::Control(Box::new(|_, _| panic!("on purpose")));
            media.workers[0].commands.send(panics).await.unwrap();
        }
        assert!(answers_stun(candidates(&transport)[0], &transport.ice_parameters));
        assert!(router.create_transport(Direction::Recv).await.is_ok());
        assert_eq!(media.counters().await[0].shell.faults, 3);
        media.shutdown().await;
    }

    #[tokio::test]
    async fn calls_go_to_the_emptiest_worker_and_a_large_one_spreads() {
        let media = start(vec![Ipv4Addr::LOCALHOST.into()], 2).await;
        let (small, _small_events) = media.create_router().await.unwrap();
        for _ in 0..3 {
            small.create_transport(Direction::Recv).await.unwrap();
        }
        assert_eq!(transports(&media).await, [3, 0]);
        let (large, _large_events) = media.create_router().await.unwrap();
        for _ in 0..97 {
            large.create_transport(Direction::Recv).await.unwrap();
        }
        let [a, b] = transports(&media).await[..] else { panic!() };
        assert!(a + b == 100 && a.abs_diff(b) <= 16, "{a} and {b}");
        drop((small, large));
        assert_eq!(transports(&media).await, [0, 0]);
        media.shutdown().await;
    }

    #[tokio::test]
    async fn an_id_that_names_no_worker_is_nobodys() {
        let media = start(vec![Ipv4Addr::LOCALHOST.into()], 2).await;
        let (router, _events) = media.create_router().await.unwrap();
        let stranger = TransportId(uuid::Uuid::max());
        let refused = router.transport_stats(stranger).await;
        assert_eq!(refused, Err(MediaError::Control(ControlError::TransportNotFound)));
        media.shutdown().await;
    }

    #[tokio::test]
    async fn nobody_new_is_admitted_beyond_the_configured_load() {
        let config = MediaConfig { max_load: -1.0, ..config(vec![Ipv4Addr::LOCALHOST.into()], 1) };
        let media = Media::start(config).await.unwrap();
        assert_eq!(media.admit(), Err(MediaError::Overloaded));
        assert!(media.create_router().await.is_ok(), "what is there already may go on");
        media.shutdown().await;
    }

    #[tokio::test]
    async fn shutdown_frees_the_ports_and_later_operations_say_that_the_worker_is_gone() {
        let media = start(vec![Ipv4Addr::LOCALHOST.into()], 2).await;
        let (router, mut events) = media.create_router().await.unwrap();
        let (_, transport) = router.create_transport(Direction::Send).await.unwrap();
        media.shutdown().await;
        assert_eq!(router.create_transport(Direction::Send).await, Err(MediaError::WorkerGone));
        assert_eq!(media.create_router().await.err(), Some(MediaError::WorkerGone));
        assert!(media.counters().await.is_empty());
        while events.recv().await.is_some() {}
        assert!(UdpSocket::bind(candidates(&transport)[0]).is_ok());
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let _holder = UdpSocket::bind(taken).unwrap();
        let config = MediaConfig { port: taken.port(), ..config(vec![taken.ip()], 1) };
        let error = Media::start(config).await.err().unwrap();
        assert!(matches!(error, StartError::Bind { address, .. } if address == taken));
    }

    async fn start(bind: Vec<IpAddr>, workers: usize) -> Media {
        Media::start(config(bind, workers)).await.unwrap()
    }

    fn config(bind: Vec<IpAddr>, workers: usize) -> MediaConfig {
        MediaConfig {
            bind,
            port: 0,
            workers,
            max_load: 1.0,
            max_packet_rate: 10_000,
            announced: vec![],
            sending: Sending::default(),
        }
    }

    /// The number of transports on each worker, after all earlier commands were carried out.
    async fn transports(media: &Media) -> Vec<usize> {
        media.counters().await.iter().map(|counters| counters.population.transports).collect()
    }

    fn candidates(transport: &TransportParameters) -> Vec<SocketAddr> {
        let address =
            |candidate: &switchyard_media::ortc::IceCandidate| (candidate.address, candidate.port).into();
        transport.ice_candidates.iter().map(address).collect()
    }

    fn client(server: SocketAddr) -> UdpSocket {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let client = UdpSocket::bind((any, 0)).unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        client
    }

    /// A connected socket receives replies only from the address it sends to.
    fn answers_stun(server: SocketAddr, ice: &IceParameters) -> bool {
        let client = client(server);
        let provider = rtc_crypto::default_provider().unwrap();
        let username = format!("{}:client", ice.username_fragment);
        let mut request = Message::new();
        let attribute = |typ, value: Vec<u8>| RawAttribute { typ, length: value.len() as u16, value };
        let parts: [Box<dyn Setter>; 8] = [
            Box::new(BINDING_REQUEST),
            Box::new(TransactionId([7; 12])),
            Box::new(TextAttribute::new(ATTR_USERNAME, username)),
            Box::new(attribute(ATTR_PRIORITY, vec![110, 255, 255, 255])),
            Box::new(attribute(ATTR_ICE_CONTROLLING, vec![1; 8])),
            Box::new(attribute(ATTR_USE_CANDIDATE, vec![])),
            Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
                ice.password.clone(),
                provider.crypto(),
            )),
            Box::new(FINGERPRINT),
        ];
        request.build(&parts).unwrap();
        client.send(&request.raw).unwrap();
        let mut bytes = [0; 1_500];
        let length = client.recv(&mut bytes).unwrap();
        let mut reply = Message::new();
        reply.unmarshal_binary(&bytes[..length]).is_ok()
            && reply.typ == BINDING_SUCCESS
            && reply.transaction_id == request.transaction_id
    }
}
