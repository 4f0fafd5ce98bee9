//! One call on several SFUs: a client sees no difference between the shards of the router.

use crate::world::publisher::ENCODER_TIME;
use crate::world::track::Track;
use crate::world::{Client, HOME, Produced, Viewed, World};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use switchyard_link::path::Path;
use switchyard_media::ortc::Layers;
use switchyard_media::{Event, Input, ProducerId, RelayClass, ShardId};

#[test]
fn every_shard_gets_a_producers_packets_once_and_everybody_sees_the_same() {
    for track in [Track::vp8(), Track::opus(), Track::vp9_svc(), Track::h264(), Track::av1_svc()] {
        let mut world = World::sharded(1, 3);
        let alice = world.publisher();
        let produced = world.produce(alice, track);
        let views: Vec<Viewed> = [0, 1, 1, 1, 2, 2]
            .map(|shard| {
                let client = world.subscriber_on(shard);
                world.consume(client, produced)
            })
            .into();
        world.run(Duration::from_secs(4));
        let counts: Vec<usize> = views.iter().map(|seen| world.view(*seen).count()).collect();
        let received = counts[0];
        assert!(received > 100, "{received} packets");
        assert!(counts.iter().all(|count| count.abs_diff(received) <= 10), "{counts:?}");
        for seen in views {
            world.view(seen).playback().assert_flawless();
        }
        for shard in [1, 2].map(ShardId) {
            let relayed = world.relayed_packets(shard);
            assert!(relayed.abs_diff(received) <= 20, "{relayed} packets to {shard:?} for {received}");
        }
        assert_eq!(world.relayed_packets(HOME), 0);
    }
}

