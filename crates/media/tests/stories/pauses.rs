//! Consumers and producers are paused and resumed.

use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;

#[test]
fn a_paused_consumer_gets_nothing_and_goes_on_with_a_key_frame() {
    for track in [Track::vp8(), Track::opus(), Track::vp8_simulcast(), Track::vp9_svc()] {
        let (mut world, _, seen) = call(track);
        for _ in 0..3 {
            world.sfu.pause_consumer(world.now, seen.id).unwrap();
            assert_silent_for(&mut world, seen, Duration::from_secs(2));
            world.sfu.resume_consumer(world.now, seen.id).unwrap();
            assert_back_soon(&mut world, seen);
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn a_paused_producer_is_forwarded_to_nobody_and_goes_on_with_a_key_frame() {
    for track in [Track::vp8(), Track::opus(), Track::vp8_simulcast(), Track::vp9_svc()] {
        let (mut world, produced, seen) = call(track);
        for _ in 0..3 {
            world.sfu.pause_producer(world.now, produced.id).unwrap();
            assert_silent_for(&mut world, seen, Duration::from_secs(2));
            world.sfu.resume_producer(world.now, produced.id).unwrap();
            assert_back_soon(&mut world, seen);
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn muting_by_sending_nothing_is_no_restart() {
    for track in [Track::vp8(), Track::opus()] {
        let (mut world, produced, seen) = call(track);
        world.track_mut(produced).muted = true;
        world.run(Duration::from_secs(60));
        world.track_mut(produced).muted = false;
        world.run(Duration::from_secs(3));
        world.view(seen).playback().assert_flawless();
        assert_eq!(world.sfu.counters().stream_restarts, 0);
    }
}

#[test]
fn pausing_twice_or_resuming_what_flows_changes_nothing() {
    let (mut world, produced, seen) = call(Track::vp8());
    let requests = world.key_frame_requests(produced.client);
    world.sfu.resume_consumer(world.now, seen.id).unwrap();
    world.run(Duration::from_secs(1));
    assert_eq!(world.key_frame_requests(produced.client), requests);
    world.sfu.pause_consumer(world.now, seen.id).unwrap();
    world.sfu.pause_consumer(world.now, seen.id).unwrap();
    world.sfu.resume_consumer(world.now, seen.id).unwrap();
    assert_back_soon(&mut world, seen);
    world.view(seen).playback().assert_flawless();
}

fn call(track: Track) -> (World, Produced, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let produced = world.produce(alice, track);
    let seen = world.consume(bob, produced);
    world.run(Duration::from_secs(3));
    assert!(world.view(seen).count() > 60);
    (world, produced, seen)
}

fn assert_silent_for(world: &mut World, seen: Viewed, duration: Duration) {
    // Packets already sent arrive.
    world.run(Duration::from_millis(50));
    let before = world.view(seen).count();
    world.run(duration);
    assert_eq!(world.view(seen).count(), before);
}

fn assert_back_soon(world: &mut World, seen: Viewed) {
    let before = world.view(seen).count();
    let waited = world.run_to("going on", |world| world.view(seen).count() > before);
    assert!(waited < Duration::from_millis(150), "waited {waited:?}");
    world.run(Duration::from_secs(2));
}
