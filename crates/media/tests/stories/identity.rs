//! How a packet's producer is found: by MID, by RID, by SSRC, or because only one producer is possible.

use crate::world::track::Track;
use crate::world::{Produced, Viewed, World};
use std::time::Duration;

#[test]
fn sound_without_mid_is_told_by_its_ssrc() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let mic = world.produce(alice, Track { mid: false, ..Track::opus() });
    let heard = world.consume(bob, mic);
    world.run(Duration::from_secs(3));
    world.view(heard).playback().assert_flawless();
}

#[test]
fn two_sounds_without_mid_are_not_mistaken_for_each_other() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let nameless = Track { mid: false, ..Track::opus() };
    let mics = [0, 1, 2].map(|_| world.produce(alice, nameless.clone()));
    let heard = mics.map(|mic| world.consume(bob, mic));
    world.run(Duration::from_secs(3));
    for (mic, heard) in mics.iter().zip(heard) {
        let playback = world.view(heard).playback();
        playback.assert_flawless();
        let track = mic.track as u16;
        assert!(playback.pictures.iter().all(|sound| sound.stamps[0].track == track), "another's sound");
    }
    assert_eq!(world.sfu.counters().stream_restarts, 0);
}

#[test]
fn a_recycled_m_section_has_neither_mid_nor_transport_wide_numbers_and_works() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8()));
    let views = [mic, camera].map(|produced| world.consume(bob, produced));
    world.run(Duration::from_secs(2));
    close(&mut world, camera);
    let recycled = world.produce(alice, Track { mid: false, transport_cc: false, ..Track::opus() });
    let heard = world.consume(bob, recycled);
    world.run(Duration::from_secs(3));
    for view in [views[0], heard] {
        world.view(view).playback().assert_flawless();
        assert!(world.view(view).count() > 140);
    }
}

#[test]
fn a_mid_is_free_again_after_its_producer_closed() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let first = world.produce(alice, Track::vp8());
    world.consume(bob, first);
    world.run(Duration::from_secs(1));
    close(&mut world, first);
    world.publisher_mut(alice).tracks[0].mid = None;
    let second = world.produce_as(alice, Track::vp8(), "0");
    let seen = world.consume(bob, second);
    world.run(Duration::from_secs(2));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_probe_in_the_rtx_stream_before_any_media_does_no_harm() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    world.track_mut(camera).muted = true;
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(1));
    for _ in 0..5 {
        world.probe_with_rtx(camera, 2);
        world.run(Duration::from_millis(10));
    }
    world.run(Duration::from_millis(50));
    assert_eq!(world.sfu.counters().padding_received, 5);
    world.track_mut(camera).muted = false;
    world.run(Duration::from_secs(3));
    world.view(seen).playback().assert_flawless();
    assert_eq!(world.view(seen).playback().encodings().last(), Some(&2));
}

#[test]
fn padding_is_counted_and_acknowledged_but_not_forwarded() {
    for track in [Track::vp8(), Track::vp9_svc(), Track::vp8_simulcast()] {
        let (mut world, camera, seen) = call(track);
        let top = world.track(camera).encodings.len() - 1;
        for _ in 0..200 {
            world.probe(camera, top);
            world.probe_with_rtx(camera, top);
            world.run(Duration::from_millis(11));
        }
        world.run(Duration::from_millis(500));
        assert_eq!(world.sfu.counters().padding_received, 400);
        let playback = world.view(seen).playback();
        playback.assert_flawless();
        assert!(
            world.view(seen).packets.values().all(|packet| packet.stamp.is_some()),
            "padding was forwarded"
        );
    }
}

#[test]
fn every_packet_is_acknowledged_by_transport_wide_feedback() {
    let (mut world, camera, _) = call(Track::vp8_simulcast());
    for _ in 0..100 {
        world.probe(camera, 0);
        world.run(Duration::from_millis(7));
    }
    world.track_mut(camera).muted = true;
    world.run(Duration::from_secs(1));
    let publisher = world.publisher_ref(camera.client);
    let sent: u32 = publisher.tracks[0].encodings.iter().map(|encoding| encoding.packets).sum();
    assert_eq!(publisher.heard.acknowledged, sent as usize);
    let seconds = world.age().as_secs() as usize;
    let feedback = publisher.heard.transport_feedback;
    assert!((8 * (seconds - 1)..=21 * seconds).contains(&feedback), "{feedback} reports in {seconds} s");
}

#[test]
fn a_stream_that_nobody_announced_is_counted_and_leads_nowhere() {
    let (mut world, camera, seen) = call(Track::vp8());
    let stranger = Track { mid: false, ..Track::h264() };
    world.add_unannounced(camera.client, stranger);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.counters().rtp_unknown_stream > 50);
    world.view(seen).playback().assert_flawless();
}

fn close(world: &mut World, produced: Produced) {
    world.sfu.close_producer(world.now, produced.id).unwrap();
    world.track_mut(produced).muted = true;
}

fn call(track: Track) -> (World, Produced, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let produced = world.produce(alice, track);
    let seen = world.consume(bob, produced);
    world.run(Duration::from_secs(2));
    (world, produced, seen)
}
