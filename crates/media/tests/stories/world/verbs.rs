//! The vocabulary of the stories: how clients join, what they send and receive, and what happens to them.

use super::connection::Connection;
use super::encoder::Codec;
use super::ice::Ice;
use super::network::Filter;
use super::publisher::{LiveEncoding, LiveTrack, Publisher};
use super::secure::{Dtls, Profiles};
use super::subscriber::Subscriber;
use super::track::{Identity, Track};
use super::view::View;
use super::wall_clock::WallClock;
use super::{HOME, IPV4_SERVER, Party, Role, UNIX, World, port};
use rand::RngExt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchyard_link::path::Path;
use switchyard_media::allocation::VideoKind;
use switchyard_media::ortc::{FingerprintAlgorithm, Layers, router_rtp_capabilities};
use switchyard_media::{
    ConsumeOptions, ConsumerId, ConsumerParameters, Direction, Event, ProduceOptions, ProducerId, Sfu,
    ShardId, TransportId, TransportOptions,
};
use uuid::Uuid;

/// The index of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client(pub usize);

/// A track on its publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    pub client: Client,
    pub track: usize,
    pub id: ProducerId,
}

/// A stream at its subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewed {
    pub client: Client,
    pub view: usize,
    pub id: ConsumerId,
}

/// How a client differs from the default.
#[derive(Debug, Clone, Copy)]
pub struct ClientOptions {
    /// The shard that the client connects to.
    pub shard: ShardId,
    /// The address of the first shard; the others have the following ports.
    pub server: &'static str,
    /// DTLS role.
    pub is_dtls_client: bool,
    pub profiles: Profiles,
    pub fingerprint: FingerprintAlgorithm,
    pub up: Path,
    pub down: Path,
    /// The client strips padding.
    pub padding: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            shard: HOME,
            server: IPV4_SERVER,
            is_dtls_client: true,
            profiles: Profiles::Both,
            fingerprint: FingerprintAlgorithm::Sha256,
            up: Path::GOOD,
            down: Path::GOOD,
            padding: true,
        }
    }
}

impl World {
    pub fn publisher(&mut self) -> Client {
        self.join(Direction::Send, ClientOptions::default())
    }

    pub fn subscriber(&mut self) -> Client {
        self.join(Direction::Recv, ClientOptions::default())
    }

    /// A publisher on a shard.
    pub fn publisher_on(&mut self, shard: u16) -> Client {
        self.join(Direction::Send, ClientOptions { shard: ShardId(shard), ..ClientOptions::default() })
    }

    /// A subscriber on a shard.
    pub fn subscriber_on(&mut self, shard: u16) -> Client {
        self.join(Direction::Recv, ClientOptions { shard: ShardId(shard), ..ClientOptions::default() })
    }

    /// Creates a transport and starts connecting.
    pub fn join(&mut self, direction: Direction, options: ClientOptions) -> Client {
        let client = self.prepare(direction, options);
        let (now, party) = (self.now, &self.clients[client.0]);
        let parameters = party.connection.dtls.parameters(options.fingerprint);
        let transport = party.transport;
        self.shard_mut(options.shard).connect_transport(now, transport, &parameters).unwrap();
        client
    }

