//! A call on real sockets, in this process: the media workers and peers that shook hands with them.

use crate::cipher::Profile;
use crate::cpu;
use crate::device::Device;
use crate::stream::{Shape, Tracks, consume_options};
use anyhow::{Context, Result, bail};
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use switchyard_media::ortc::MediaKind;
use switchyard_media::{Direction, Event, TransportId};
use switchyard_media_worker::{Counters, Media, MediaConfig, Router};
use switchyard_peer::{Identity, Incoming, Transport, TransportOptions};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// What a call is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) device: Device,
    pub(crate) profile: Profile,
    pub(crate) subscribers: usize,
    pub(crate) workers: usize,
}

/// One publisher of video, and those who consume it.
pub(crate) struct Call {
    runtime: Runtime,
    media: Media,
    router: Router,
    events: mpsc::Receiver<Event>,
    device: Device,
    pub(crate) publisher: Link,
    pub(crate) subscribers: Vec<Link>,
    tracks: Tracks,
}

/// A client's end of a transport, on a socket of its own.
pub(crate) struct Link {
    pub(crate) socket: UdpSocket,
    pub(crate) server: SocketAddr,
    transport: Transport,
}

impl Call {
    /// The workers run on the first core, if there is one worker, and on any if there are more. The caller is left on
    /// the second.
    pub(crate) fn open(plan: Plan) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config =
            MediaConfig { bind: vec![plan.device.server()], port: 0, workers: plan.workers, announced: vec![] };
        if plan.workers == 1 { cpu::pin(0)? } else { cpu::unpin()? }
        let media = runtime.block_on(Media::start(config))?;
        cpu::pin(1)?;
        let (router, events) = runtime.block_on(media.create_router())?;

        let delivery = plan.device.deliver()?;
        let identity = plan.profile.identity()?;
        let join = |ip, direction| runtime.block_on(join(&router, &identity, ip, direction));
        let (publisher, send) = join(plan.device.server(), Direction::Send)?;
        let tracks = Tracks::new();
        let (producer, _) = runtime.block_on(router.produce(send, tracks.video.produce_options()?))?;
        let mut subscribers = Vec::with_capacity(plan.subscribers);
        for index in 0..plan.subscribers {
            let is_witness = index == witness(plan.subscribers);
            let ip = if is_witness { plan.device.server() } else { plan.device.subscriber(index) };
            let (link, recv) = join(ip, Direction::Recv)?;
            runtime.block_on(router.consume(recv, consume_options(producer)))?;
            if !is_witness {
                // The kernel takes the least it allows: a packet or two, and then drops.
                SockRef::from(&link.socket).set_recv_buffer_size(1)?;
            }
            subscribers.push(link);
        }
        delivery.end()?;
        let device = plan.device;
        Ok(Self { runtime, media, router, events, device, publisher, subscribers, tracks })
    }

    /// Seals bursts of video as the publisher does, each as the bytes of one segmented send.
    pub(crate) fn publish(&mut self, shape: Shape, bursts: usize) -> Result<Vec<Vec<u8>>> {
        let transport = &mut self.publisher.transport;
        (0..bursts).map(|_| Ok(self.tracks.seal(MediaKind::Video, shape, transport)?.concat())).collect()
    }

    /// The subscriber that reads. It is not the last to be sent to, so that who waits for it has the next burst ready
    /// before the worker falls asleep.
    pub(crate) fn witness(&self) -> &UdpSocket {
        &self.subscribers[witness(self.subscribers.len())].socket
    }

    /// Has every client check its consent, which runs out without (RFC 7675).
    pub(crate) fn keep_alive(&mut self) -> Result<()> {
        let delivery = self.device.deliver()?;
        let now = Instant::now();
        for link in self.subscribers.iter_mut().chain([&mut self.publisher]) {
            link.transport.handle_timeout(now.max(link.transport.next_timeout()))?;
            link.flush()?;
        }
        // Feedback piles up at the publisher, which has no use for it.
        while self.publisher.socket.recv(&mut [0; 2_048]).is_ok() {}
        while self.events.try_recv().is_ok() {}
        std::thread::sleep(SETTLE);
        delivery.end()
    }

    /// Of all workers.
    pub(crate) fn counters(&self) -> Vec<Counters> {
        self.runtime.block_on(self.media.counters())
    }

    pub(crate) fn close(self) {
        self.runtime.block_on(async {
            self.router.close().await;
            self.media.shutdown().await;
        });
    }
}

/// A new client with one transport, connected.
async fn join(
    router: &Router,
    identity: &Identity,
    ip: IpAddr,
    direction: Direction,
) -> Result<(Link, TransportId)> {
    let (id, parameters) = router.create_transport(direction).await?;
    let dtls = serde_json::from_value(serde_json::to_value(identity.dtls_parameters())?)?;
    router.connect_transport(id, dtls).await?;
    let options = serde_json::from_value(serde_json::to_value(parameters)?)?;
    Ok((Link::connect(identity, &options, ip)?, id))
}

impl Link {
    /// Drives ICE and DTLS until media can flow.
    pub(crate) fn connect(identity: &Identity, options: &TransportOptions, ip: IpAddr) -> Result<Self> {
        let candidate = options.ice_candidates.first().context("no candidate")?;
        let socket = UdpSocket::bind((ip, 0))?;
        socket.set_read_timeout(Some(HANDSHAKE_TICK))?;
        let server = (candidate.ip, candidate.port).into();
        let mut link = Self { socket, server, transport: Transport::new(identity, options, Instant::now()) };
        let deadline = Instant::now() + HANDSHAKE;
        let mut buffer = [0; 2_048];
        while Instant::now() < deadline {
            link.transport.handle_timeout(Instant::now())?;
            link.flush()?;
            let Ok(len) = link.socket.recv(&mut buffer) else { continue };
            let incoming = link.transport.handle_datagram(&buffer[..len], Instant::now())?;
            link.flush()?;
            if let Some(Incoming::Connected) = incoming {
                link.socket.set_nonblocking(true)?;
                return Ok(link);
            }
        }
        bail!("ICE or DTLS did not connect")
    }

    fn flush(&mut self) -> Result<()> {
        while let Some(datagram) = self.transport.poll_transmit() {
            self.socket.send_to(&datagram, self.server)?;
        }
        Ok(())
    }
}

fn witness(subscribers: usize) -> usize {
    subscribers * 3 / 4
}

const HANDSHAKE: Duration = Duration::from_secs(10);
const HANDSHAKE_TICK: Duration = Duration::from_millis(50);
/// For the workers to answer what was asked.
const SETTLE: Duration = Duration::from_millis(20);
