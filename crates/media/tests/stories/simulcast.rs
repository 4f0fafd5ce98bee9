//! Simulcast: one camera in three sizes, and each receiver gets the one it wants as one unbroken stream.

use crate::world::rates::Camera;
use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;
use switchyard_media::Event;
use switchyard_media::ortc::Layers;

#[test]
fn the_highest_layer_comes_unless_another_is_preferred() {
    let (mut world, _, seen) = call(1);
    world.run(Duration::from_secs(3));
    let playback = world.view(seen).playback();
    playback.assert_flawless();
    assert_eq!(playback.encodings().last(), Some(&2));
}

#[test]
fn switching_down_and_up_again_runs_on_in_every_number() {
    for seed in 1..6 {
        let (mut world, _, seen) = call(seed);
        world.run(Duration::from_secs(3));
        for spatial in [0, 2, 1, 0, 1, 2, 0, 2] {
            world.prefer(seen, spatial, None);
            world.run(Duration::from_millis(900));
            let playback = world.view(seen).playback();
            assert_eq!(playback.encodings().last(), Some(&spatial), "seed {seed}");
        }
        let playback = world.view(seen).playback();
        playback.assert_flawless();
        assert!(playback.encodings().ends_with(&[2, 0, 2, 1, 0, 1, 2, 0, 2]));
        assert_eq!(world.view(seen).repaired, 0, "nothing was lost");
    }
}

#[test]
fn a_switch_takes_one_round_trip_and_encoder_time() {
    let (mut world, _, seen) = call(1);
    world.run(Duration::from_secs(3));
    for spatial in [0, 1, 2] {
        world.prefer(seen, spatial, None);
        let shown = |world: &World| world.view(seen).playback().encodings().last() == Some(&spatial);
        let waited = world.run_to("the switch", shown);
        assert!(waited < Duration::from_millis(110), "waited {waited:?} for layer {spatial}");
        world.run(Duration::from_millis(500));
    }
}

#[test]
fn lower_frame_rates_leave_no_gaps_in_numbers_or_ids() {
    let (mut world, _, seen) = call(1);
    world.run(Duration::from_secs(2));
    for (temporal, per_second) in [(0, 7..=8), (1, 14..=16), (2, 29..=31), (0, 7..=8), (2, 29..=31)] {
        world.prefer(seen, 2, Some(temporal));
        world.run(Duration::from_millis(500));
        let before = world.view(seen).playback().pictures.len();
        world.run(Duration::from_secs(2));
        let pictures = world.view(seen).playback().pictures.len() - before;
        assert!(per_second.contains(&(pictures / 2)), "{pictures} pictures in two seconds at {temporal}");
    }
    world.view(seen).playback().assert_flawless();
}

#[test]
fn each_receiver_gets_its_own_layer() {
    let (mut world, camera, seen) = call(1);
    let views: Vec<Viewed> = (0..3)
        .map(|spatial| {
            let client = world.subscriber();
            let viewed = world.consume_paused(client, camera, Some(Layers { spatial, temporal: None }));
            world.sfu.resume_consumer(world.now, viewed.id).unwrap();
            viewed
        })
        .collect();
    world.run(Duration::from_secs(5));
    for (spatial, viewed) in (0..).zip(views) {
        let playback = world.view(viewed).playback();
        playback.assert_flawless();
        assert_eq!(playback.encodings().last(), Some(&spatial));
    }
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_layer_that_is_switched_off_is_replaced_by_the_next_lower_one_and_comes_back() {
    let (mut world, camera, seen) = call(1);
    world.run(Duration::from_secs(3));
    world.encoding_mut(camera, 2).active = false;
    let below = |world: &World| world.view(seen).playback().encodings().last() == Some(&1);
    let waited = world.run_to("the layer below", below);
    assert!(waited < Duration::from_secs(2), "waited {waited:?}");
    world.run(Duration::from_secs(3));
    world.encoding_mut(camera, 2).active = true;
    world.encoding_mut(camera, 2).encoder.want_key_frame();
    let back = |world: &World| world.view(seen).playback().encodings().last() == Some(&2);
    let waited = world.run_to("the layer again", back);
    assert!(waited < Duration::from_millis(600), "waited {waited:?}");
    world.run(Duration::from_secs(2));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn only_the_lowest_layer_being_sent_is_enough_to_be_seen() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    for upper in [1, 2] {
        world.encoding_mut(camera, upper).active = false;
    }
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(3));
    world.view(seen).playback().assert_flawless();
    assert_eq!(world.view(seen).playback().encodings(), [0]);
}

