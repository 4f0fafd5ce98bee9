//! Networks lose and reorder packets; retransmissions repair the streams.

use crate::world::publisher::Fate;
use crate::world::track::Track;
use crate::world::{ClientOptions, Viewed, World};
use std::time::Duration;
use switchyard_link::path::{Held, Path, Spread};
use switchyard_media::Direction;

#[test]
fn five_per_cent_loss_both_ways_is_repaired_by_retransmissions() {
    for seed in 0..5 {
        let lossy = Path::losing(0.05);
        let (mut world, views) = call(seed, lossy, Track::vp8());
        world.run(Duration::from_secs(20));
        calm_down(&mut world);
        for seen in views {
            let view = world.view(seen);
            let playback = view.playback();
            assert_eq!(playback.holes, [0; 0], "seed {seed}");
            let broken = playback.broken().len();
            assert!(broken == 0, "seed {seed}: {broken} of {} frames are broken", playback.pictures.len());
            playback.assert_times_run_on();
        }
        let counters = world.sfu.counters();
        assert!(counters.packets_recovered > 20, "{counters:?}");
        assert!(counters.retransmissions_sent > 20, "{counters:?}");
    }
}

#[test]
fn simulcast_survives_loss_and_switching() {
    for seed in 0..5 {
        let (mut world, views) = call(seed, Path::losing(0.05), Track::vp8_simulcast());
        world.run(Duration::from_secs(2));
        for spatial in [0, 2, 1, 2, 0, 1, 2] {
            world.prefer(views[0], spatial, None);
            world.run(Duration::from_secs(2));
            assert_eq!(world.view(views[0]).playback().encodings().last(), Some(&spatial), "seed {seed}");
        }
        calm_down(&mut world);
        let playback = world.view(views[0]).playback();
        assert_eq!(playback.holes, [0; 0], "seed {seed}");
        assert_eq!(playback.broken(), [], "seed {seed}");
        playback.assert_times_run_on();
    }
}

#[test]
fn twenty_per_cent_loss_is_survived() {
    let (mut world, views) = call(3, Path::losing(0.2), Track::vp8());
    world.run(Duration::from_secs(30));
    calm_down(&mut world);
    let playback = world.view(views[1]).playback();
    assert!(playback.pictures.len() > 700, "{} pictures in 30 s", playback.pictures.len());
    let broken = playback.broken().len();
    assert!(broken * 10 < playback.pictures.len(), "{broken} broken frames");
}

