//! A call without sockets: the SFU's state machine and its peers, connected directly.
//!
//! It measures everything that the SFU does for a packet, without the cost of the kernel.

use crate::linux::cipher::Profile;
use crate::linux::cpu::thread_time;
use crate::linux::feedback::Feedback;
use crate::linux::stream::{Shape, Tracks, consume_options};
use anyhow::{Context, Result, anyhow};
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use switchyard_media::ortc::MediaKind;
use switchyard_media::{
    Bandwidth, Batch, Certificate, Config, ConsumerId, Counters, Direction, Epoch, Input, Output, ProducerId,
    Protocol, RecordedLayer, RouterId, Sealed, Sfu, ShardId, Tap, TapOptions, TapOutput, Tapped, TransportId,
    TransportOptions, Tuple,
};
use switchyard_peer::{Identity, Incoming, Transport};
use uuid::Uuid;

/// One publisher of audio and video, and the subscribers to both tracks.
pub(crate) struct InProcessCall {
    sfu: Sfu,
    begin: Instant,
    now: Instant,
    timeout: Option<Instant>,
    batch: Batch,
    /// All peers; the publisher is the first.
    peers: Vec<Peer>,
    tracks: Tracks,
    bandwidth: Bandwidth,
}

struct Peer {
    transport: Transport,
    connected: bool,
    feedback: Feedback,
}

/// Sealed packets that arrive from the network together.
pub(crate) type Burst = Vec<Vec<u8>>;

/// A sealed report, and the number of the client that sends it.
pub(crate) type Report = (usize, Vec<u8>);

impl InProcessCall {
    pub(crate) fn new(subscribers: usize, profile: Profile) -> Result<Self> {
        Self::with_bandwidth(subscribers, profile, Bandwidth::Unlimited)
    }

    /// With [`Bandwidth::Divided`], subscribers report when [`Self::report`] is called.
    pub(crate) fn with_bandwidth(subscribers: usize, profile: Profile, bandwidth: Bandwidth) -> Result<Self> {
        let now = Instant::now();
        let certificate = Certificate::generate().map_err(|error| anyhow!("{error}"))?;
        let config = Config { bandwidth, ..Config::new(ShardId(0), vec![SERVER.parse()?], certificate) };
        let sfu = Sfu::new(config, [7; 32], Epoch { at: now, unix: UNIX });
        let mut call = Self {
            sfu,
            begin: now,
            now,
            timeout: None,
            batch: Batch::with_capacity(BATCH_BYTES),
            peers: Vec::with_capacity(subscribers + 1),
            tracks: Tracks::new(),
            bandwidth,
        };
        call.sfu.create_router(ROUTER, ShardId(0))?;
        let identity = profile.identity()?;
        let send = call.join(&identity, Direction::Send)?;
        for (track, id) in [(&call.tracks.audio, AUDIO), (&call.tracks.video, VIDEO)] {
            call.sfu.produce(now, send, id, track.produce_options()?)?;
        }
        for _ in 0..subscribers {
            let recv = call.join(&identity, Direction::Recv)?;
            for producer in [AUDIO, VIDEO] {
                let id = ConsumerId(Uuid::from_u128(recv.0.as_u128() << 64 | producer.0.as_u128()));
                call.sfu.consume(now, recv, id, &consume_options(producer))?;
            }
        }
        Ok(call)
    }

    /// Lets a recorder subscribe to the video. What it gets is thrown away.
    pub(crate) fn record(&mut self) -> Result<()> {
        let tapped = Tapped { router: ROUTER, producer: self.sfu.describe_producer(self.now, VIDEO)? };
        let options =
            TapOptions { layer: RecordedLayer::High, key_frame_interval: Duration::from_secs(3_600) };
        let mut tap = Tap::new(tapped, options, self.now);
        while let Some(output) = tap.poll_output() {
            if let TapOutput::Relay { relay, .. } = output {
                self.sfu.handle_input(Input::Relay { from: RECORDER, relay }, self.now);
            }
        }
        self.deliver()
    }

