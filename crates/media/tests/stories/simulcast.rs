//! Simulcast: one camera in three sizes, and each receiver gets the one it wants as one unbroken stream.

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
