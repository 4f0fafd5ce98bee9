//! An overloaded worker leaves out video, never audio.

use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;
use switchyard_media::ortc::Layers;
use switchyard_media::{Event, ShardId, Shed};

#[test]
fn video_that_is_shed_stops_and_comes_back_whole_while_sound_goes_on() {
    for track in [Track::vp8(), Track::vp8_simulcast(), Track::vp9_svc(), Track::h264()] {
        let (mut world, call) = call(1, track);
        for _ in 0..3 {
            shed(&mut world, Shed::ALL);
            assert_eq!(world.sfu.population().consumers_shed, 1);
            let (pictures, sounds) = counts_after(&mut world, &call, Duration::from_secs(2));
            assert_eq!(pictures, 0);
            assert!(sounds >= 99, "{sounds} packets of sound in two seconds");
            shed(&mut world, Shed::NONE);
            assert_eq!(world.sfu.population().consumers_shed, 0);
            let before = world.view(call.seen).count();
            let waited = world.run_to("going on", |world| world.view(call.seen).count() > before);
            assert!(waited < Duration::from_millis(150), "waited {waited:?}");
            world.run(Duration::from_secs(1));
        }
        world.view(call.seen).playback().assert_flawless();
        world.view(call.heard).playback().assert_flawless();
        assert_eq!(world.sfu.counters().video_shed, 3);
    }
}

#[test]
fn the_client_is_told_when_its_picture_stops_and_when_it_goes_on() {
    let (mut world, call) = call(1, Track::vp8_simulcast());
    let whole = Some(Layers { spatial: 2, temporal: Some(2) });
    let told = |world: &World| {
        let of_the_picture = |event: &Event| match event {
            Event::ConsumerLayers { consumer, layers } if *consumer == call.seen.id => Some(*layers),
            _ => None,
        };
        world.events.iter().filter_map(|(_, event)| of_the_picture(event)).collect::<Vec<_>>()
    };
    shed(&mut world, Shed::ALL);
    world.run(Duration::from_millis(1));
    assert_eq!(told(&world).last(), Some(&None));
    world.run(Duration::from_secs(1));
    let so_far = told(&world).len();
    shed(&mut world, Shed::NONE);
    world.run(Duration::from_secs(1));
    assert!(told(&world).len() > so_far);
    assert_eq!(told(&world).last().copied().flatten().map(|it| it.spatial), whole.map(|it| it.spatial));
}

#[test]
fn before_anybody_loses_a_picture_all_are_held_to_the_lowest_layers() {
    for track in [Track::vp8_simulcast(), Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, call) = call(1, track);
        shed(&mut world, Shed::NONE.moved(8));
        world.run(Duration::from_secs(1));
        let begin = world.age();
        let (packets, _) = counts_after(&mut world, &call, Duration::from_secs(4));
        let playback = world.view(call.seen).playback();
        let since: Vec<_> = playback.finished().iter().filter(|it| it.captured() > begin).collect();
        assert!((26..=32).contains(&since.len()), "{} pictures in four seconds", since.len());
        assert!(since.iter().all(|it| it.top_spatial() == 0 && it.stamps[0].encoding == 0));
        shed(&mut world, Shed::NONE);
        world.run(Duration::from_secs(1));
        let (all_packets, _) = counts_after(&mut world, &call, Duration::from_secs(4));
        assert!(packets * 8 < all_packets, "{packets} of {all_packets}");
        world.view(call.seen).playback().assert_flawless();
    }
}

#[test]
fn a_stream_without_layers_is_whole_until_its_turn_to_go() {
    let (mut world, call) = call(1, Track::vp8());
    shed(&mut world, Shed::NONE.moved(8));
    let (packets, _) = counts_after(&mut world, &call, Duration::from_secs(2));
    assert!(packets > 58, "{packets} packets");
    world.view(call.seen).playback().assert_flawless();
}

#[test]
fn what_is_shed_does_not_cross_from_other_shards_either() {
    for track in [Track::vp8(), Track::vp8_simulcast()] {
        let (mut world, call) = call(2, track);
        let there = ShardId(1);
        for _ in 0..2 {
            let now = world.now;
            world.shard_mut(there).shed(Shed::ALL, now);
            world.run(Duration::from_millis(200));
            let crossed = world.relayed_packets(there);
            let (pictures, sounds) = counts_after(&mut world, &call, Duration::from_secs(2));
            assert_eq!(pictures, 0);
            assert!(sounds >= 99);
            assert!(
                (95..=105).contains(&(world.relayed_packets(there) - crossed)),
                "more than sound crossed"
            );
            let now = world.now;
            world.shard_mut(there).shed(Shed::NONE, now);
            let (pictures, _) = counts_after(&mut world, &call, Duration::from_secs(1));
            assert!(pictures > 25, "{pictures}");
        }
        world.view(call.seen).playback().assert_flawless();
        world.view(call.heard).playback().assert_flawless();
    }
}