    /// Seals bursts as the publisher does, before the measurement.
    pub(crate) fn publish(&mut self, kind: MediaKind, shape: Shape, bursts: usize) -> Result<Vec<Burst>> {
        let publisher = &mut self.peers[0].transport;
        let burst = |_| {
            let sealed = self.tracks.seal(kind, shape, publisher)?;
            Ok(sealed.iter().map(|bytes| bytes.to_vec()).collect())
        };
        (0..bursts).map(burst).collect()
    }

    /// Passes bursts through the SFU as a worker does, one per `interval`. Packets are opened in place, so a
    /// burst can be used only once.
    pub(crate) fn forward(&mut self, bursts: &mut [Burst], interval: Duration) {
        for burst in bursts {
            self.let_pass(interval);
            self.carry(burst);
        }
    }

    /// As [`Self::forward`], but calls `between` before each burst. Returns the CPU time of the packets
    /// alone.
    pub(crate) fn forward_after(&mut self, bursts: &mut [Burst], mut between: impl FnMut()) -> Duration {
        let mut used = Duration::ZERO;
        for burst in bursts {
            self.let_pass(BUSY);
            between();
            let start = thread_time();
            self.carry(burst);
            used += thread_time() - start;
        }
        used
    }

    /// Handles a burst: the cost of the packets themselves.
    fn carry(&mut self, burst: &mut Burst) {
        self.receive(burst);
        while self.seal_due() == Sealed::More {}
    }

    fn receive(&mut self, burst: &mut Burst) {
        for bytes in burst {
            self.sfu.handle_input(Input::Datagram { tuple: tuple(0), bytes, at: self.now }, self.now);
        }
    }

    /// Advances the time: the cost of reports, feedback and timers.
    fn let_pass(&mut self, interval: Duration) {
        self.now += interval;
        if self.timeout.is_some_and(|at| at <= self.now) {
            self.sfu.handle_input(Input::Timeout, self.now);
        }
        loop {
            match self.sfu.poll_output() {
                Output::Transmit { bytes, .. } => drop(black_box(bytes)),
                Output::Event(..) | Output::Relay { .. } => {}
                Output::Timeout(at) => return self.timeout = at,
            }
        }
    }

    /// Lets every client send a consent check; without checks, consent expires (RFC 7675).
    pub(crate) fn keep_alive(&mut self) -> Result<()> {
        (0..self.peers.len()).try_for_each(|index| {
            let transport = &mut self.peers[index].transport;
            transport.handle_timeout(transport.next_timeout())?;
            self.exchange(index)
        })
    }

