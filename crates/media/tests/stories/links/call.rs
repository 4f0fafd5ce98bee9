//! A call whose receivers are behind the link of a row.

use super::baseline::Baseline;
use super::report::{LinkReport, WARM_UP};
use crate::world::arrivals::ReceiverClock;
use crate::world::network::{Cargo, Datagram};
use crate::world::quality::{Pictures, Sound};
use crate::world::rates::Camera;
use crate::world::record::{Kind, Record};
use crate::world::tap::Tap;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, Produced, Role, Viewed, World};
use std::time::Duration;
use switchyard_link::path::{Path, Queue, Rate, Spread};
use switchyard_media::{Bandwidth, Direction, Event};

/// A row of the table: a link, and who uses it.
#[derive(Clone, Copy)]
pub struct Row {
    pub name: &'static str,
    /// From the SFU to the receiver, and back.
    pub down: Path,
    pub up: Path,
    /// The publisher's line, in both directions.
    pub publisher: Path,
    /// How many cameras the publisher has, beside its microphone.
    pub cameras: u8,
    pub camera: Camera,
    pub bandwidth: Bandwidth,
    pub seconds: u64,
    pub seed: u64,
}

impl Row {
    /// One camera and a microphone over a line without limit, 50 ms both ways together.
    pub const USUAL: Self = Self {
        name: "",
        down: Path { delay: Duration::from_millis(25), jitter: Spread::None, ..Path::GOOD },
        up: Path { delay: Duration::from_millis(25), jitter: Spread::None, ..Path::GOOD },
        publisher: Path::GOOD,
        cameras: 1,
        camera: Camera::USUAL,
        bandwidth: Bandwidth::Divided,
        seconds: 25,
        seed: 1,
    };

    /// A link with this rate and queue.
    pub const fn limited(name: &'static str, rate: Rate, queue: Queue) -> Self {
        Self { name, down: Path { rate, queue, ..Self::USUAL.down }, ..Self::USUAL }
    }

    pub fn begin(self) -> Call {
        let mut call = Call::new(self);
        call.add_receiver(self.down);
        call
    }

    /// Runs the row and reports on its receiver.
    pub fn run(self) -> LinkReport {
        let mut call = self.begin();
        call.run(self.seconds);
        let report = call.report(0);
        let baseline = Baseline::of(&self, report.duration, ReceiverClock::default());
        LinkReport { baseline: Some(baseline), ..report }
    }
}

/// A call of one publisher and the receivers behind the row's link.
pub struct Call {
    pub world: World,
    pub row: Row,
    pub publisher: Client,
    pub microphone: Produced,
    pub cameras: Vec<Produced>,
    pub receivers: Vec<Receiver>,
}

pub struct Receiver {
    pub client: Client,
    pub sound: Viewed,
    pub pictures: Vec<Viewed>,
    joined: Duration,
    /// The estimate every 100 ms since the receiver joined, in bit/s.
    estimates: Vec<(Duration, u64)>,
}

impl Call {
    pub fn new(row: Row) -> Self {
        let mut world = World::configured(row.seed, 1, |config| config.bandwidth = row.bandwidth);
        let options = ClientOptions { up: row.publisher, down: row.publisher, ..ClientOptions::default() };
        let publisher = world.join(Direction::Send, options);
        let microphone = world.produce(publisher, Track::opus());
        let cameras = (0..row.cameras).map(|_| world.produce(publisher, Track::camera(row.camera))).collect();
        Self { world, row, publisher, microphone, cameras, receivers: Vec::new() }
    }

    /// Adds a receiver, whose line down is this.
    pub fn add_receiver(&mut self, down: Path) -> Client {
        let world = &mut self.world;
        let options = ClientOptions { down, up: self.row.up, ..ClientOptions::default() };
        let client = world.join(Direction::Recv, options);
        let (begin, joined) = (world.now, world.age());
        let party = world.party_mut(client);
        party.down.record = Some(Record::new(begin));
        party.connection.tap = Some(Tap::default());
        let sound = world.consume(client, self.microphone);
        let pictures = self.cameras.iter().map(|camera| world.consume(client, *camera)).collect();
        world.subscriber_mut(client).be_a_browser();
        self.receivers.push(Receiver { client, sound, pictures, joined, estimates: Vec::new() });
        client
    }

