//! A worker whose turns the tests run one by one, with real sockets and connected peers.

use super::*;
use crate::relays;
use serde_json::json;
use std::net::{Ipv4Addr, UdpSocket};
use switchyard_media::allocation::VideoKind;
use switchyard_media::ortc::{MediaKind, TransportParameters, router_rtp_capabilities};
use switchyard_media::{
    Certificate, Config, ConsumeOptions, ConsumerId, Direction, Epoch, ProduceOptions, ProducerId,
    TransportId, TransportOptions,
};
use switchyard_peer::{Identity, Incoming, Transport};
use uuid::Uuid;

#[tokio::test]
async fn bursts_within_the_window_leave_together_and_none_is_lost() {
    let (mut together, mut apart) =
        (Call::begin(Duration::from_millis(1)).await, Call::begin(Duration::ZERO).await);
    for call in [&mut together, &mut apart] {
        let before = call.worker.counters;
        for _ in 0..ROUNDS {
            // With a window, the second burst arrives while the first one is held.
            call.publish().await;
            call.publish().await;
            call.turn_until_idle().await;
        }
        call.receive(ROUNDS * 2 * BURST).await;
        let ShellCounters { runs_sent, send_calls, .. } = call.worker.counters;
        call.cost = (runs_sent - before.runs_sent, send_calls - before.send_calls);
    }
    let ((runs, calls), (runs_apart, calls_apart)) = (together.cost, apart.cost);
    assert!(runs_apart >= 2 * ROUNDS as u64, "{runs_apart} runs without a window");
    assert!(runs * 4 < runs_apart * 3, "{runs} runs with a window, {runs_apart} without");
    assert!(calls * 4 < calls_apart * 3, "{calls} sends with a window, {calls_apart} without");
}

#[tokio::test]
async fn commands_are_obeyed_while_media_is_held() {
    // The window is so long that no media is sent in this test.
    let mut call = Call::begin(Duration::from_secs(60)).await;
    assert!(call.publish().await == Turn::Holding);
    let (reply, mut answer) = oneshot::channel();
    call.commands.try_send(Command::Count(reply)).unwrap();
    assert!(call.worker.turn() == Turn::Holding);
    let counters = answer.try_recv().unwrap();
    assert_eq!((counters.media.packets_received, counters.media.packets_sent), (BURST as u64, 0));
}

#[tokio::test]
async fn the_rest_of_a_frame_is_read_before_all_of_its_beginning_is_sent() {
    let mut call = Call::begin(Duration::ZERO).await;
    call.worker.io.batch = Batch::with_capacity(ONE_PACKET);
    assert!(call.publish().await == Turn::Busy);
    assert_eq!(call.worker.pacing.flushes, 1);
    assert!(call.publish().await == Turn::Busy);
    assert!(call.worker.core.counters().packets_sent < 2 * BURST as u64);
    call.turn_until_idle().await;
    call.receive(2 * BURST).await;
}

#[tokio::test]
async fn when_much_is_unsent_what_comes_waits_outside() {
    let mut call = Call::begin(Duration::ZERO).await;
    call.worker.io.batch = Batch::with_capacity(ONE_PACKET);
    let mut bursts = 0;
    while call.worker.pacing.flushes < FLUSHES_WITH_INPUT {
        call.publish().await;
        bursts += 1;
    }
    call.send_burst();
    while call.worker.turn() == Turn::Busy {
        assert_eq!(call.worker.core.counters().packets_received, (bursts * BURST) as u64);
        tokio::task::yield_now().await;
    }
    call.receive(bursts * BURST).await;
    call.turn_until_read().await;
    call.turn_until_idle().await;
    call.receive(BURST).await;
}

/// An audio publisher, a subscriber, and the worker between them.
struct Call {
    worker: Worker,
    commands: mpsc::Sender<Command>,
    publisher: Peer,
    subscriber: Peer,
    /// Kept because dropping the receiver closes the router.
    _observed: mpsc::Receiver<Event>,
    sequence: u16,
    /// The numbers of runs and system calls.
    cost: (u64, u64),
}

struct Peer {
    socket: UdpSocket,
    transport: Transport,
}

impl Call {
    /// Handshakes run without a window; `coalesce` is set afterwards.
    async fn begin(coalesce: Duration) -> Self {
        let (mut worker, commands) = worker();
        let identity = Identity::generate().unwrap();
        let (events, observed) = mpsc::channel(1_024);
        let (router, now) = (RouterId(Uuid::from_u128(1)), Instant::now());
        worker.open_router(now, router, ShardId(0), events);
        let [publisher, subscriber] = [(2, Direction::Send), (3, Direction::Recv)].map(|(id, direction)| {
            let id = TransportId(Uuid::from_u128(id));
            let options = TransportOptions { direction, padding: true };
            let sfu = |sfu: &mut Sfu| {
                let parameters = sfu.create_transport(now, router, id, options).unwrap();
                let dtls = serde_json::to_value(identity.dtls_parameters()).unwrap();
                sfu.connect_transport(now, id, &serde_json::from_value(dtls).unwrap()).unwrap();
                match direction {
                    Direction::Send => drop(sfu.produce(now, id, PRODUCER, microphone()).unwrap()),
                    Direction::Recv => drop(sfu.consume(now, id, CONSUMER, &listening()).unwrap()),
                }
                parameters
            };
            Peer::new(&identity, &worker.core.enter(now, sfu).unwrap())
        });
        let mut call =
            Self { worker, commands, publisher, subscriber, _observed: observed, sequence: 0, cost: (0, 0) };
        call.shake_hands().await;
        call.worker.pacing.coalesce = coalesce;
        call
    }

