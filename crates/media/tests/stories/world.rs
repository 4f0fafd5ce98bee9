//! One SFU, its clients and the network between them, under one clock. Everything random comes from seeds, except
//! the keys that webrtc-rs's handshakes draw.

pub mod connection;
pub mod data;
mod dependency;
pub mod encoder;
pub mod ice;
pub mod network;
mod packet;
pub mod playback;
pub mod publisher;
pub mod secure;
pub mod stamp;
pub mod subscriber;
pub mod track;
mod verbs;
pub mod view;
mod wall_clock;

use connection::{Connection, Received};
use network::{Datagram, Link, Network};
use publisher::Publisher;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use subscriber::Subscriber;
use switchyard_media::{
    Batch, Certificate, Config, Epoch, Event, Input, Output, Protocol, RouterId, Sealed, Sfu, TransportId,
    Tuple,
};
pub use verbs::{Client, ClientOptions, Produced, Viewed};

pub struct World {
    pub sfu: Sfu,
    pub now: Instant,
    pub router: RouterId,
    /// Everything the SFU told, and when.
    pub events: Vec<(Instant, Event)>,
    rng: StdRng,
    origin: Instant,
    network: Network,
    clients: Vec<Party>,
    batch: Batch,
    /// What left in one send, packet by packet, and to whom.
    pub runs: Vec<(SocketAddr, Vec<Vec<u8>>)>,
    wakeup: Option<Instant>,
}

/// A client's end of one transport and its line.
pub struct Party {
    pub transport: TransportId,
    pub connection: Connection,
    pub role: Role,
    pub up: Link,
    pub down: Link,
}

pub enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

impl World {
    /// An SFU with one router.
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        let config = Config::new(
            vec![IPV4_SERVER.parse().unwrap(), IPV6_SERVER.parse().unwrap()],
            CERTIFICATE.clone(),
        );
        let epoch = Epoch { at: now, unix: UNIX };
        let mut world = Self {
            sfu: Sfu::new(config, [seed as u8; 32], epoch),
            now,
            router: RouterId(uuid::Uuid::from_u128(u128::from(seed))),
            events: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            origin: now,
            network: Network::new(seed),
            clients: Vec::new(),
            batch: Batch::with_capacity(64 * 1024),
            runs: Vec::new(),
            wakeup: None,
        };
        world.sfu.create_router(world.router).unwrap();
        world
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Lets time pass until something is so; panics if it never is.
    pub fn run_to(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        assert!(self.run_until(start + Duration::from_secs(60), is_so), "in vain awaited: {what}");
        self.now - start
    }