    pub fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.world.run(Duration::from_millis(100));
            self.world.runs.clear();
            for receiver in &mut self.receivers {
                let stats = self.world.sfu.transport_stats(self.world.transport(receiver.client));
                let estimate = stats.ok().and_then(|stats| stats.path).map(|path| path.estimate);
                let age = self.world.age() - receiver.joined;
                receiver.estimates.extend(estimate.map(|estimate| (age, estimate)));
            }
        }
    }

    /// Reports on a receiver and ends its record.
    pub fn report(&mut self, index: usize) -> LinkReport {
        let receiver = &self.receivers[index];
        let duration = self.world.age() - receiver.joined;
        let span = (receiver.joined + SETUP, self.world.age());
        let (begin, now) = (self.world.now - duration + SETUP, self.world.now);
        let view = |viewed: &Viewed| self.world.view(*viewed);
        let pictures =
            receiver.pictures.iter().map(|it| Pictures::of(&view(it).decoder, begin, now)).collect();
        let interval = self.world.track(self.microphone).track.interval();
        let sound = Sound::of(&view(&receiver.sound).packets, interval, span.0, span.1 - SETUP);
        let (switches, faults) = (self.switches(receiver), self.faults(receiver));
        let (client, under_way) = (receiver.client, self.under_way(receiver.client));
        let estimates = receiver.estimates.clone();
        let party = self.world.party_mut(client);
        let record = party.down.record.take().expect("a report was made before");
        let bits = record
            .arrived
            .iter()
            .filter(|(at, kind, _)| *at >= record.begin + WARM_UP && *kind != Kind::Other);
        let bits = bits.map(|(.., bytes)| bytes * 8).sum::<usize>() as f64;
        let same_link = record.left_behind.is_none();
        let capacity = party.down.link.capacity().between(WARM_UP, duration).filter(|_| same_link);
        LinkReport {
            name: self.row.name.to_owned(),
            duration,
            record,
            used: capacity.map(|capacity| bits / capacity),
            estimates,
            pictures,
            sound,
            switches,
            key_frame_requests: self.world.key_frame_requests(self.publisher),
            faults,
            under_way,
            baseline: None,
        }
    }

    fn switches(&self, receiver: &Receiver) -> Vec<Duration> {
        let start = self.world.now - self.world.age();
        let is_switch = |event: &Event| match event {
            Event::ConsumerLayers { consumer, .. } => receiver.pictures.iter().any(|it| it.id == *consumer),
            _ => false,
        };
        self.world.events.iter().filter(|(_, event)| is_switch(event)).map(|(at, _)| *at - start).collect()
    }

    /// What is wrong with what the SFU forwarded to a receiver.
    fn faults(&self, receiver: &Receiver) -> Vec<String> {
        let Role::Subscriber(subscriber) = &self.world.party(receiver.client).role else {
            panic!("a publisher")
        };
        let mut faults = Vec::new();
        if subscriber.strays > 0 {
            faults.push(format!("{} stray packets", subscriber.strays));
        }
        let tap = self.world.party(receiver.client).connection.tap.as_ref().expect("no tap");
        for (index, view) in tap.views.iter().enumerate() {
            if view.damaged > 0 {
                faults.push(format!("stream {index}: {} damaged packets", view.damaged));
            }
            faults
                .extend(view.playback().faults().into_iter().map(|fault| format!("stream {index}: {fault}")));
        }
        faults
    }

    fn under_way(&self, client: Client) -> usize {
        let size = |datagram: &Datagram| datagram.bytes.len();
        let party = self.world.party(client);
        let own: usize = party.down.link.under_way().map(size).sum();
        let Some(bottleneck) = party.down.bottleneck else { return own };
        let cargo = self.world.network.bottlenecks[bottleneck].link.under_way();
        let shared = cargo.filter_map(|cargo| match cargo {
            Cargo::Datagram(datagram) if datagram.to == party.connection.address => Some(size(datagram)),
            Cargo::Datagram(_) | Cargo::Segment(_) => None,
        });
        own + shared.sum::<usize>()
    }
}

/// Pictures and sound are judged from then on.
const SETUP: Duration = Duration::from_secs(2);
