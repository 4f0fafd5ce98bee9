//! Scalable video (SVC): each receiver gets the layers of one stream that it prefers.

use crate::world::dependency::Dependence;
use crate::world::playback::Picture;
use crate::world::stamp::Stamp;
use crate::world::track::Track;
use crate::world::{Viewed, World};
use std::time::Duration;
use switchyard_media::{Bandwidth, Event};

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
    use switchyard_link::path::Path;
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(track);
        for party in world.parties_mut() {
            party.set_paths(Path::losing(0.03));
        }
        for (spatial, temporal) in [(1, 2), (0, 0), (2, 2), (1, 1), (2, 2)] {
            world.prefer(seen, spatial, Some(temporal));
            world.run(Duration::from_secs(2));
        }
        for party in world.parties_mut() {
            party.set_paths(Path::GOOD);
        }
        world.run(Duration::from_secs(2));
        let playback = world.view(seen).playback();
        assert_eq!(playback.holes, [0; 0]);
        // A late packet of a layer that was left meanwhile is replaced by padding, which cuts its frame.
        let (broken, fills) = (playback.broken(), world.sfu.counters().fills_sent);
        assert!(broken.len() as u64 <= fills, "{} broken, first {:?}", broken.len(), broken[0]);
    }
}

#[test]
fn of_independent_layers_a_receiver_gets_the_one_it_prefers() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(Track { dependence: Dependence::None, ..track });
        for spatial in [2, 1, 0, 2, 0, 1] {
            world.prefer(seen, spatial, None);
            world.run(Duration::from_secs(1));
            let begin = world.age();
            world.run(Duration::from_secs(1));
            let pictures = pictures_since(&world, seen, begin);
            let only = |picture: &Picture| picture.stamps.iter().all(|stamp| stamp.spatial == spatial);
            assert!(pictures.len() > 25 && pictures.iter().all(only), "{spatial} is wanted");
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn layers_that_only_key_pictures_need_are_left_out_in_between() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, seen) = call(Track { dependence: Dependence::KeyPictures, ..track });
        for (spatial, temporal) in [(2, 2), (1, 2), (2, 0), (0, 2), (1, 1), (2, 2)] {
            world.prefer(seen, spatial, Some(temporal));
            world.run(Duration::from_secs(1));
            let begin = world.age();
            world.run(Duration::from_secs(1));
            for picture in pictures_since(&world, seen, begin) {
                let lowest = if picture.stamps[0].key { 0 } else { spatial };
                let layers: Vec<u8> = picture.stamps.iter().map(|stamp| stamp.spatial).collect();
                assert_eq!((layers.iter().min(), layers.iter().max()), (Some(&lowest), Some(&spatial)));
            }
        }
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn a_layer_that_is_no_longer_sent_is_replaced_by_the_one_below() {
    for dependence in [Dependence::All, Dependence::KeyPictures, Dependence::None] {
        for track in [Track::vp9_svc(), Track::av1_svc()] {
            let mut world = World::new(1);
            let (alice, bob) = (world.publisher(), world.subscriber());
            let camera = world.produce(alice, Track { dependence, ..track });
            let seen = world.consume(bob, camera);
            world.run(Duration::from_secs(3));
            for sending in [2, 1, 3, 1, 3] {
                let encoder = &mut world.encoding_mut(camera, 0).encoder;
                encoder.send_spatial_layers(sending);
                if sending == 3 {
                    encoder.want_key_frame();
                }
                world.run(Duration::from_secs(1));
                let begin = world.age();
                world.run(Duration::from_secs(1));
                let pictures = pictures_since(&world, seen, begin);
                let top = |picture: &Picture| picture.top_spatial() + 1 == sending;
                assert!(pictures.len() > 25 && pictures.iter().all(top), "{sending} layers, {dependence:?}");
            }
            world.view(seen).playback().assert_decodable();
            let asked = world.publisher_ref(alice).heard.key_frame_requests.len();
            assert!(asked < 12, "asked for {asked} key frames");
        }
    }
}

#[test]
fn independent_layers_survive_loss_and_switches() {
    use switchyard_link::path::Path;
    for dependence in [Dependence::KeyPictures, Dependence::None] {
        for track in [Track::vp9_svc(), Track::av1_svc()] {
            let (mut world, seen) = call(Track { dependence, ..track });
            for party in world.parties_mut() {
                party.set_paths(Path::losing(0.03));
            }
            for (spatial, temporal) in [(1, 2), (0, 0), (2, 2), (1, 1), (2, 2)] {
                world.prefer(seen, spatial, Some(temporal));
                world.run(Duration::from_secs(2));
            }
            for party in world.parties_mut() {
                party.set_paths(Path::GOOD);
            }
            world.run(Duration::from_secs(2));
            let playback = world.view(seen).playback();
            // What was lost just before a key frame is not asked for any more.
            let packets = &world.view(seen).packets;
            let key_follows = |hole: &u64| {
                let next = packets.range(hole..).find_map(|(_, packet)| packet.stamp);
                next.is_some_and(|stamp| stamp.key)
            };
            assert!(playback.holes.iter().all(key_follows), "never came: {:?}", playback.holes);
            let keys: Vec<Duration> =
                playback.pictures.iter().filter(|it| it.stamps[0].key).map(Picture::captured).collect();
            let key_came = |stamp: &Stamp| {
                keys.iter().any(|key| (stamp.captured..stamp.captured + ROUND_TRIPS).contains(key))
            };
            let broken = playback.broken();
            assert!(broken.iter().all(key_came), "{} broken, first {:?}", broken.len(), broken[0]);
        }
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

/// In which a key frame is asked for and comes, under loss.
const ROUND_TRIPS: Duration = Duration::from_millis(500);

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

#[test]
fn a_scalable_video_costs_what_is_sent_of_it_whatever_its_layers_are_built_on() {
    for track in [Track::vp9_svc(), Track::av1_svc()] {
        for dependence in [Dependence::All, Dependence::KeyPictures, Dependence::None] {
            let track = Track { dependence, ..track.clone() };
            let (whole, seen) = one_receiver(track.clone(), Bandwidth::Unlimited);
            let (divided, _) = one_receiver(track.clone(), Bandwidth::Divided);
            let last = Duration::from_secs(4);
            let sent = whole.view(seen).packets.values().filter(|packet| packet.at + last > whole.now);
            let sent = sent.map(|packet| packet.octets * 8).sum::<usize>() as f64 / last.as_secs_f64();
            let wanted = divided.events.iter().rev().find_map(|(_, event)| match event {
                Event::Bandwidth { wanted, .. } => Some(*wanted as f64),
                _ => None,
            });
            let share = wanted.unwrap() / sent;
            assert!((0.95..1.25).contains(&share), "{:?} {dependence:?}: {share}", track.codec);
        }
    }
}

fn one_receiver(track: Track, bandwidth: Bandwidth) -> (World, Viewed) {
    let mut world = World::configured(1, 1, |config| config.bandwidth = bandwidth);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, track);
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(10));
    (world, seen)
}