    fn run_until(&mut self, end: Instant, is_so: impl Fn(&Self) -> bool) -> bool {
        let mut steps_at_once = 0;
        while !is_so(self) {
            self.settle();
            let Some(next) = self.next_wakeup().filter(|next| *next <= end) else { return false };
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 10_000, "the world stands still");
            self.now = self.now.max(next);
            self.step();
        }
        true
    }

    /// Everything that is to happen at this moment.
    fn step(&mut self) {
        while let Some(datagram) = self.network.arrived(self.now) {
            self.deliver(datagram);
        }
        for index in 0..self.clients.len() {
            if self.clients[index].next_timeout().is_some_and(|at| at <= self.now) {
                self.clients[index].handle_timeout(self.now);
            }
        }
        if self.wakeup.is_some_and(|at| at <= self.now) {
            self.sfu.handle_input(Input::Timeout, self.now);
        }
    }

    fn deliver(&mut self, mut datagram: Datagram) {
        let is_server =
            |address: SocketAddr| [IPV4_SERVER, IPV6_SERVER].iter().any(|it| it.parse() == Ok(address));
        if is_server(datagram.to) {
            self.receive(datagram.from, datagram.to, &mut datagram.bytes);
        } else if let Some(client) = self.clients.iter_mut().find(|it| it.connection.address == datagram.to) {
            client.handle_datagram(self.now, &datagram.bytes);
        }
    }

    /// Hands the SFU a datagram as if it had just come.
    pub fn inject(&mut self, remote: SocketAddr, local: SocketAddr, bytes: &mut [u8]) {
        self.receive(remote, local, bytes);
        self.drain_sfu();
    }

    fn receive(&mut self, remote: SocketAddr, local: SocketAddr, bytes: &mut [u8]) {
        let tuple = Tuple { protocol: Protocol::Udp, local, remote };
        self.sfu.handle_input(Input::Datagram { tuple, bytes, at: self.now }, self.now);
    }

    /// Moves everything that somebody wants to send onto the network.
    fn settle(&mut self) {
        self.drain_sfu();
        for client in &mut self.clients {
            while let Some(bytes) = client.connection.poll_transmit(self.now) {
                let (from, to) = (client.connection.address, client.connection.server);
                self.network.send(self.now, &mut client.up, Datagram { from, to, bytes });
            }
        }
    }

    fn drain_sfu(&mut self) {
        loop {
            let sealed = self.sfu.seal_due(self.now, &mut self.batch);
            let mut datagrams = Vec::new();
            for run in self.batch.runs() {
                let packets: Vec<_> = run.bytes.chunks(run.segment_size).map(<[u8]>::to_vec).collect();
                datagrams.extend(packets.iter().map(|packet| (run.tuple, packet.clone())));
                self.runs.push((run.tuple.remote, packets));
            }
            self.batch.clear();
            datagrams.into_iter().for_each(|(tuple, bytes)| self.send_to_client(tuple, bytes));
            if sealed == Sealed::Done {
                break;
            }
        }
        loop {
            match self.sfu.poll_output() {
                Output::Transmit { tuple, bytes } => self.send_to_client(tuple, bytes.to_vec()),
                Output::Event(router, event) => {
                    assert_eq!(router, self.router);
                    self.events.push((self.now, event));
                }
                Output::Timeout(at) => {
                    self.wakeup = at;
                    return;
                }
            }
        }
    }

    fn send_to_client(&mut self, tuple: Tuple, bytes: Vec<u8>) {
        let datagram = Datagram { from: tuple.local, to: tuple.remote, bytes };
        if let Some(client) = self.clients.iter_mut().find(|it| it.connection.address == tuple.remote) {
            assert_eq!(
                client.connection.server, tuple.local,
                "an answer from another address than was asked"
            );
            self.network.send(self.now, &mut client.down, datagram);
        }
    }

    fn next_wakeup(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(Party::next_timeout);
        clients.chain(self.network.next_arrival()).chain(self.wakeup).min()
    }
}

impl Party {
    fn next_timeout(&self) -> Option<Instant> {
        let role = match &self.role {
            Role::Publisher(publisher) => publisher.next_timeout(),
            Role::Subscriber(subscriber) => subscriber.next_timeout(),
        };
        role.into_iter().chain(self.connection.next_timeout()).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        match &mut self.role {
            Role::Publisher(publisher) => publisher.handle_timeout(now, &mut self.connection),
            Role::Subscriber(subscriber) => subscriber.handle_timeout(now, &mut self.connection),
        }
    }

    fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        let received = self.connection.handle_datagram(now, bytes);
        match (&mut self.role, received) {
            (Role::Subscriber(subscriber), Some(Received::Rtp(packet))) => {
                subscriber.handle_rtp(now, &packet)
            }
            (Role::Subscriber(subscriber), Some(Received::Rtcp(packets))) => {
                subscriber.handle_rtcp(now, &packets)
            }
            (Role::Publisher(publisher), Some(Received::Rtcp(packets))) => {
                publisher.handle_rtcp(now, &packets, &mut self.connection);
            }
            (Role::Publisher(_), Some(Received::Rtp(packet))) => panic!("media for a publisher: {packet}"),
            // The keys may be new, so that media can begin.
            (Role::Publisher(publisher), None) => publisher.handle_timeout(now, &mut self.connection),
            (Role::Subscriber(_), None) => {}
        }
    }
}

/// Making one takes longer than most stories.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::generate().unwrap());
pub const IPV4_SERVER: &str = "192.0.2.1:40000";
pub const IPV6_SERVER: &str = "[2001:db8::1]:40000";
/// A day in 2027.
const UNIX: Duration = Duration::from_secs(1_800_000_000);