#[test]
fn whoever_comes_or_resumes_while_video_is_shed_gets_it_when_the_others_do() {
    let (mut world, call) = call(1, Track::vp8());
    shed(&mut world, Shed::ALL);
    let carol = world.subscriber();
    let (seen, heard) = (world.consume(carol, call.camera), world.consume(carol, call.mic));
    let now = world.now;
    world.sfu.pause_consumer(now, call.seen.id).unwrap();
    world.run(Duration::from_secs(1));
    let now = world.now;
    world.sfu.resume_consumer(now, call.seen.id).unwrap();
    let before = world.view(call.seen).count();
    world.run(Duration::from_secs(1));
    assert_eq!((world.view(seen).count(), world.view(call.seen).count()), (0, before));
    assert!(world.view(heard).count() > 90);
    shed(&mut world, Shed::NONE);
    world.run(Duration::from_secs(1));
    for viewed in [seen, call.seen] {
        assert!(world.view(viewed).count() > 25);
        world.view(viewed).playback().assert_flawless();
    }
}

#[test]
fn a_pause_outlasts_shedding() {
    let (mut world, call) = call(1, Track::vp8());
    let now = world.now;
    world.sfu.pause_consumer(now, call.seen.id).unwrap();
    world.run(Duration::from_millis(100));
    let before = world.view(call.seen).count();
    for step in [Shed::ALL, Shed::NONE] {
        shed(&mut world, step);
        world.run(Duration::from_secs(1));
        assert_eq!(world.view(call.seen).count(), before);
    }
    let now = world.now;
    world.sfu.resume_consumer(now, call.seen.id).unwrap();
    world.run(Duration::from_secs(1));
    assert!(world.view(call.seen).count() > before + 25);
    world.view(call.seen).playback().assert_flawless();
}

#[test]
fn step_by_step_more_lose_the_picture_and_the_same_get_it_back_at_few_key_frames() {
    let (mut world, call) = call(1, Track::vp8());
    let views: Vec<Viewed> = (0..40)
        .map(|_| {
            let client = world.subscriber();
            world.consume(client, call.camera)
        })
        .collect();
    world.run(Duration::from_secs(2));
    let showing = |world: &mut World| {
        world.run(Duration::from_millis(500));
        let before: Vec<usize> = views.iter().map(|it| world.view(*it).count()).collect();
        world.run(Duration::from_millis(500));
        views.iter().zip(before).map(|(it, before)| world.view(*it).count() > before).collect::<Vec<_>>()
    };
    let mut down = Vec::new();
    for steps in 8..=16 {
        shed(&mut world, Shed::NONE.moved(steps));
        down.push(showing(&mut world));
    }
    let counts: Vec<usize> = down.iter().map(|it| it.iter().filter(|shown| **shown).count()).collect();
    assert_eq!((counts[0], counts[8]), (40, 0));
    assert!(
        counts.is_sorted_by(|a, b| a >= b) && counts.iter().filter(|it| **it > 0).count() > 4,
        "{counts:?}"
    );
    let requests = world.key_frame_requests(call.camera.client);
    for steps in (8..=16).rev() {
        shed(&mut world, Shed::NONE.moved(steps));
        assert_eq!(showing(&mut world), down.pop().unwrap());
    }
    let requests = world.key_frame_requests(call.camera.client) - requests;
    assert!((1..=16).contains(&requests), "{requests} key frames for 40 that came back in 8 steps");
    for viewed in views {
        world.view(viewed).playback().assert_flawless();
    }
}

/// A publisher with a microphone and a camera on the first shard, and a subscriber to both on the last.
struct Call {
    mic: Produced,
    camera: Produced,
    heard: Viewed,
    seen: Viewed,
}

fn call(shards: u16, track: Track) -> (World, Call) {
    let mut world = World::sharded(1, shards);
    let (alice, bob) = (world.publisher(), world.subscriber_on(shards - 1));
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, track));
    let (heard, seen) = (world.consume(bob, mic), world.consume(bob, camera));
    world.run(Duration::from_secs(2));
    assert!(world.view(seen).count() > 50);
    (world, Call { mic, camera, heard, seen })
}

fn shed(world: &mut World, shed: Shed) {
    let now = world.now;
    world.sfu.shed(shed, now);
}

/// The numbers of video and audio packets received during `duration`, after packets already sent have
/// arrived.
fn counts_after(world: &mut World, call: &Call, duration: Duration) -> (usize, usize) {
    world.run(Duration::from_millis(50));
    let before = [call.seen, call.heard].map(|it| world.view(it).count());
    world.run(duration);
    let after = [call.seen, call.heard].map(|it| world.view(it).count());
    (after[0] - before[0], after[1] - before[1])
}