    /// Creates a transport without passing the client's DTLS parameters to the server.
    pub fn prepare(&mut self, direction: Direction, options: ClientOptions) -> Client {
        let transport = TransportId(self.uuid());
        let (now, router) = (self.now, self.router);
        let transport_options = TransportOptions { direction, padding: options.padding };
        let sfu = self.shard_mut(options.shard);
        let created = sfu.create_transport(now, router, transport, transport_options);
        let parameters = created.unwrap();
        let index = self.clients.len();
        let mut server: SocketAddr = options.server.parse().unwrap();
        server.set_port(port(options.shard));
        let ice = Ice::new(parameters.ice_parameters, self.now);
        let dtls = Dtls::new(options.is_dtls_client, options.profiles, &parameters.dtls_parameters);
        let connection = Connection::new(home(index, server, 0), server, ice, dtls);
        // No client's clock is right.
        let clock =
            WallClock { origin: self.origin, unix: UNIX + Duration::from_millis(7_300 * (1 + index as u64)) };
        let role = match direction {
            Direction::Send => Role::Publisher(Publisher::new(clock)),
            Direction::Recv => Role::Subscriber(Subscriber::new(clock)),
        };
        let (up, down) = (self.network.line(options.up), self.network.line(options.down));
        self.clients.push(Party { shard: options.shard, transport, connection, role, up, down });
        Client(index)
    }

    pub fn produce(&mut self, client: Client, track: Track) -> Produced {
        let mid = self.publisher_ref(client).tracks.len().to_string();
        self.produce_as(client, track, &mid)
    }

    /// Produces a track with this MID.
    pub fn produce_as(&mut self, client: Client, track: Track, mid: &str) -> Produced {
        let identity = self.identity(&track, mid);
        let rtp_parameters = track.rtp_parameters(&identity);
        let id = ProducerId(self.uuid());
        let options = ProduceOptions { kind: track.kind(), rtp_parameters, paused: false };
        let (now, transport) = (self.now, self.clients[client.0].transport);
        self.shard_of(client).produce(now, transport, id, options).unwrap();
        self.begin(client, track, id, &identity)
    }

    /// Sends a track that is not announced to the server.
    pub fn add_unannounced(&mut self, client: Client, track: Track) -> Produced {
        let identity = self.identity(&track, "?");
        let id = ProducerId(self.uuid());
        self.begin(client, track, id, &identity)
    }

    fn identity(&mut self, track: &Track, mid: &str) -> Identity {
        let base: u32 = self.rng.random_range(0x1000_0000..0x7000_0000);
        let encodings = 0..u32::from(track.encodings);
        let ssrcs =
            encodings.map(|index| (base + 2 * index, track.rtx.then_some(base + 2 * index + 1))).collect();
        Identity { mid: track.mid.then(|| mid.to_owned()), ssrcs }
    }

    fn begin(&mut self, client: Client, track: Track, id: ProducerId, identity: &Identity) -> Produced {
        let number = self.clients.iter().map(Party::track_count).sum::<usize>() as u16;
        let index = self.publisher_mut(client).add(track, id, identity, number);
        self.kick(client);
        Produced { client, track: index, id }
    }

    /// Sends a padding-only packet.
    pub fn probe(&mut self, produced: Produced, encoding: usize) {
        let now = self.now;
        let Party { role: Role::Publisher(publisher), connection, .. } = &mut self.clients[produced.client.0]
        else {
            panic!("a subscriber")
        };
        publisher.pad(now, produced.track, encoding, connection);
    }

    /// Sends a padding-only packet in the RTX stream.
    pub fn probe_with_rtx(&mut self, produced: Produced, encoding: usize) {
        let Party { role: Role::Publisher(publisher), connection, .. } = &mut self.clients[produced.client.0]
        else {
            panic!("a subscriber")
        };
        publisher.pad_with_rtx(produced.track, encoding, connection);
    }

    /// Consumes as clients do: paused at first, resumed when they are ready.
    pub fn consume(&mut self, client: Client, produced: Produced) -> Viewed {
        let viewed = self.consume_paused(client, produced, None);
        let now = self.now;
        self.shard_of(client).resume_consumer(now, viewed.id).unwrap();
        viewed
    }

    pub fn consume_paused(
        &mut self,
        client: Client,
        produced: Produced,
        preferred: Option<Layers>,
    ) -> Viewed {
        let id = ConsumerId(self.uuid());
        let rtp_capabilities = Arc::new(router_rtp_capabilities().clone().try_into().unwrap());
        let options = ConsumeOptions {
            producer: produced.id,
            rtp_capabilities,
            paused: true,
            preferred_layers: preferred,
            video: VideoKind::Camera,
        };
        self.consume_with(client, produced, id, &options)
    }