#[test]
fn the_owner_is_told_which_layers_are_shown() {
    let (mut world, _, seen) = call(1);
    world.run(Duration::from_secs(3));
    world.prefer(seen, 0, Some(0));
    world.run(Duration::from_secs(3));
    let layers: Vec<_> = world
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::ConsumerLayers { consumer, layers } if *consumer == seen.id => Some(*layers),
            _ => None,
        })
        .collect();
    assert_eq!(layers.last(), Some(&Some(Layers { spatial: 0, temporal: Some(0) })), "{layers:?}");
    assert!(layers.contains(&Some(Layers { spatial: 2, temporal: Some(2) })), "{layers:?}");
}

fn call(seed: u64) -> (World, Produced, Viewed) {
    let mut world = World::new(seed);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    let seen = world.consume(bob, camera);
    (world, camera, seen)
}

/// Browsers' encoders refresh all encodings when they are asked for one.
#[test]
fn consumers_that_wait_for_different_encodings_cost_one_request_where_it_refreshes_all() {
    let mut trio = Trio::new();
    trio.learn();
    for _ in 0..3 {
        trio.swap();
        let before = trio.world.key_frame_requests(trio.camera.client);
        let waited = trio.wait();
        assert!(waited < Duration::from_millis(250), "waited {waited:?}");
        assert_eq!(trio.world.key_frame_requests(trio.camera.client) - before, 1);
        trio.world.run(Duration::from_secs(1));
    }
}

#[test]
fn before_it_was_seen_that_one_request_refreshes_all_each_encoding_is_asked_for() {
    let mut trio = Trio::new();
    trio.world.run(Duration::from_secs(1));
    trio.swap();
    let before = trio.world.key_frame_requests(trio.camera.client);
    trio.wait();
    assert_eq!(trio.world.key_frame_requests(trio.camera.client) - before, 2);
}

#[test]
fn an_encoding_that_is_not_refreshed_with_the_others_is_asked_for_at_once() {
    let mut trio = Trio::new();
    trio.learn();
    // The encoder refreshes only what it is asked for.
    trio.world.track_mut(trio.camera).track.camera = None;
    for expected in [Duration::from_millis(500), Duration::from_millis(150)] {
        trio.swap();
        let before = trio.world.key_frame_requests(trio.camera.client);
        let waited = trio.wait();
        assert!(waited < expected, "waited {waited:?}");
        assert_eq!(trio.world.key_frame_requests(trio.camera.client) - before, 2);
        trio.world.run(Duration::from_secs(1));
    }
}

#[test]
fn a_lost_request_is_repeated_for_all_who_wait() {
    let mut trio = Trio::new();
    trio.learn();
    trio.world.filter(trio.camera.client, false, |_| false);
    trio.swap();
    trio.world.run(Duration::from_millis(250));
    trio.world.filter(trio.camera.client, false, |_| true);
    let before = trio.world.key_frame_requests(trio.camera.client);
    let waited = trio.wait();
    assert!(waited < Duration::from_millis(300), "waited {waited:?}");
    assert_eq!(trio.world.key_frame_requests(trio.camera.client) - before, 1);
}

/// A browser's camera, and two who see it in sizes that they change.
struct Trio {
    world: World,
    camera: Produced,
    seen: [Viewed; 2],
    wants: [u8; 2],
}

impl Trio {
    fn new() -> Self {
        let mut world = World::new(1);
        let client = world.publisher();
        let camera = world.produce(client, Track::camera(Camera::USUAL));
        let seen = [0, 1].map(|_| {
            let subscriber = world.subscriber();
            world.consume(subscriber, camera)
        });
        let mut trio = Self { world, camera, seen, wants: [2, 2] };
        trio.world.run(Duration::from_secs(3));
        trio.want([0, 2]);
        trio.wait();
        trio
    }

    /// One switches alone, twice: what is asked for one encoding refreshes all.
    fn learn(&mut self) {
        for wants in [[1, 2], [0, 2], [1, 2], [0, 2]] {
            self.world.run(Duration::from_secs(1));
            self.want(wants);
            self.wait();
        }
        self.world.run(Duration::from_secs(1));
    }

    fn swap(&mut self) {
        let [a, b] = self.wants;
        self.want([b, a]);
    }

    fn want(&mut self, wants: [u8; 2]) {
        self.wants = wants;
        for (seen, spatial) in self.seen.into_iter().zip(wants) {
            self.world.prefer(seen, spatial, None);
        }
    }

    /// Runs until both see what they want, and returns how long that took.
    fn wait(&mut self) -> Duration {
        let pairs = [0, 1].map(|index| (self.seen[index], self.wants[index]));
        let sees = |world: &World, (seen, spatial): (Viewed, u8)| {
            world.view(seen).playback().encodings().last() == Some(&spatial)
        };
        self.world.run_to("both sizes", |world| pairs.iter().all(|pair| sees(world, *pair)))
    }
}
