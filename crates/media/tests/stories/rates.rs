//! What videos are taken to cost, before and after their rates were measured.

use crate::world::rates::Camera;
use crate::world::track::Track;
use crate::world::{Client, Produced, Viewed, World};
use std::sync::Arc;
use std::time::Duration;
use switchyard_media::allocation::VideoKind;
use switchyard_media::ortc::router_rtp_capabilities;
use switchyard_media::{Bandwidth, ConsumeOptions, ConsumerId, Event};

#[test]
fn a_video_begins_with_its_lowest_encoding_whether_its_rates_are_known_or_not() {
    for declares in [Some(LADDER), None] {
        let mut world = world(1);
        let (alice, bob) = (world.publisher(), world.subscriber());
        let camera = world.produce(alice, Track { declares, ..Track::camera(Camera::USUAL) });
        let seen = world.consume(bob, camera);
        world.run_to("a picture", |world| world.view(seen).playback().finished().len() > 3);
        assert_eq!(world.view(seen).playback().encodings().last(), Some(&0), "{declares:?}");
    }
}

#[test]
fn a_still_screen_costs_what_its_sender_declares() {
    for (declares, expected) in [(Some(SCREEN), 600_000..630_000), (None, 0..30_000)] {
        let mut world = world(1);
        let (alice, bob) = (world.publisher(), world.subscriber());
        let screen = world.produce(alice, Track { declares, ..Track::vp8() });
        world.track_mut(screen).still = true;
        watch(&mut world, bob, screen);
        world.run(Duration::from_secs(15));
        assert!(expected.contains(&wanted(&world, bob)), "{declares:?}: {}", wanted(&world, bob));
    }
}

#[test]
fn a_screen_costs_its_average_over_five_seconds_on_every_shard() {
    let mut world = world(2);
    let alice = world.publisher();
    let camera = Track::camera(Camera { scale: 4.0, ..Camera::USUAL });
    let screen = world.produce(alice, Track { encodings: 1, ..camera });
    let viewers = [0, 1].map(|shard| {
        let viewer = world.subscriber_on(shard);
        watch(&mut world, viewer, screen);
        viewer
    });
    world.run(Duration::from_secs(6));
    // It sends half of the time. The rate of the last second is all or nothing of 600 kbit/s.
    for _ in 0..10 {
        for muted in [true, false] {
            world.track_mut(screen).muted = muted;
            world.run(Duration::from_secs(1));
        }
        if world.age() > Duration::from_secs(12) {
            let wanted = viewers.map(|viewer| wanted(&world, viewer));
            assert!(wanted.iter().all(|wanted| (220_000..450_000).contains(wanted)), "{wanted:?}");
        }
    }
}

/// It costs five times what the estimate begins with, and there is nothing smaller to fall back to.
#[test]
fn a_video_without_layers_is_not_paused_while_the_path_carries_it() {
    for (seed, rtx) in (1..5).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut world = World::configured(seed, 1, |config| config.bandwidth = Bandwidth::Divided);
        let (alice, bob) = (world.publisher(), world.subscriber());
        let camera = Track::camera(Camera { scale: 10.0, ..Camera::USUAL });
        let camera = world.produce(alice, Track { encodings: 1, layers: (1, 1), rtx, ..camera });
        let seen = world.consume(bob, camera);
        world.subscriber_mut(bob).be_a_browser();
        world.run(Duration::from_secs(15));
        let pictures = world.view(seen).playback().finished().len();
        assert!(pictures > 430, "seed {seed}: {pictures} pictures in 15 s");
        assert!(!world.has_event(|event| matches!(event, Event::ConsumerLayers { layers: None, .. })));
    }
}

#[test]
fn what_cannot_be_read_of_declared_rates_is_counted() {
    let mut world = world(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let screen = world.produce(alice, Track { declares: Some(&[0xff, 0xff]), ..Track::vp8() });
    let seen = world.consume(bob, screen);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.counters().layers_allocation_malformed > 0);
    world.view(seen).playback().assert_flawless();
}

fn world(shards: u16) -> World {
    World::configured(1, shards, |config| config.bandwidth = Bandwidth::Divided)
}

/// Consumes a screen.
fn watch(world: &mut World, viewer: Client, screen: Produced) -> Viewed {
    let id = ConsumerId(world.uuid());
    let options = ConsumeOptions {
        producer: screen.id,
        rtp_capabilities: Arc::new(router_rtp_capabilities().clone().try_into().unwrap()),
        paused: false,
        preferred_layers: None,
        video: VideoKind::Screen,
    };
    world.consume_with(viewer, screen, id, &options)
}

/// What a client's videos would take if there were room for all, in bit/s.
fn wanted(world: &World, client: Client) -> u64 {
    let of = |event: &Event| match event {
        Event::Bandwidth { transport, wanted, .. } if *transport == world.transport(client) => Some(*wanted),
        _ => None,
    };
    world.events.iter().rev().find_map(|(_, event)| of(event)).unwrap_or(0)
}

/// Three streams of three temporal layers each: 90, 120, 150; 300, 400, 500; 900, 1200, 1500 kbit/s.
const LADDER: &[u8] =
    &[0x21, 0xa8, 0, 90, 120, 0x96, 1, 0xac, 2, 0x90, 3, 0xf4, 3, 0x84, 7, 0xb0, 9, 0xdc, 11];
/// One stream of one layer: 600 kbit/s.
const SCREEN: &[u8] = &[0x01, 0, 0xd8, 4];