    pub fn consume_with(
        &mut self,
        client: Client,
        produced: Produced,
        id: ConsumerId,
        options: &ConsumeOptions,
    ) -> Viewed {
        let (now, transport) = (self.now, self.clients[client.0].transport);
        let consumed = if self.clients[client.0].shard == self.clients[produced.client.0].shard {
            self.shard_of(client).consume(now, transport, id, options)
        } else {
            let relayed = self.shard_of(produced.client).describe_producer(now, produced.id).unwrap();
            self.shard_of(client).consume_relayed(now, transport, id, options, relayed)
        };
        let codec = self.track(produced).track.codec;
        self.view_as(client, codec, id, &consumed.unwrap())
    }

    /// Consumes a producer of another shard; `meanwhile` runs between its description and the consuming.
    pub fn consume_described(
        &mut self,
        client: Client,
        produced: Produced,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Viewed {
        let (now, id) = (self.now, ConsumerId(self.uuid()));
        let relayed = self.shard_of(produced.client).describe_producer(now, produced.id).unwrap();
        let (codec, transport) = (self.track(produced).track.codec, self.clients[client.0].transport);
        meanwhile(self);
        let rtp_capabilities = Arc::new(router_rtp_capabilities().clone().try_into().unwrap());
        let options = ConsumeOptions {
            producer: produced.id,
            rtp_capabilities,
            paused: false,
            preferred_layers: None,
            video: VideoKind::Camera,
        };
        let consumed = self.shard_of(client).consume_relayed(now, transport, id, &options, relayed);
        self.view_as(client, codec, id, &consumed.unwrap())
    }

    fn view_as(
        &mut self,
        client: Client,
        codec: Codec,
        id: ConsumerId,
        parameters: &ConsumerParameters,
    ) -> Viewed {
        if let Some(tap) = &mut self.clients[client.0].connection.tap {
            let mut view = View::new(codec, parameters);
            view.be_a_browsers();
            tap.views.push(view);
        }
        let subscriber = self.subscriber_mut(client);
        subscriber.views.push(View::new(codec, parameters));
        Viewed { client, view: subscriber.views.len() - 1, id }
    }

    /// Closes a client and its transport.
    pub fn close(&mut self, client: Client) {
        let (now, transport) = (self.now, self.clients[client.0].transport);
        self.shard_of(client).close_transport(now, transport).unwrap();
        self.clients[client.0].fall_silent();
    }

    /// The time of the SFU's next timeout.
    pub fn wakeup(&self) -> Option<Instant> {
        self.wakeup
    }

    pub fn prefer(&mut self, viewed: Viewed, spatial: u8, temporal: Option<u8>) {
        let now = self.now;
        self.shard_of(viewed.client)
            .set_preferred_layers(now, viewed.id, Layers { spatial, temporal })
            .unwrap();
    }

    /// Moves a client to another address, as when a phone leaves the Wi-Fi.
    pub fn relocate(&mut self, client: Client, move_number: u16) {
        let now = self.now;
        let connection = &mut self.clients[client.0].connection;
        connection.address = home(client.0, connection.server, move_number);
        connection.ice.check_again(now);
    }

    /// Moves a client to another address behind another link. What was on its way to the old address is lost.
    pub fn hand_over(&mut self, client: Client, down: Path) {
        self.clients[client.0].down.change_link(self.network.line(down));
        self.relocate(client, 1);
    }

    /// Drops datagrams from (`up`) or to a client for which the filter returns `false`.
    pub fn filter(&mut self, client: Client, up: bool, filter: impl FnMut(&[u8]) -> bool + 'static) {
        let party = &mut self.clients[client.0];
        let line = if up { &mut party.up } else { &mut party.down };
        let filter: Filter = Box::new(filter);
        line.set_filter(Some(filter));
    }

    /// The shard that a client is connected to.
    pub fn shard_of(&mut self, client: Client) -> &mut Sfu {
        self.shard_mut(self.clients[client.0].shard)
    }

    pub fn party(&self, client: Client) -> &Party {
        &self.clients[client.0]
    }

    pub fn party_mut(&mut self, client: Client) -> &mut Party {
        &mut self.clients[client.0]
    }

    pub fn parties_mut(&mut self) -> impl Iterator<Item = &mut Party> {
        self.clients.iter_mut()
    }

    /// The time since the start of the world.
    pub fn age(&self) -> Duration {
        self.now - self.origin
    }

    pub fn transport(&self, client: Client) -> TransportId {
        self.clients[client.0].transport
    }

    pub fn publisher_ref(&self, client: Client) -> &Publisher {
        match &self.clients[client.0].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => panic!("a subscriber"),
        }
    }

