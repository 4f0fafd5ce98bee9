//! Publishers without transport-wide feedback are told what their path carries.

use crate::world::rates::Camera;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, World};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use switchyard_link::path::{Loss, Path, Queue, Rate, Spread};
use switchyard_media::Direction;

#[test]
fn on_a_narrow_uplink_it_settles_below_what_the_link_carries() {
    for abs_send_time in [true, false] {
        let mut sender = Sender::new(NARROW, abs_send_time);
        sender.run(10);
        let settled = sender.run(50);
        let share = settled.rate / NARROW_RATE as f64;
        assert!((0.6..=1.05).contains(&share), "{abs_send_time}: {settled:?} {:?}", sender.told());
        assert!(settled.queue_p95 < Duration::from_millis(300), "{abs_send_time}: {settled:?}");
        assert_eq!(sender.world.publisher_ref(sender.client).heard.transport_feedback, 0);
    }
}

#[test]
fn on_a_fast_uplink_it_reaches_the_highest_rate_that_is_allowed() {
    for abs_send_time in [true, false] {
        let mut sender = Sender::new(Path::GOOD, abs_send_time);
        sender.run(1);
        assert!(
            sender.told().iter().all(|told| (50_000.0..1_000_000.0).contains(told)),
            "{:?}",
            sender.told()
        );
        sender.run(29);
        let told = sender.told();
        assert!(told.last().is_some_and(|told| (4_950_000.0..=5_000_000.0).contains(told)), "{told:?}");
    }
}

#[test]
fn a_link_that_becomes_narrow_is_noticed_within_two_seconds() {
    let wide = Path { rate: Rate::Constant(4 * NARROW_RATE), ..NARROW };
    let mut sender = Sender::new(wide, true);
    sender.run(20);
    assert!(sender.told().last().is_some_and(|told| *told > 2.0 * NARROW_RATE as f32), "{:?}", sender.told());
    sender.world.party_mut(sender.client).up.set_path(NARROW);
    sender.run(2);
    assert!(
        sender.told().last().is_some_and(|told| *told < 1.05 * NARROW_RATE as f32),
        "{:?}",
        sender.told()
    );
}

#[test]
fn heavy_loss_lowers_the_rate_but_leaves_what_such_a_path_is_good_for() {
    let mut sender = Sender::new(Path { loss: Loss::Random(0.2), ..Path::GOOD }, true);
    sender.run(10);
    sender.run(30);
    let late = &sender.told()[sender.told().len() / 2..];
    assert!(late.iter().all(|told| (350_000.0..2_000_000.0).contains(told)), "{late:?}");
}

/// A publisher that sends as much as it is told to, up to 6 Mbit/s, over a link.
struct Sender {
    world: World,
    client: Client,
    sent: Rc<Cell<usize>>,
}

#[derive(Debug)]
struct Settled {
    /// bit/s that were sent.
    rate: f64,
    queue_p95: Duration,
}

impl Sender {
    fn new(up: Path, abs_send_time: bool) -> Self {
        let mut world = World::new(1);
        let client = world.join(Direction::Send, ClientOptions { up, ..ClientOptions::default() });
        let camera = Track::camera(Camera { scale: 40.0, ..Camera::USUAL });
        let tracks = [Track::opus(), Track { encodings: 1, ..camera }];
        let receiver = world.subscriber();
        for track in tracks {
            let produced = world.produce(client, Track { transport_cc: false, abs_send_time, ..track });
            world.consume(receiver, produced);
        }
        world.publisher_mut(client).obeys_caps = true;
        let sent = Rc::new(Cell::new(0));
        let counted = sent.clone();
        world.filter(client, true, move |datagram| {
            counted.set(counted.get() + datagram.len());
            true
        });
        Self { world, client, sent }
    }

    fn run(&mut self, seconds: u64) -> Settled {
        let before = self.sent.get();
        let mut waits = Vec::new();
        for _ in 0..20 * seconds {
            self.world.run(Duration::from_millis(50));
            let link = &self.world.party(self.client).up.link;
            let bytes: usize = link.under_way().map(|datagram| datagram.bytes.len()).sum();
            let under_way = Duration::from_secs_f64(bytes as f64 * 8.0 / NARROW_RATE as f64);
            waits.push(under_way.saturating_sub(NARROW.delay));
        }
        self.world.runs.clear();
        waits.sort_unstable();
        let rate = (self.sent.get() - before) as f64 * 8.0 / seconds as f64;
        Settled { rate, queue_p95: waits[waits.len() * 95 / 100] }
    }

    /// What the publisher was told, in bit/s.
    fn told(&self) -> &[f32] {
        &self.world.publisher_ref(self.client).heard.bitrate_caps
    }
}

const NARROW_RATE: u64 = 1_000_000;
const NARROW: Path = Path {
    rate: Rate::Constant(NARROW_RATE),
    queue: Queue::Time(Duration::from_millis(500)),
    delay: Duration::from_millis(25),
    jitter: Spread::None,
    ..Path::GOOD
};