    /// Seals a report of each subscriber about what it received since the last one.
    pub(crate) fn report(&mut self) -> Result<Vec<Report>> {
        let mut reports = Vec::with_capacity(self.peers.len());
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let report = peer.feedback.report()?;
            if report.is_empty() {
                continue;
            }
            peer.transport.send_rtcp_bytes(&report)?;
            while let Some(datagram) = peer.transport.poll_transmit() {
                reports.push((index, datagram.to_vec()));
            }
        }
        Ok(reports)
    }

    /// Passes sealed reports to the SFU.
    pub(crate) fn hear(&mut self, reports: &mut [Report]) {
        for (index, bytes) in reports {
            let input = Input::Datagram { tuple: tuple(*index), bytes, at: self.now };
            self.sfu.handle_input(input, self.now);
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.sfu.counters()
    }

    /// Creates a client with one connected transport.
    fn join(&mut self, identity: &Identity, direction: Direction) -> Result<TransportId> {
        let index = self.peers.len();
        let id = TransportId(Uuid::from_u128(index as u128));
        let parameters =
            self.sfu.create_transport(self.now, ROUTER, id, TransportOptions { direction, padding: true })?;
        let dtls = serde_json::from_value(serde_json::to_value(identity.dtls_parameters())?)?;
        self.sfu.connect_transport(self.now, id, &dtls)?;
        let options = serde_json::from_value(serde_json::to_value(parameters)?)?;
        let mut transport = Transport::new(identity, &options, self.now);
        transport.handle_timeout(self.now)?;
        self.peers.push(Peer { transport, connected: false, feedback: Feedback::default() });
        self.exchange(index)?;
        self.peers[index].connected.then_some(id).context("a handshake did not finish")
    }

    /// Passes datagrams between the client and the SFU until both have none left.
    fn exchange(&mut self, index: usize) -> Result<()> {
        while let Some(datagram) = self.peers[index].transport.poll_transmit() {
            let mut bytes = datagram.to_vec();
            let tuple = tuple(index);
            self.sfu.handle_input(Input::Datagram { tuple, bytes: &mut bytes, at: self.now }, self.now);
            self.deliver()?;
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<()> {
        loop {
            match self.sfu.poll_output() {
                Output::Transmit { tuple, bytes } => {
                    let peer = &mut self.peers[index_of(tuple)];
                    let incoming = peer.transport.handle_datagram(&bytes, self.now)?;
                    peer.connected |= matches!(incoming, Some(Incoming::Connected));
                }
                Output::Event(..) | Output::Relay { .. } => {}
                Output::Timeout(at) => {
                    self.timeout = at;
                    return Ok(());
                }
            }
        }
    }

    fn seal_due(&mut self) -> Sealed {
        let sealed = self.sfu.seal_due(self.now, &mut self.batch);
        for run in self.batch.runs() {
            if self.bandwidth == Bandwidth::Divided {
                let at = self.now - self.begin;
                let feedback = &mut self.peers[index_of(run.tuple)].feedback;
                run.bytes.chunks(run.segment_size).for_each(|packet| feedback.note(packet, at));
            }
            black_box(run);
        }
        self.batch.clear();
        sealed
    }
}

/// The tuple of the server and client number `index`.
fn tuple(index: usize) -> Tuple {
    let remote = SocketAddr::from(([192, 0, 2, 2], FIRST_PORT + index as u16));
    Tuple { protocol: Protocol::Udp, local: SocketAddr::from(([192, 0, 2, 1], 40_000)), remote }
}

/// The number of the client with this tuple.
fn index_of(tuple: Tuple) -> usize {
    usize::from(tuple.remote.port() - FIRST_PORT)
}

const SERVER: &str = "192.0.2.1:40000";
const RECORDER: ShardId = ShardId(1);
const FIRST_PORT: u16 = 10_000;
/// Wall-clock time at the start: a day in 2027.
const UNIX: Duration = Duration::from_secs(1_800_000_000);
const ROUTER: RouterId = RouterId(Uuid::from_u128(1));
const AUDIO: ProducerId = ProducerId(Uuid::from_u128(1));
const VIDEO: ProducerId = ProducerId(Uuid::from_u128(2));
/// The interval of bursts at a busy worker: timers add little cost.
pub(crate) const BUSY: Duration = Duration::from_micros(500);
/// Bytes of the batch.
const BATCH_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::cipher::HEADER_LEN;

    #[test]
    fn every_subscriber_gets_every_packet() {
        for profile in [Profile::Gcm, Profile::Cm] {
            let mut call = InProcessCall::new(3, profile).unwrap();
            let mut bursts = call.publish(MediaKind::Video, Shape { payload: 200, burst: 5 }, 4).unwrap();
            bursts.extend(call.publish(MediaKind::Audio, OPUS, 2).unwrap());
            call.forward(&mut bursts, Duration::from_millis(10));
            assert_eq!(call.counters().packets_sent, 3 * (4 * 5 + 2));
        }
    }

    #[test]
    fn the_floors_packets_are_as_long_as_the_sfus() {
        for profile in [Profile::Gcm, Profile::Cm] {
            let mut call = InProcessCall::new(1, profile).unwrap();
            let mut bursts = call.publish(MediaKind::Video, Shape { payload: 1_200, burst: 5 }, 4).unwrap();
            call.forward(&mut bursts, Duration::from_millis(10));
            let Counters { packets_sent, bytes_sent, .. } = call.counters();
            assert_eq!(bytes_sent / packets_sent, (HEADER_LEN + 1_200 + profile.tag_len()) as u64);
        }
    }

    #[test]
    fn what_comes_while_some_are_served_reaches_everyone() {
        let mut call = InProcessCall::new(100, Profile::Gcm).unwrap();
        let mut frame = call.publish(MediaKind::Video, HALF_A_FRAME, 2).unwrap();
        let mut sound = call.publish(MediaKind::Audio, OPUS, 1).unwrap();
        for burst in frame.iter_mut().chain(&mut sound) {
            call.receive(burst);
            assert_eq!(call.seal_due(), Sealed::More);
        }
        while call.seal_due() == Sealed::More {}
        assert_eq!(call.counters().packets_sent, 100 * (2 + 2 + 1));
    }

    #[test]
    fn nobody_is_passed_over_when_one_who_was_served_leaves() {
        let mut call = InProcessCall::new(100, Profile::Gcm).unwrap();
        let mut frame = call.publish(MediaKind::Video, HALF_A_FRAME, 2).unwrap();
        call.receive(&mut frame[0]);
        assert_eq!(call.seal_due(), Sealed::More);
        let leaver = &mut call.peers[1].transport;
        leaver.close(call.now);
        while let Some(goodbye) = leaver.poll_transmit() {
            let bytes = &mut goodbye.to_vec();
            call.sfu.handle_input(Input::Datagram { tuple: tuple(1), bytes, at: call.now }, call.now);
        }
        assert_eq!(call.sfu.population().consumers, 2 * 99);
        while call.seal_due() == Sealed::More {}
        assert_eq!(call.counters().packets_sent, 100 * 2);
        call.carry(&mut frame[1]);
        assert_eq!(call.counters().packets_sent, 100 * 2 + 99 * 2);
    }

    /// Allocations are allowed while buffers grow to the traffic, and in timers for reports, but not per
    /// packet.
    #[test]
    fn forwarding_allocates_nothing_after_the_warm_up() {
        for (bandwidth, burst, least) in
            [(Bandwidth::Unlimited, 20, 100_000), (Bandwidth::Divided, 5, 20_000)]
        {
            let mut call = InProcessCall::with_bandwidth(SUBSCRIBERS, Profile::Gcm, bandwidth).unwrap();
            let (mut forwarded, mut allocations) = (0, Vec::new());
            for second in 0..20 {
                call.keep_alive().unwrap();
                let shape = Shape { payload: 1_100, burst };
                let mut bursts = call.publish(MediaKind::Video, shape, 30).unwrap();
                bursts.extend(call.publish(MediaKind::Audio, OPUS, 20).unwrap());
                let before = call.counters().packets_sent;
                let allocated = bursts.iter_mut().map(|burst| {
                    call.let_pass(Duration::from_millis(20));
                    let mut reports = call.report().unwrap();
                    let forwarding = allocation_counter::measure(|| call.carry(burst));
                    forwarding.count_total
                        + allocation_counter::measure(|| call.hear(&mut reports)).count_total
                });
                let allocated: u64 = allocated.sum();
                if second >= WARM_UP_SECONDS {
                    forwarded += call.counters().packets_sent - before;
                    allocations.push(allocated);
                }
            }
            assert!(forwarded >= least, "only {forwarded} packets");
            assert_eq!(allocations.iter().sum::<u64>(), 0, "{bandwidth:?}, per second: {allocations:?}");
        }
    }

    const OPUS: Shape = Shape { payload: 100, burst: 1 };
    const HALF_A_FRAME: Shape = Shape { payload: 1_000, burst: 2 };
    const SUBSCRIBERS: usize = 12;
    /// Histories grow until they hold one second.
    const WARM_UP_SECONDS: usize = 5;
}