#[test]
fn a_late_joiner_on_another_shard_gets_a_key_frame_as_soon_as_on_this_one() {
    let (mut world, camera, _) = call(1, Track::vp8());
    let carol = world.subscriber_on(2);
    world.run(Duration::from_secs(1));
    let seen = world.consume(carol, camera);
    let waited = world.run_to("a picture", |world| !world.view(seen).playback().finished().is_empty());
    let interval = world.track(camera).track.interval();
    // The request to the publisher, the key frame from there and on to Carol; and the picture behind it.
    let expected = 3 * Path::GOOD.longest() + ENCODER_TIME + 2 * interval;
    assert!(waited <= expected, "waited {waited:?}");
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn key_frame_requests_of_many_shards_are_merged() {
    let (mut world, camera, _) = call(1, Track::vp8());
    let before = world.key_frame_requests(camera.client);
    let views: Vec<Viewed> = (0..20)
        .map(|joiner| {
            let client = world.subscriber_on(joiner % 3);
            let seen = world.consume(client, camera);
            world.run(Duration::from_millis(100));
            seen
        })
        .collect();
    world.run(Duration::from_secs(1));
    for seen in views {
        world.view(seen).playback().assert_flawless();
    }
    let requests = world.key_frame_requests(camera.client) - before;
    assert!((1..=8).contains(&requests), "{requests} requests for 20 joins in two seconds");
}

#[test]
fn only_layers_that_somebody_there_wants_cross_to_another_shard() {
    let (mut world, camera, seen) = call(1, Track::vp8_simulcast());
    world.run(Duration::from_secs(2));
    for spatial in [0, 2, 1, 0, 2] {
        world.prefer(seen, spatial, None);
        world.run(Duration::from_secs(1));
        let (before, arrived) = (world.relayed_packets(ShardId(1)), world.view(seen).count());
        world.run(Duration::from_secs(2));
        let crossed = world.relayed_packets(ShardId(1)) - before;
        let arrived = world.view(seen).count() - arrived;
        assert!(crossed.abs_diff(arrived) <= 10, "{crossed} crossed for {arrived} at layer {spatial}");
        assert_eq!(world.view(seen).playback().encodings().last(), Some(&spatial));
    }
    let carol = world.subscriber_on(1);
    let thumbnail = world.consume_paused(carol, camera, Some(Layers { spatial: 0, temporal: None }));
    let now = world.now;
    world.shard_of(carol).resume_consumer(now, thumbnail.id).unwrap();
    world.run(Duration::from_secs(2));
    for (viewed, spatial) in [(seen, 2), (thumbnail, 0)] {
        world.view(viewed).playback().assert_flawless();
        assert_eq!(world.view(viewed).playback().encodings().last(), Some(&spatial));
    }
}

#[test]
fn nothing_crosses_while_all_consumers_there_pause_and_what_comes_after_is_whole() {
    for track in [Track::vp8(), Track::opus(), Track::vp8_simulcast()] {
        let (mut world, _, seen) = call(1, track);
        for _ in 0..3 {
            let now = world.now;
            world.shard_of(seen.client).pause_consumer(now, seen.id).unwrap();
            world.run(Duration::from_millis(200));
            let before = world.relayed_packets(ShardId(1));
            world.run(Duration::from_secs(2));
            assert_eq!(world.relayed_packets(ShardId(1)), before);
            let (now, shown) = (world.now, world.view(seen).count());
            world.shard_of(seen.client).resume_consumer(now, seen.id).unwrap();
            world.run(Duration::from_secs(1));
            assert!(world.view(seen).count() > shown + 25);
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn a_pause_of_the_producer_holds_on_every_shard() {
    let (mut world, camera, seen) = call(1, Track::vp8());
    for _ in 0..3 {
        world.sfu.pause_producer(world.now, camera.id).unwrap();
        world.run(Duration::from_millis(200));
        let shown = world.view(seen).count();
        world.run(Duration::from_secs(2));
        assert_eq!(world.view(seen).count(), shown);
        world.sfu.resume_producer(world.now, camera.id).unwrap();
        world.run(Duration::from_secs(1));
        assert!(world.view(seen).count() > shown + 25);
    }
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_layer_that_is_switched_off_is_replaced_on_every_shard() {
    let (mut world, camera, seen) = call(1, Track::vp8_simulcast());
    world.run(Duration::from_secs(3));
    world.encoding_mut(camera, 2).active = false;
    world.run_to("the layer below", |world| world.view(seen).playback().encodings().last() == Some(&1));
    world.encoding_mut(camera, 2).active = true;
    world.run_to("the layer back", |world| world.view(seen).playback().encodings().last() == Some(&2));
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn what_gets_lost_between_shards_is_asked_for_again() {
    for seed in 1..5 {
        let (mut world, _, seen) = call(seed, Track::vp8());
        world.run(Duration::from_secs(1));
        let mut chance = StdRng::seed_from_u64(seed);
        world.filter_relays(move |relay| relay.class() != RelayClass::Video || !chance.random_bool(0.1));
        world.run(Duration::from_secs(10));
        world.filter_relays(|_| true);
        world.run(Duration::from_secs(1));
        let playback = world.view(seen).playback();
        assert_eq!(playback.holes, [0; 0], "seed {seed}");
        assert_eq!(playback.broken(), [], "seed {seed}");
        assert!(world.sfu.counters().relayed_again > 20, "{:?}", world.sfu.counters());
    }
}

#[test]
fn loss_on_every_way_is_repaired_across_shards() {
    for seed in 1..5 {
        let (mut world, _, seen) = call(seed, Track::vp8_simulcast());
        world.run(Duration::from_secs(2));
        for party in world.parties_mut() {
            party.set_paths(Path::losing(0.05));
        }
        for spatial in [0, 2, 1, 2] {
            world.prefer(seen, spatial, None);
            world.run(Duration::from_secs(3));
        }
        for party in world.parties_mut() {
            party.set_paths(Path::GOOD);
        }
        world.run(Duration::from_secs(2));
        let playback = world.view(seen).playback();
        assert_eq!(playback.holes, [0; 0], "seed {seed}");
        assert_eq!(playback.broken(), [], "seed {seed}");
        playback.assert_times_run_on();
    }
}

#[test]
fn lips_move_with_the_voice_on_another_shard() {
    let mut world = World::sharded(1, 2);
    let (alice, bob) = (world.publisher(), world.subscriber_on(1));
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8_simulcast()));
    let (heard, seen) = (world.consume(bob, mic), world.consume(bob, camera));
    for spatial in [2, 0, 1, 2] {
        world.prefer(seen, spatial, None);
        world.run(Duration::from_secs(4));
        let offsets = [heard, seen].map(|viewed| world.view(viewed).clock_offset());
        let apart = (offsets[0] - offsets[1]).abs();
        assert!(apart < 0.002, "{:.1} ms apart after layer {spatial}", apart * 1_000.0);
    }
}

#[test]
fn when_a_producer_goes_its_consumers_on_every_shard_go_with_it() {
    let (mut world, camera, seen) = call(1, Track::vp8());
    world.close(camera.client);
    world.run(Duration::from_millis(100));
    let closed = Event::ConsumerClosed { consumer: seen.id, producer: camera.id };
    assert_eq!(world.events.iter().filter(|(_, event)| *event == closed).count(), 1);
    for shard in world.shards() {
        let population = world.shard(shard).population();
        assert_eq!((population.producers, population.consumers, population.stored_bytes), (0, 0, 0));
    }
    assert_eq!(world.counters(ShardId(1)).relayed_unknown, 0);
}

#[test]
fn a_producer_nobody_consumes_on_a_shard_any_more_is_let_go_there_and_comes_back() {
    let (mut world, camera, seen) = call(1, Track::vp8());
    let now = world.now;
    world.shard_of(seen.client).close_consumer(now, seen.id).unwrap();
    world.run(Duration::from_millis(100));
    let before = world.relayed_packets(ShardId(1));
    world.run(Duration::from_secs(1));
    assert_eq!(world.relayed_packets(ShardId(1)), before);
    assert_eq!(world.shard(ShardId(1)).population().stored_bytes, 0);
    let seen = world.consume(seen.client, camera);
    world.run(Duration::from_secs(2));
    world.view(seen).playback().assert_flawless();
    assert!(world.view(seen).count() > 60);
}

#[test]
fn a_producer_that_goes_while_another_shard_begins_to_consume_it_ends_there_too() {
    let mut world = World::sharded(1, 2);
    let (alice, bob) = (world.publisher(), world.subscriber_on(1));
    let camera = world.produce(alice, Track::vp8());
    world.run(Duration::from_secs(1));
    let seen = world.consume_described(bob, camera, |world| world.close(alice));
    world.run(Duration::from_millis(100));
    let closed = Event::ConsumerClosed { consumer: seen.id, producer: camera.id };
    assert!(world.has_event(|event| *event == closed));
    assert_eq!(world.shard(ShardId(1)).population().consumers, 0);
}

#[test]
fn the_home_shard_ranks_the_speakers_of_all() {
    let mut world = World::sharded(1, 3);
    let mics = [0, 1, 2].map(|shard| {
        let client = world.publisher_on(shard);
        world.produce(client, Track::opus())
    });
    world.run(Duration::from_secs(2));
    for speaker in [1, 2, 0, 1] {
        for (index, mic) in mics.iter().enumerate() {
            world.track_mut(*mic).level = if index == speaker { 25 } else { 90 };
        }
        world.run(Duration::from_secs(3));
        assert_eq!(speakers(&world).last(), Some(&Some(mics[speaker].id)));
    }
    assert_eq!(speakers(&world).len(), 4, "the floor changed more often than speakers did");
    let (now, speaker) = (world.now, mics[1]);
    world.track_mut(speaker).muted = true;
    world.shard_of(speaker.client).close_producer(now, speaker.id).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(speakers(&world).last(), Some(&None));
}

#[test]
fn messages_that_come_too_late_change_nothing() {
    let (mut world, camera, seen) = call(1, Track::vp8());
    let told: Vec<_> = world.relayed.iter().map(|(_, relay)| relay.clone()).take(200).collect();
    world.close(camera.client);
    world.run(Duration::from_millis(100));
    let now = world.now;
    for relay in told {
        for shard in [HOME, ShardId(1)] {
            let input = Input::Relay { from: ShardId(2), relay: relay.clone() };
            world.shard_mut(shard).handle_input(input, now);
        }
    }
    world.run(Duration::from_secs(1));
    assert!(world.counters(ShardId(1)).relayed_unknown > 0);
    let camera = {
        let alice = world.publisher();
        world.produce(alice, Track::vp8())
    };
    let seen = world.consume(seen.client, camera);
    world.run(Duration::from_secs(2));
    world.view(seen).playback().assert_flawless();
}

/// A publisher on the first of three shards, and a subscriber to its track on the second.
fn call(seed: u64, track: Track) -> (World, Produced, Viewed) {
    let mut world = World::sharded(seed, 3);
    let (alice, bob): (Client, Client) = (world.publisher(), world.subscriber_on(1));
    let produced = world.produce(alice, track);
    let seen = world.consume(bob, produced);
    world.run(Duration::from_secs(1));
    (world, produced, seen)
}

fn speakers(world: &World) -> Vec<Option<ProducerId>> {
    let speaker = |event: &Event| match event {
        Event::ActiveSpeaker { producer } => Some(*producer),
        _ => None,
    };
    world.events.iter().filter_map(|(_, event)| speaker(event)).collect()
}
