//! A client that joins late gets a key frame soon, without many requests to the publisher.

use crate::world::publisher::ENCODER_TIME;
use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;
use switchyard_link::path::Path;

#[test]
fn a_late_joiner_gets_a_key_frame_within_one_round_trip_and_encoder_time() {
    let (mut world, camera) = call();
    let carol = world.subscriber();
    world.run(Duration::from_secs(1));
    let seen = world.consume(carol, camera);
    let waited = world.run_to("a picture", |world| !world.view(seen).playback().finished().is_empty());
    assert!(waited <= one_picture_later(&world, camera), "waited {waited:?}");
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_joiner_whose_handshake_is_not_done_yet_gets_a_key_frame_once_it_is() {
    let (mut world, camera) = call();
    let carol = world.subscriber();
    let seen = world.consume(carol, camera);
    world.run_to("the handshake", |world| world.party(carol).connection.is_connected());
    let waited = world.run_to("a picture", |world| !world.view(seen).playback().finished().is_empty());
    assert!(waited <= one_picture_later(&world, camera), "waited {waited:?}");
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
    assert_eq!(world.sfu.counters().egress_undeliverable, 0, "packets were made that could not be sent");
}

#[test]
fn twenty_joins_in_two_seconds_all_get_a_key_frame_and_the_requests_are_merged() {
    let (mut world, camera) = call();
    let before = world.key_frame_requests(camera.client);
    let views: Vec<Viewed> = (0..20)
        .map(|_| {
            let joiner = world.subscriber();
            let seen = world.consume(joiner, camera);
            world.run(Duration::from_millis(100));
            seen
        })
        .collect();
    world.run(Duration::from_secs(1));
    for seen in views {
        world.view(seen).playback().assert_flawless();
    }
    let requests = &world.publisher_ref(camera.client).heard.key_frame_requests[before..];
    assert!((1..=8).contains(&requests.len()), "{} requests", requests.len());
    for pair in requests.windows(2) {
        let apart = pair[1].0 - pair[0].0;
        assert!(apart >= INTERVAL - Path::GOOD.jitter.most(), "requests {apart:?} apart");
    }
}

#[test]
fn a_late_joiner_of_a_picture_that_does_not_move_gets_it_at_once() {
    let (mut world, screen) = call();
    world.track_mut(screen).still = true;
    world.run(Duration::from_secs(5));
    let carol = world.subscriber();
    world.run(Duration::from_secs(1));
    let seen = world.consume(carol, screen);
    let waited = world.run_to("a picture", |world| world.view(seen).count() == 4);
    assert!(waited <= one_picture_later(&world, screen), "waited {waited:?}");
}

#[test]
fn a_request_is_repeated_until_a_key_frame_comes() {
    let (mut world, camera) = call();
    let carol = world.subscriber();
    world.run(Duration::from_secs(1));
    let mut lost = 0;
    world.filter(camera.client, false, move |datagram| {
        let is_rtcp = datagram[0] >= 128;
        lost += usize::from(is_rtcp && lost < 3);
        !is_rtcp || lost >= 3
    });
    let seen = world.consume(carol, camera);
    let waited = world.run_to("a picture", |world| !world.view(seen).playback().finished().is_empty());
    assert!(waited <= 3 * INTERVAL + one_picture_later(&world, camera), "waited {waited:?}");
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_receiver_that_asks_all_the_time_does_not_reach_the_publisher_more_often_than_others() {
    let (mut world, camera) = call();
    let bob = world.subscriber();
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(1));
    let before = world.key_frame_requests(camera.client);
    for _ in 0..600 {
        let ssrc = world.view(seen).ssrc;
        world.party_mut(bob).connection.send_rtcp(&[crate::world::subscriber::picture_loss(ssrc)]);
        world.run(Duration::from_millis(5));
    }
    let requests = world.key_frame_requests(camera.client) - before;
    assert!((9..=11).contains(&requests), "{requests} requests in three seconds");
    world.view(seen).playback().assert_flawless();
}

/// A call of two clients that has run for a while.
fn call() -> (World, Produced) {
    let mut world = World::new(2);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    world.consume(bob, camera);
    world.run(Duration::from_secs(3));
    (world, camera)
}

/// The delay of a requested key frame: a round trip for the request, a picture interval for capture and
/// encoding, and the path to the receiver. The picture counts as complete when the next one begins.
fn one_picture_later(world: &World, camera: Produced) -> Duration {
    let way = Path::GOOD.longest();
    3 * way + 2 * world.track(camera).track.interval() + ENCODER_TIME
}

const INTERVAL: Duration = Duration::from_millis(300);