    async fn shake_hands(&mut self) {
        let mut connected = [false; 2];
        let deadline = Instant::now() + PATIENCE;
        while connected != [true; 2] {
            assert!(Instant::now() < deadline, "the handshakes take too long: {connected:?}");
            for (peer, connected) in
                [&mut self.publisher, &mut self.subscriber].into_iter().zip(&mut connected)
            {
                *connected |= peer.drive();
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.worker.turn();
        }
        self.turn_until_idle().await;
    }

    /// Sends a burst of packets of equal size, and runs turns until it has been read.
    async fn publish(&mut self) -> Turn {
        self.send_burst();
        self.turn_until_read().await
    }

    fn send_burst(&mut self) {
        let Peer { socket, transport } = &mut self.publisher;
        for _ in 0..BURST {
            let mut packet = vec![0x80, PAYLOAD_TYPE];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 960).to_be_bytes());
            packet.extend(SSRC.to_be_bytes());
            packet.extend([0x5a; 80]);
            self.sequence += 1;
            transport.seal_rtp(&mut packet).unwrap();
            socket.send(&packet).unwrap();
        }
    }

    async fn turn_until_read(&mut self) -> Turn {
        loop {
            tokio::task::yield_now().await;
            let turn = self.worker.turn();
            if self.worker.core.counters().packets_received == u64::from(self.sequence) {
                return turn;
            }
        }
    }

    async fn turn_until_idle(&mut self) {
        while self.worker.turn() != Turn::Idle {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the subscriber has received this many media packets.
    async fn receive(&mut self, packets: usize) {
        let Peer { socket, transport } = &mut self.subscriber;
        let mut buffer = [0; 2_048];
        let mut received = 0;
        let deadline = Instant::now() + PATIENCE;
        while received < packets {
            assert!(Instant::now() < deadline, "{received} of {packets} packets came");
            let Ok(length) = socket.recv(&mut buffer) else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let incoming = transport.handle_datagram(&buffer[..length], Instant::now()).unwrap();
            received += usize::from(matches!(incoming, Some(Incoming::Rtp(_))));
        }
    }
}

impl Peer {
    fn new(identity: &Identity, parameters: &TransportParameters) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let candidate = &parameters.ice_candidates[0];
        socket.connect((candidate.address, candidate.port)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let options = serde_json::from_value(serde_json::to_value(parameters).unwrap()).unwrap();
        Self { socket, transport: Transport::new(identity, &options, Instant::now()) }
    }

    /// Drives the peer's handshake; `true` once it is complete.
    fn drive(&mut self) -> bool {
        let mut buffer = [0; 2_048];
        let mut connected = false;
        self.transport.handle_timeout(Instant::now()).unwrap();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let incoming = self.transport.handle_datagram(&buffer[..length], Instant::now()).unwrap();
            connected |= matches!(incoming, Some(Incoming::Connected));
        }
        while let Some(datagram) = self.transport.poll_transmit() {
            self.socket.send(&datagram).unwrap();
        }
        connected
    }
}

fn worker() -> (Worker, mpsc::Sender<Command>) {
    let socket = Socket::register(crate::socket::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()).unwrap();
    let (queue, relayed) = relays::queue();
    let relays = Relays::new(ShardId(0), [queue].into());
    let config = Config::new(ShardId(0), vec![socket.local()], Certificate::generate().unwrap());
    let epoch = Epoch { at: Instant::now(), unix: Duration::from_secs(1_700_000_000) };
    let sfu = Sfu::new(config, [7; 32], epoch);
    let (sender, commands) = mpsc::channel(16);
    let load = Arc::new(Load::new());
    let ends = Ends { coalesce: Duration::ZERO, load, relays, relayed, commands };
    (Worker::new(sfu, vec![socket], ends), sender)
}

fn microphone() -> ProduceOptions {
    let rtp_parameters = serde_json::from_value(json!({
        "mid": "0", "encodings": [{ "ssrc": SSRC }], "rtcp": { "cname": "test" }, "headerExtensions": [],
        "codecs": [{
            "mimeType": "audio/opus", "payloadType": PAYLOAD_TYPE, "clockRate": 48_000, "channels": 2,
        }],
    }));
    ProduceOptions { kind: MediaKind::Audio, rtp_parameters: rtp_parameters.unwrap(), paused: false }
}

fn listening() -> ConsumeOptions {
    let rtp_capabilities = Arc::new(router_rtp_capabilities().clone().try_into().unwrap());
    ConsumeOptions {
        producer: PRODUCER,
        rtp_capabilities,
        paused: false,
        preferred_layers: None,
        video: VideoKind::Camera,
    }
}

const PRODUCER: ProducerId = ProducerId(Uuid::from_u128(4));
const CONSUMER: ConsumerId = ConsumerId(Uuid::from_u128(5));
const PAYLOAD_TYPE: u8 = 111;
const SSRC: u32 = 0x1000;
const ROUNDS: usize = 20;
const BURST: usize = 3;
/// The capacity of a batch that holds a single packet.
const ONE_PACKET: usize = 1;
const PATIENCE: Duration = Duration::from_secs(20);