#[test]
fn packets_that_overtake_each_other_keep_their_places() {
    let shaken = Path { held: Held::briefly(0.1), ..Path::GOOD };
    let (mut world, views) = call(4, shaken, Track::vp8_simulcast());
    world.run(Duration::from_secs(10));
    calm_down(&mut world);
    for seen in views {
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn a_repaired_first_packet_of_a_key_frame_shows_the_whole_key_frame_to_a_late_joiner() {
    let mut world = World::new(5);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    world.run(Duration::from_secs(2));
    world
        .publisher_mut(alice)
        .decide_fates(|stamp| if stamp.key && stamp.packet == 0 { Fate::Lost } else { Fate::Sent });
    let seen = world.consume(bob, camera);
    let waited = world.run_to("a picture", |world| !world.view(seen).playback().finished().is_empty());
    assert!(waited < Duration::from_millis(250), "waited {waited:?}");
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_key_frame_whose_first_packet_comes_in_one_turn_with_later_ones_is_sent_once() {
    let mut world = World::new(5);
    let straight = Path { jitter: Spread::None, ..Path::GOOD };
    let alice = world.join(Direction::Send, ClientOptions { up: straight, ..ClientOptions::default() });
    let bob = world.subscriber();
    let camera = world.produce(alice, Track::vp8());
    world.run(Duration::from_secs(2));
    world.publisher_mut(alice).decide_fates(|stamp| {
        let overtakes = !stamp.key || stamp.packet == 1;
        if overtakes { Fate::Sent } else { Fate::Delayed(Duration::from_millis(5)) }
    });
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
    assert_eq!(world.sfu.counters().egress_undeliverable, 0, "nothing is queued twice");
}

#[test]
fn a_late_packet_keeps_its_place() {
    let mut world = World::new(6);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    let seen = world.consume(bob, camera);
    world.publisher_mut(alice).decide_fates(|stamp| {
        let late = stamp.frame % 10 == 7;
        if late { Fate::Delayed(Duration::from_millis(45)) } else { Fate::Sent }
    });
    world.run(Duration::from_secs(5));
    world.view(seen).playback().assert_flawless();
    let counters = world.sfu.counters();
    assert!(counters.packets_recovered + counters.rtp_duplicate > 10, "{counters:?}");
}

#[test]
fn a_late_packet_that_is_not_wanted_leaves_padding_in_its_place() {
    let mut world = World::new(7);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(2));
    world.prefer(seen, 2, Some(0));
    world.publisher_mut(alice).decide_fates(|stamp| {
        let late = stamp.temporal == 2 && stamp.frame % 8 == 0;
        if late { Fate::Delayed(Duration::from_millis(45)) } else { Fate::Sent }
    });
    world.run(Duration::from_secs(4));
    let playback = world.view(seen).playback();
    assert_eq!(playback.holes, [0; 0]);
    playback.assert_decodable();
    playback.assert_times_run_on();
    let padded = world.view(seen).packets.values().filter(|packet| packet.stamp.is_none()).count();
    assert!(padded > 0 && padded as u64 == world.sfu.counters().fills_sent, "{padded} padding packets");
}

#[test]
fn sound_is_repaired_by_the_very_same_packet() {
    let (mut world, views) = call(8, Path::losing(0.05), Track::opus());
    world.run(Duration::from_secs(20));
    calm_down(&mut world);
    let playback = world.view(views[1]).playback();
    assert_eq!(playback.holes, [0; 0]);
    playback.assert_times_run_on();
    assert_eq!(world.view(views[1]).repaired, 0, "sound has no RTX");
    assert!(world.sfu.counters().retransmissions_sent > 20);
}

#[test]
fn a_receiver_that_asks_for_everything_again_and_again_gets_it_a_bounded_number_of_times() {
    use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
    let (mut world, views) = call(9, Path::GOOD, Track::vp8());
    world.run(Duration::from_secs(2));
    let seen = views[0];
    let (ssrc, last) = (world.view(seen).ssrc, world.view(seen).playback().last as u16);
    let sent = world.sfu.counters().packets_sent;
    for _ in 0..200 {
        let pairs =
            (0..60).map(|pair| NackPair { packet_id: last.wrapping_sub(17 * pair), lost_packets: 0xffff });
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: ssrc, nacks: pairs.collect() };
        world.party_mut(seen.client).connection.send_rtcp(&[Box::new(nack)]);
        world.run(Duration::from_millis(5));
    }
    let again = world.sfu.counters().retransmissions_sent;
    assert!(again > 0 && again < 10 * sent, "{again} retransmissions of {sent} packets");
    world.view(seen).playback().assert_flawless();
    world.view(views[1]).playback().assert_flawless();
}

/// One publisher and two subscribers, all on lines of this kind from the first pictures on: a receiver that has missed a
/// stream's first packet cannot know that.
fn call(seed: u64, path: Path, track: Track) -> (World, [Viewed; 2]) {
    let mut world = World::new(seed);
    let alice = world.publisher();
    let camera = world.produce(alice, track);
    let views = [0, 1].map(|_| {
        let client = world.subscriber();
        world.consume(client, camera)
    });
    world.run(Duration::from_millis(500));
    world.parties_mut().for_each(|party| party.set_paths(path));
    (world, views)
}

/// Stops the loss, so that all retransmissions can complete.
fn calm_down(world: &mut World) {
    for party in world.parties_mut() {
        party.set_paths(Path::GOOD);
    }
    world.run(Duration::from_secs(2));
}
