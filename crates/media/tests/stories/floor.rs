//! Whose picture is the better one where the link to a receiver carries one large picture only.

use crate::world::rates::Camera;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, Produced, Viewed, World};
use std::num::NonZeroU8;
use std::time::Duration;
use switchyard_media::{Bandwidth, Direction, Event, ShardId};

/// Whether all are connected to one shard or none to the same: the home shard ranks the speakers.
const PLACES: [[u16; 3]; 3] = [[0, 0, 0], [0, 1, 2], [1, 2, 1]];

#[test]
fn the_speakers_picture_is_the_better_one_and_changes_within_two_seconds() {
    for places in PLACES {
        let mut stage = Stage::new(places);
        stage.speak(0);
        stage.world.run(SETTLED);
        assert!(stage.size(0) > stage.size(1), "{places:?}: {:?}", stage.sizes());
        for (silent, speaker) in [(0, 1), (1, 0)] {
            stage.speak(speaker);
            let [a, b] = [stage.pictures[speaker], stage.pictures[silent]];
            let waited = stage.world.run_to("the speaker's picture", |world| size(world, a) > size(world, b));
            assert!(waited <= Duration::from_secs(2), "{places:?}: {waited:?}");
            stage.world.run(Duration::from_secs(8));
            assert!(stage.size(speaker) > stage.size(silent), "{places:?}: {:?}", stage.sizes());
        }
    }
}

#[test]
fn a_cough_changes_no_picture() {
    let mut stage = Stage::new(PLACES[1]);
    stage.speak(0);
    stage.world.run(SETTLED);
    let before = stage.changes();
    for _ in 0..5 {
        stage.world.track_mut(stage.microphones[1]).level = LOUD;
        stage.world.run(Duration::from_millis(400));
        stage.world.track_mut(stage.microphones[1]).level = QUIET;
        stage.world.run(Duration::from_secs(2));
    }
    assert_eq!(stage.changes(), before);
    assert!(stage.size(0) > stage.size(1), "{:?}", stage.sizes());
}

#[test]
fn a_clients_own_priority_goes_first_until_it_is_taken_back() {
    let mut stage = Stage::new(PLACES[0]);
    stage.speak(0);
    stage.world.run(SETTLED);
    for (priority, better) in [(NonZeroU8::new(201), 1), (None, 0)] {
        let (now, silent) = (stage.world.now, stage.pictures[1]);
        stage.world.sfu.set_priority(now, silent.id, priority).unwrap();
        stage.world.run(Duration::from_secs(8));
        assert!(stage.size(better) > stage.size(1 - better), "{priority:?}: {:?}", stage.sizes());
    }
}

#[test]
fn a_speaker_who_is_gone_leaves_the_better_picture_to_the_next() {
    let mut stage = Stage::new(PLACES[1]);
    stage.speak(0);
    stage.world.run(SETTLED);
    let Produced { client, id, .. } = stage.microphones[0];
    let now = stage.world.now;
    stage.world.track_mut(stage.microphones[0]).muted = true;
    stage.world.shard_of(client).close_producer(now, id).unwrap();
    stage.speak(1);
    stage.world.run(Duration::from_secs(8));
    assert!(stage.size(1) > stage.size(0), "{:?}", stage.sizes());
}

/// Two people with camera and microphone, and one who sees both.
struct Stage {
    world: World,
    microphones: [Produced; 2],
    pictures: [Viewed; 2],
}

impl Stage {
    fn new(places: [u16; 3]) -> Self {
        let mut world = World::configured(1, 3, |config| config.bandwidth = Bandwidth::Divided);
        let [ann, bob, eve] = places.map(ShardId);
        let people = [ann, bob].map(|shard| {
            let client = join(&mut world, Direction::Send, shard);
            let [microphone, camera] = [Track::opus(), Track::camera(Camera::USUAL)];
            [world.produce(client, microphone), world.produce(client, camera)]
        });
        let eve = join(&mut world, Direction::Recv, eve);
        for [microphone, _] in people {
            world.consume(eve, microphone);
        }
        let pictures = people.map(|[_, camera]| world.consume(eve, camera));
        let subscriber = world.subscriber_mut(eve);
        subscriber.be_a_browser();
        // The client itself says what its link carries, so that the story does not depend on how that is estimated.
        subscriber.remb = Some(LINK);
        Self { world, microphones: people.map(|[microphone, _]| microphone), pictures }
    }

    /// One person speaks, the other is silent.
    fn speak(&mut self, speaker: usize) {
        for (index, microphone) in self.microphones.into_iter().enumerate() {
            self.world.track_mut(microphone).level = if index == speaker { LOUD } else { QUIET };
        }
    }

    /// The encoding of a person's newest picture.
    fn size(&self, person: usize) -> u8 {
        size(&self.world, self.pictures[person])
    }

    fn sizes(&self) -> [u8; 2] {
        [0, 1].map(|person| self.size(person))
    }

    /// How often the layers of a picture changed.
    fn changes(&self) -> usize {
        let is_change = |event: &Event| matches!(event, Event::ConsumerLayers { .. });
        self.world.events.iter().filter(|(_, event)| is_change(event)).count()
    }
}

fn join(world: &mut World, direction: Direction, shard: ShardId) -> Client {
    world.join(direction, ClientOptions { shard, ..ClientOptions::default() })
}

fn size(world: &World, viewed: Viewed) -> u8 {
    world.view(viewed).decoder.shown.last().map_or(0, |(_, stamp)| stamp.encoding)
}

/// bit/s: one picture of 500 kbit/s and one of 150 beside the sound, not two of 400.
const LINK: f32 = 900_000.0;
/// For the estimate to find what the link carries.
const SETTLED: Duration = Duration::from_secs(25);
/// In −dBov.
const LOUD: u8 = 25;
const QUIET: u8 = 90;
