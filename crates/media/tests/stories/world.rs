//! One router on one SFU or spread over several, its clients and the network between them, under one clock.
//! All random values come from seeds, except the keys of webrtc-rs's handshakes.

pub mod arrivals;
pub mod connection;
pub mod cubic;
pub mod data;
pub mod decoder;
pub mod dependency;
pub mod encoder;
mod gaps;
pub mod ice;
pub mod network;
mod packet;
pub mod playback;
pub mod publisher;
pub mod quality;
pub mod rates;
mod raw_srtp;
pub mod record;
pub mod secure;
pub mod stamp;
pub mod subscriber;
pub mod tap;
pub mod track;
mod verbs;
pub mod view;
mod wall_clock;

use connection::{Connection, Received};
use network::{Datagram, Line, Network};
use publisher::Publisher;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use subscriber::Subscriber;
use switchyard_media::{
    Batch, Certificate, Config, Counters, Epoch, Event, Input, Output, Protocol, Relay, RelayClass, RouterId,
    Sealed, Sfu, ShardId, TransportId, Tuple,
};
pub use verbs::{Client, ClientOptions, Produced, Viewed};

pub struct World {
    /// The first shard: the router's home, to which clients connect unless a story says otherwise.
    pub sfu: Sfu,
    /// The router's other shards.
    pub others: Vec<Sfu>,
    pub now: Instant,
    pub router: RouterId,
    /// All events of the SFU, with their times.
    pub events: Vec<(Instant, Event)>,
    rng: StdRng,
    origin: Instant,
    pub network: Network,
    clients: Vec<Party>,
    batch: Batch,
    /// The packets of each send call, with their destination.
    pub runs: Vec<(SocketAddr, Vec<Vec<u8>>)>,
    /// The host takes no run for which this returns `true`.
    pub refuses: Box<dyn FnMut() -> bool>,
    wakeup: Option<Instant>,
    /// Drops messages between shards for which it returns `false`.
    relay_filter: Box<dyn FnMut(&Relay) -> bool>,
    /// Messages sent between shards.
    pub relayed: Vec<(ShardId, Relay)>,
    /// Bytes sent to addresses where no client is, without answers to checks.
    pub astray: usize,
}

/// A client's end of one transport and its line.
pub struct Party {
    pub shard: ShardId,
    pub transport: TransportId,
    pub connection: Connection,
    pub role: Role,
    pub up: Line,
    pub down: Line,
}

pub enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

impl World {
    /// An SFU with one router.
    pub fn new(seed: u64) -> Self {
        Self::sharded(seed, 1)
    }

    /// A router with a shard on each of some SFUs.
    pub fn sharded(seed: u64, shards: u16) -> Self {
        Self::configured(seed, shards, |_| {})
    }

    /// As [`Self::sharded`], with SFUs that are configured differently.
    pub fn configured(seed: u64, shards: u16, configure: impl Fn(&mut Config)) -> Self {
        let now = Instant::now();
        let epoch = Epoch { at: now, unix: UNIX };
        let mut sfus = (0..shards).map(|shard| {
            let candidates = SERVERS.iter().map(|ip| SocketAddr::new(*ip, port(ShardId(shard)))).collect();
            let mut config = Config::new(ShardId(shard), candidates, CERTIFICATE.clone());
            configure(&mut config);
            Sfu::new(config, [seed as u8 ^ shard as u8; 32], epoch)
        });
        let mut world = Self {
            sfu: sfus.next().unwrap(),
            others: sfus.collect(),
            now,
            router: RouterId(uuid::Uuid::from_u128(u128::from(seed))),
            events: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            origin: now,
            network: Network::new(seed, now),
            clients: Vec::new(),
            batch: Batch::with_capacity(8 * 1024),
            runs: Vec::new(),
            refuses: Box::new(|| false),
            wakeup: None,
            relay_filter: Box::new(|_| true),
            relayed: Vec::new(),
            astray: 0,
        };
        let router = world.router;
        for shard in world.shards() {
            world.shard_mut(shard).create_router(router, HOME).unwrap();
        }
        world
    }