    pub fn publisher_mut(&mut self, client: Client) -> &mut Publisher {
        match &mut self.clients[client.0].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => panic!("a subscriber"),
        }
    }

    pub fn subscriber_ref(&self, client: Client) -> &Subscriber {
        match &self.clients[client.0].role {
            Role::Subscriber(subscriber) => subscriber,
            Role::Publisher(_) => panic!("a publisher"),
        }
    }

    pub fn subscriber_mut(&mut self, client: Client) -> &mut Subscriber {
        match &mut self.clients[client.0].role {
            Role::Subscriber(subscriber) => subscriber,
            Role::Publisher(_) => panic!("a publisher"),
        }
    }

    pub fn track(&self, produced: Produced) -> &LiveTrack {
        &self.publisher_ref(produced.client).tracks[produced.track]
    }

    pub fn track_mut(&mut self, produced: Produced) -> &mut LiveTrack {
        &mut self.publisher_mut(produced.client).tracks[produced.track]
    }

    pub fn encoding_mut(&mut self, produced: Produced, encoding: usize) -> &mut LiveEncoding {
        &mut self.track_mut(produced).encodings[encoding]
    }

    pub fn view(&self, viewed: Viewed) -> &View {
        &self.subscriber_ref(viewed.client).views[viewed.view]
    }

    /// Key-frame requests that reached a publisher.
    pub fn key_frame_requests(&self, client: Client) -> usize {
        self.publisher_ref(client).heard.key_frame_requests.len()
    }

    pub fn has_event(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| is(event))
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u128(self.rng.random())
    }

    /// Handles a client's timers at once, after a change made directly to the client.
    pub fn kick(&mut self, client: Client) {
        let now = self.now;
        self.clients[client.0].handle_timeout(now);
    }
}

impl Party {
    /// Changes both directions of the line.
    pub fn set_paths(&mut self, path: Path) {
        self.up.set_path(path);
        self.down.set_path(path);
    }

    /// Stops sending media and checks.
    pub fn fall_silent(&mut self) {
        self.connection.ice.fall_silent();
        match &mut self.role {
            Role::Publisher(publisher) => publisher.stop(),
            Role::Subscriber(subscriber) => subscriber.stop(),
        }
    }

    fn track_count(&self) -> usize {
        match &self.role {
            Role::Publisher(publisher) => publisher.tracks.len(),
            Role::Subscriber(_) => 0,
        }
    }
}

/// An address of the server's IP version, one for each client and move.
fn home(client: usize, server: SocketAddr, move_number: u16) -> SocketAddr {
    let (client, port) = (client as u16, 50_000 + move_number);
    match server {
        SocketAddr::V4(_) => ([10, 0, (client >> 8) as u8, client as u8], port).into(),
        SocketAddr::V6(_) => ([0xfd00, 0, 0, 0, 0, 0, 0, client + 1], port).into(),
    }
}
