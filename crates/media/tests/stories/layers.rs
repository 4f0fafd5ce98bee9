//! Scalable video (SVC): each receiver gets the layers of one stream that it prefers.

use crate::world::playback::Picture;
use crate::world::track::Track;
use crate::world::{Viewed, World};
use std::time::Duration;

#[test]
fn all_layers_reach_a_receiver_that_wants_all() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (world, seen) = call(track);
        let playback = world.view(seen).playback();
        playback.assert_flawless();
        assert!(playback.finished().iter().all(|picture| picture.top_spatial() == 2));
        assert!(playback.pictures.len() > 80);
    }
}

#[test]
fn upper_spatial_layers_are_dropped_without_a_gap_and_the_marker_is_on_the_top_one_left() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(track);
        for spatial in [1, 0, 2, 0, 1, 2] {
            world.prefer(seen, spatial, None);
            world.run(Duration::from_millis(500));
            let begin = world.age();
            world.run(Duration::from_secs(1));
            let tops =
                pictures_since(&world, seen, begin).iter().map(Picture::top_spatial).collect::<Vec<_>>();
            assert!(
                tops.len() > 25 && tops.iter().all(|top| *top == spatial),
                "wanted {spatial}, got {tops:?}"
            );
        }
        let playback = world.view(seen).playback();
        playback.assert_flawless();
        assert_eq!(world.view(seen).repaired, 0);
    }
}

#[test]
fn upper_temporal_layers_are_dropped_without_a_gap() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(track);
        for (temporal, per_second) in [(1, 14..=16), (0, 7..=8), (2, 29..=31), (0, 7..=8), (1, 14..=16)] {
            world.prefer(seen, 2, Some(temporal));
            world.run(Duration::from_millis(500));
            let begin = world.age();
            world.run(Duration::from_secs(1));
            let pictures = pictures_since(&world, seen, begin).len() + 1;
            assert!(per_second.contains(&pictures), "{pictures} pictures a second with layer {temporal}");
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn two_receivers_of_one_stream_get_different_layers() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let mut world = World::new(1);
        let (alice, bob, carol) = (world.publisher(), world.subscriber(), world.subscriber());
        let camera = world.produce(alice, track);
        let (low, high) = (world.consume(bob, camera), world.consume(carol, camera));
        world.prefer(low, 0, Some(0));
        world.run(Duration::from_secs(5));
        for seen in [low, high] {
            world.view(seen).playback().assert_flawless();
        }
        assert!(world.view(low).count() * 10 < world.view(high).count());
    }
}

#[test]
fn layers_are_dropped_under_loss_too() {
    use crate::world::network::Path;
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(track);
        for party in world.parties_mut() {
            (party.up.path, party.down.path) = (Path::losing(0.03), Path::losing(0.03));
        }
        for (spatial, temporal) in [(1, 2), (0, 0), (2, 2), (1, 1), (2, 2)] {
            world.prefer(seen, spatial, Some(temporal));
            world.run(Duration::from_secs(2));
        }
        for party in world.parties_mut() {
            (party.up.path, party.down.path) = (Path::GOOD, Path::GOOD);
        }
        world.run(Duration::from_secs(2));
        let playback = world.view(seen).playback();
        assert_eq!(playback.holes, [0; 0]);
        let broken = playback.broken();
        assert!(broken.is_empty(), "{} broken, first {:?}", broken.len(), broken[0]);
    }
}

#[test]
fn h264_is_begun_at_its_parameter_sets() {
    let (mut world, seen) = call(Track::h264());
    world.run(Duration::from_secs(2));
    world.view(seen).playback().assert_flawless();
    let first = world.view(seen).playback().pictures[0].stamps[0];
    assert!(first.key && first.packet == 0);
}

#[test]
fn a_simulcast_of_h264_switches_at_parameter_sets() {
    let (mut world, seen) = call(Track { encodings: 3, ..Track::h264() });
    for spatial in [0, 2, 1, 2] {
        world.prefer(seen, spatial, None);
        world.run(Duration::from_secs(1));
        assert_eq!(world.view(seen).playback().encodings().last(), Some(&spatial));
    }
    world.view(seen).playback().assert_flawless();
}

fn call(track: Track) -> (World, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, track);
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(3));
    (world, seen)
}

/// Complete pictures captured since `begin`.
fn pictures_since(world: &World, seen: Viewed, begin: Duration) -> Vec<Picture> {
    let playback = world.view(seen).playback();
    playback.finished().iter().filter(|picture| picture.captured() > begin).cloned().collect()
}
