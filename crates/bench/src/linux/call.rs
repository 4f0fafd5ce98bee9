//! A call on real sockets in this process: the media workers and connected peers.

use crate::linux::cipher::Profile;
use crate::linux::cpu::{self, Thread};
use crate::linux::device::Device;
use crate::linux::link::Link;
use crate::linux::stream::{Shape, Tracks, consume_options};
use anyhow::Result;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};
use switchyard_media::ortc::MediaKind;
use switchyard_media::{Direction, Event, TransportId};
use switchyard_media_worker::{Counters, Media, MediaConfig, Router, Sending};
use switchyard_peer::Identity;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The parameters of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) device: Device,
    pub(crate) profile: Profile,
    pub(crate) subscribers: usize,
    pub(crate) workers: usize,
    /// Whether all subscribers read their sockets, or only the witness.
    pub(crate) readers: bool,
}

/// One video publisher and its subscribers.
pub(crate) struct Call {
    runtime: Runtime,
    media: Media,
    router: Router,
    events: mpsc::Receiver<Event>,
    device: Device,
    /// The workers' threads, in the order of the workers.
    pub(crate) threads: Vec<Thread>,
    pub(crate) publisher: Link,
    pub(crate) subscribers: Vec<Link>,
    tracks: Tracks,
}

impl Call {
    /// A single worker runs on the first core; several workers run on any core. On return, the calling thread
    /// is pinned to the second core.
    pub(crate) fn open(plan: Plan) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let config = MediaConfig {
            bind: vec![plan.device.server()],
            port: 0,
            workers: plan.workers,
            max_load: 1.0,
            max_packet_rate: u32::MAX,
            announced: vec![],
            sending: Sending::default(),
        };
        if plan.workers == 1 {
            cpu::pin(0)?
        } else {
            cpu::unpin()?
        }
        let others = Thread::named(WORKER_THREAD)?;
        let media = runtime.block_on(Media::start(config))?;
        let mut threads = Thread::named(WORKER_THREAD)?;
        threads.retain(|thread| !others.contains(thread));
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
            if !is_witness && !plan.readers {
                link.stop_reading()?;
            }
            subscribers.push(link);
        }
        delivery.end()?;
        let device = plan.device;
        Ok(Self { runtime, media, router, events, device, threads, publisher, subscribers, tracks })
    }

    /// Seals bursts of video as the publisher does, each as the bytes of one segmented send.
    pub(crate) fn publish(&mut self, shape: Shape, bursts: usize) -> Result<Vec<Vec<u8>>> {
        let transport = &mut self.publisher.transport;
        (0..bursts).map(|_| Ok(self.tracks.seal(MediaKind::Video, shape, transport)?.concat())).collect()
    }

    /// The subscriber that reads. The worker does not send to it last, so that the driver has the next burst
    /// ready before the worker falls asleep.
    pub(crate) fn witness(&self) -> &UdpSocket {
        &self.subscribers[witness(self.subscribers.len())].socket
    }

    /// Lets every client send a consent check; without checks, consent expires (RFC 7675).
    pub(crate) fn keep_alive(&mut self) -> Result<()> {
        let delivery = self.device.deliver()?;
        let now = Instant::now();
        for link in self.subscribers.iter_mut().chain([&mut self.publisher]) {
            link.keep_alive(now)?;
        }
        // Discard the RTCP feedback that has accumulated at the publisher.
        while self.publisher.socket.recv(&mut [0; 2_048]).is_ok() {}
        while self.events.try_recv().is_ok() {}
        std::thread::sleep(SETTLE);
        delivery.end()
    }

    pub(crate) fn totals(&self) -> Totals {
        let counters = self.runtime.block_on(self.media.counters());
        let forwarded = counters.iter().map(|worker| worker.media.packets_sent).collect();
        let runs = counters.iter().map(|worker| worker.shell.runs_sent).sum();
        Totals { forwarded, runs, dropped: counters.iter().map(dropped).sum() }
    }

    pub(crate) fn close(self) {
        self.runtime.block_on(async {
            self.router.close().await;
            self.media.shutdown().await;
        });
    }
}

/// The workers' totals so far.
pub(crate) struct Totals {
    /// Packets sent by each worker.
    pub(crate) forwarded: Vec<u64>,
    /// Runs of equal packets sent by all workers.
    pub(crate) runs: u64,
    /// Packets dropped by the workers, or before them by the kernel.
    pub(crate) dropped: u64,
}

impl Totals {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let forwarded = self.forwarded.iter().zip(&before.forwarded).map(|(after, before)| after - before);
        let (runs, dropped) = (self.runs - before.runs, self.dropped - before.dropped);
        Self { forwarded: forwarded.collect(), runs, dropped }
    }

    pub(crate) fn packets(&self) -> u64 {
        self.forwarded.iter().sum()
    }
}

fn dropped(worker: &Counters) -> u64 {
    let Counters { media, shell, .. } = worker;
    media.egress_overflow
        + media.egress_undeliverable
        + shell.kernel_receive_drops
        + shell.send_buffer_full
        + shell.send_queue_full
        + shell.send_refused
        + shell.relay_video_dropped
}

/// Creates a client with one connected transport.
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

fn witness(subscribers: usize) -> usize {
    subscribers * 3 / 4
}

/// Prefix of the names of the workers' threads.
const WORKER_THREAD: &str = "media-";
/// Time for the workers to answer.
const SETTLE: Duration = Duration::from_millis(20);