    pub fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..=self.others.len() as u16).map(ShardId)
    }

    pub fn shard(&self, shard: ShardId) -> &Sfu {
        match shard.0.checked_sub(1) {
            None => &self.sfu,
            Some(other) => &self.others[usize::from(other)],
        }
    }

    pub fn shard_mut(&mut self, shard: ShardId) -> &mut Sfu {
        match shard.0.checked_sub(1) {
            None => &mut self.sfu,
            Some(other) => &mut self.others[usize::from(other)],
        }
    }

    pub fn counters(&self, shard: ShardId) -> &Counters {
        self.shard(shard).counters()
    }

    /// Media packets that crossed to a shard.
    pub fn relayed_packets(&self, to: ShardId) -> usize {
        self.relayed.iter().filter(|(shard, _)| *shard == to).map(|(_, relay)| relay.packets()).sum()
    }

    /// Drops messages between shards for which the filter returns `false`.
    pub fn filter_relays(&mut self, filter: impl FnMut(&Relay) -> bool + 'static) {
        self.relay_filter = Box::new(filter);
    }

    /// Advances the time by `duration`.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Advances the time until `is_so` holds; panics if it never does.
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

    /// Handles everything that is due at the present time.
    fn step(&mut self) {
        for datagram in self.network.passed(self.now) {
            let party = self.clients.iter_mut().find(|it| it.connection.address == datagram.to);
            party.map(|party| party.down.enter(self.now, datagram));
        }
        for index in 0..self.clients.len() {
            while let Some(datagram) = self.clients[index].arrived(self.now) {
                self.deliver(datagram);
            }
        }
        for index in 0..self.clients.len() {
            if self.clients[index].next_timeout().is_some_and(|at| at <= self.now) {
                self.clients[index].handle_timeout(self.now);
            }
        }
        if self.wakeup.is_some_and(|at| at <= self.now) {
            let now = self.now;
            self.shards().for_each(|shard| self.shard_mut(shard).handle_input(Input::Timeout, now));
        }
    }

    fn deliver(&mut self, mut datagram: Datagram) {
        if SERVERS.contains(&datagram.to.ip()) {
            self.receive(datagram.from, datagram.to, &mut datagram.bytes);
        } else if let Some(client) = self.clients.iter_mut().find(|it| it.connection.address == datagram.to) {
            client.handle_datagram(self.now, &datagram.bytes);
        }
    }

    /// Passes a datagram to the SFU as if it had just arrived.
    pub fn inject(&mut self, remote: SocketAddr, local: SocketAddr, bytes: &mut [u8]) {
        self.receive(remote, local, bytes);
        self.drain();
    }

    fn receive(&mut self, remote: SocketAddr, local: SocketAddr, bytes: &mut [u8]) {
        let tuple = Tuple { protocol: Protocol::Udp, local, remote };
        let (shard, now) = (ShardId(local.port() - FIRST_PORT), self.now);
        self.shard_mut(shard).handle_input(Input::Datagram { tuple, bytes, at: now }, now);
    }

    /// Moves all outgoing datagrams of clients and SFUs onto the network.
    fn settle(&mut self) {
        self.drain();
        for client in &mut self.clients {
            while let Some(bytes) = client.connection.poll_transmit(self.now) {
                let (from, to) = (client.connection.address, client.connection.server);
                self.network.send(self.now, &mut client.up, Datagram { from, to, bytes });
            }
        }
    }

    /// Polls the SFUs until no shard has more datagrams or messages.
    fn drain(&mut self) {
        let mut wakeups = Vec::new();
        let mut told = true;
        while told {
            (told, wakeups) = (false, Vec::new());
            for shard in self.shards() {
                self.seal_due(shard);
                told |= self.poll_out(shard, &mut wakeups);
            }
        }
        self.wakeup = wakeups.into_iter().min();
    }

    fn seal_due(&mut self, shard: ShardId) {
        loop {
            let sfu = match shard.0.checked_sub(1) {
                None => &mut self.sfu,
                Some(other) => &mut self.others[usize::from(other)],
            };
            let sealed = sfu.seal_due(self.now, &mut self.batch);
            let mut datagrams = Vec::new();
            for run in self.batch.runs() {
                if (self.refuses)() {
                    sfu.refused(run);
                    continue;
                }
                let packets: Vec<_> = run.bytes.chunks(run.segment_size).map(<[u8]>::to_vec).collect();
                datagrams.extend(packets.iter().map(|packet| (run.tuple, packet.clone())));
                self.runs.push((run.tuple.remote, packets));
            }
            self.batch.clear();
            datagrams.into_iter().for_each(|(tuple, bytes)| self.send_to_client(tuple, bytes));
            if sealed == Sealed::Done {
                return;
            }
        }
    }

    /// True if another shard received a message, which may have changed its state.
    fn poll_out(&mut self, from: ShardId, wakeups: &mut Vec<Instant>) -> bool {
        let mut told = false;
        loop {
            match self.shard_mut(from).poll_output() {
                Output::Transmit { tuple, bytes } => self.send_to_client(tuple, bytes.to_vec()),
                Output::Relay { to, relay } => {
                    told = true;
                    self.carry(from, to, relay);
                }
                Output::Event(router, event) => {
                    assert_eq!(router, self.router);
                    self.events.push((self.now, event));
                }
                Output::Timeout(at) => {
                    wakeups.extend(at);
                    return told;
                }
            }
        }
    }

    /// Delivers a message to another shard, or its loss report if it is dropped.
    fn carry(&mut self, from: ShardId, to: ShardId, relay: Relay) {
        assert_ne!(from, to, "a shard talks to itself");
        let passes = relay.class() == RelayClass::Control || (self.relay_filter)(&relay);
        let Some(relay) = (if passes { Some(relay) } else { relay.loss().map(Relay::from) }) else { return };
        self.relayed.push((to, relay.clone()));
        let now = self.now;
        self.shard_mut(to).handle_input(Input::Relay { from, relay }, now);
    }

    fn send_to_client(&mut self, tuple: Tuple, bytes: Vec<u8>) {
        let datagram = Datagram { from: tuple.local, to: tuple.remote, bytes };
        let bytes = if datagram.bytes[0] < 4 { 0 } else { datagram.bytes.len() };
        self.astray += bytes;
        if let Some(client) = self.clients.iter_mut().find(|it| it.connection.address == tuple.remote) {
            assert_eq!(
                client.connection.server, tuple.local,
                "an answer from another address than was asked"
            );
            self.astray -= bytes;
            if let Some(tap) = &mut client.connection.tap {
                tap.take(self.now, &datagram.bytes);
            }
            self.network.send(self.now, &mut client.down, datagram);
        }
    }

    fn next_wakeup(&self) -> Option<Instant> {
        let clients = self.clients.iter().filter_map(Party::next_timeout);
        clients.chain(self.network.next_event()).chain(self.wakeup).min()
    }
}

impl Party {
    /// A datagram that has arrived, in either direction.
    fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        self.up.arrived(now).or_else(|| self.down.arrived(now))
    }

    fn next_timeout(&self) -> Option<Instant> {
        let role = match &self.role {
            Role::Publisher(publisher) => publisher.next_timeout(),
            Role::Subscriber(subscriber) => subscriber.next_timeout(),
        };
        let arrivals = [self.up.link.next_arrival(), self.down.link.next_arrival()];
        role.into_iter().chain(self.connection.next_timeout()).chain(arrivals.into_iter().flatten()).min()
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

/// Generating a certificate takes longer than most stories.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::generate().unwrap());
pub const IPV4_SERVER: &str = "192.0.2.1:40000";
pub const IPV6_SERVER: &str = "[2001:db8::1]:40000";
const SERVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// The first shard's port; the next shards have the following ports.
const FIRST_PORT: u16 = 40_000;
pub const HOME: ShardId = ShardId(0);

/// The port on which a shard listens.
pub fn port(shard: ShardId) -> u16 {
    FIRST_PORT + shard.0
}

/// The wall-clock time at the start: a day in 2027.
const UNIX: Duration = Duration::from_secs(1_800_000_000);
