//! The SFU's reports: to senders what arrived, to receivers the current RTP timestamp.

use crate::world::track::Track;
use crate::world::{Client, Viewed, World};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use switchyard_link::path::Path;

#[test]
fn every_new_ssrc_is_reported_at_once() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    world.consume(bob, camera);
    world.run_to("the handshake", |world| world.party(alice).connection.is_connected());
    let begin = world.now;
    world.run(Duration::from_secs(5));
    let mut first: HashMap<u32, Instant> = HashMap::new();
    for (at, report) in &world.publisher_ref(alice).heard.reports {
        first.entry(report.ssrc).or_insert(*at);
    }
    for encoding in &world.track(camera).encodings {
        let waited = first[&encoding.ssrc] - begin;
        assert!(waited < Duration::from_millis(60), "waited {waited:?} for {}", encoding.ssrc);
    }
    let reports = world.publisher_ref(alice).heard.reports.len();
    assert!((15..=24).contains(&reports), "{reports} reports of three streams in five seconds");
}

#[test]
fn loss_is_reported_to_the_sender() {
    let (mut world, seen) = call(Track::vp8());
    world.party_mut(ALICE).up.set_path(Path::losing(0.2));
    world.run(Duration::from_secs(10));
    let publisher = world.publisher_ref(ALICE);
    let worst = publisher.heard.reports.iter().map(|(_, report)| report.fraction_lost).max().unwrap();
    assert!(worst > 25, "{worst} of 256 lost");
    assert!(world.view(seen).count() > 300);
}

#[test]
fn a_sender_with_transport_wide_feedback_is_told_no_cap() {
    let (world, _) = call(Track::vp8());
    let heard = &world.publisher_ref(ALICE).heard;
    assert!(heard.transport_feedback > 20);
    assert_eq!(heard.bitrate_caps, [0.0; 0]);
}

#[test]
fn round_trips_are_measured_in_both_directions() {
    let (mut world, seen) = call(Track::vp8());
    world.run(Duration::from_secs(3));
    for client in [ALICE, seen.client] {
        let stats = world.sfu.transport_stats(world.transport(client)).unwrap();
        let rtt = stats.rtt_ms.expect("no round trip was measured");
        assert!((38..=48).contains(&rtt), "{rtt} ms over two ways of 20 to 22");
    }
    assert!(world.subscriber_ref(seen.client).delays_since > 1, "our reference time was not answered");
}

#[test]
fn sender_reports_count_what_was_sent_and_name_the_publisher() {
    let (world, seen) = call(Track::vp8());
    let view = world.view(seen);
    let (at, report) = view.sender_reports.last().unwrap();
    let sent_by_then = view.packets.values().filter(|packet| packet.at <= *at).count();
    assert!(report.packet_count.abs_diff(sent_by_then as u32) < 10, "{report:?} {sent_by_then}");
    let cnames = &world.subscriber_ref(seen.client).cnames;
    assert!(cnames.iter().all(|cname| *cname == (view.ssrc, "client".to_owned())) && !cnames.is_empty());
}

#[test]
fn lips_move_with_the_voice() {
    for video in [Track::vp8(), Track::vp8_simulcast(), Track::vp9_svc()] {
        let mut world = World::new(1);
        let (alice, bob) = (world.publisher(), world.subscriber());
        let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, video));
        let (heard, seen) = (world.consume(bob, mic), world.consume(bob, camera));
        for spatial in [2, 0, 1, 2] {
            world.prefer(seen, spatial, None);
            world.run(Duration::from_secs(4));
            let offsets = [heard, seen].map(|viewed| world.view(viewed).clock_offset());
            let apart = offsets[0].max(offsets[1]) - offsets[0].min(offsets[1]);
            assert!(apart < 0.002, "{:.1} ms apart after layer {spatial}", apart * 1_000.0);
        }
    }
}

#[test]
fn lips_move_with_the_voice_after_a_restart_and_a_pause() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8()));
    let (heard, seen) = (world.consume(bob, mic), world.consume(bob, camera));
    world.run(Duration::from_secs(3));
    world.encoding_mut(camera, 0).restart_as(0x3333_3333);
    world.sfu.pause_consumer(world.now, heard.id).unwrap();
    world.run(Duration::from_secs(2));
    world.sfu.resume_consumer(world.now, heard.id).unwrap();
    world.run(Duration::from_secs(3));
    let offsets = [heard, seen].map(|viewed| world.view(viewed).clock_offset());
    let apart = (offsets[0] - offsets[1]).abs();
    assert!(apart < 0.002, "{:.1} ms apart", apart * 1_000.0);
}

fn call(track: Track) -> (World, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let produced = world.produce(alice, track);
    let seen = world.consume(bob, produced);
    world.run(Duration::from_secs(3));
    (world, seen)
}

/// The first to join.
const ALICE: Client = Client(0);
