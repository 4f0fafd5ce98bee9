//! Retransmissions take a bounded share of what is sent to a client, whatever the client asks for.

use crate::world::track::Track;
use crate::world::{Client, ClientOptions, Viewed, World};
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use switchyard_link::path::Path;
use switchyard_media::{Bandwidth, Direction};

#[test]
fn whoever_asks_for_everything_again_and_again_gets_a_small_share_of_what_is_sent() {
    for pretended in [None, Some(Duration::from_millis(1)), Some(Duration::from_secs(4))] {
        let (mut world, bob, seen) = call(1, Path::GOOD, Track::vp8_simulcast());
        let bytes = meter(&mut world, bob, seen);
        world.run(Duration::from_secs(2));
        for _ in 0..2_000 {
            ask_for_the_last(&mut world, seen, 1_000, pretended);
            world.run(Duration::from_millis(10));
        }
        let [media, again] = bytes.get();
        // 76 kB a second: one round trip of at most half a second may be repaired at once.
        assert!(again <= media * 15 / 100 + 40_000, "{again} bytes again of {media}, {pretended:?}");
        assert!(again * 100 > media * 14, "{again} bytes again of {media}, {pretended:?}");
        assert!(world.sfu.counters().retransmissions_over_budget > 1_000, "{:?}", world.sfu.counters());
        world.view(seen).playback().assert_flawless();
    }
}

#[test]
fn a_receiver_that_loses_one_packet_in_twenty_gets_every_one_again() {
    for seed in 0..5 {
        let lossy = Path::losing(0.05);
        for track in [Track::vp8(), Track::vp8_simulcast(), Track::opus()] {
            let (mut world, bob, seen) = call(seed, Path::GOOD, track.clone());
            world.run(Duration::from_secs(1));
            world.party_mut(bob).down.set_path(lossy);
            world.run(Duration::from_secs(20));
            world.party_mut(bob).down.set_path(Path::GOOD);
            world.run(Duration::from_secs(1));
            let (playback, counters) = (world.view(seen).playback(), world.sfu.counters());
            assert_eq!(playback.holes, [0; 0], "seed {seed}, {track:?}");
            let broken = playback.broken().len();
            assert_eq!(broken, 0, "seed {seed}, {track:?} {counters:?}");
            assert_eq!(counters.retransmissions_over_budget, 0, "seed {seed}, {track:?}");
            assert!(counters.retransmissions_sent > 10, "{counters:?}");
        }
    }
}

#[test]
fn a_picture_that_costs_too_much_to_repair_is_replaced_by_a_key_frame() {
    let (mut world, bob, seen) = call(2, Path::GOOD, Track::vp8_simulcast());
    world.run(Duration::from_secs(3));
    let requested = world.key_frame_requests(ALICE);
    // Half a second is lost: some 40 kB, where a round trip of 44 ms may be repaired.
    world.filter(bob, false, |_| false);
    world.run(Duration::from_millis(500));
    world.filter(bob, false, |_| true);
    world.run(Duration::from_secs(2));
    assert!(world.sfu.counters().retransmissions_over_budget > 0, "{:?}", world.sfu.counters());
    let requests = world.key_frame_requests(ALICE) - requested;
    assert!((1..=2).contains(&requests), "{requests} key-frame requests");
    let after = world.age() - Duration::from_secs(1);
    let playback = world.view(seen).playback();
    let broken = playback.broken().into_iter().filter(|stamp| stamp.captured > after).count();
    assert_eq!(broken, 0, "the picture moves again");
}

#[test]
fn a_missing_packet_is_repeated_once_in_each_real_round_trip() {
    let far = Path { delay: Duration::from_millis(125), ..Path::GOOD };
    let options = ClientOptions { up: far, down: far, ..ClientOptions::default() };
    let (mut world, _, seen) = call_over(3, options, Track::vp8_simulcast());
    world.run(Duration::from_secs(10));
    let before = world.sfu.counters().retransmissions_sent;
    let last = world.view(seen).playback().last as u16;
    // For longer than 200 ms, but not for a round trip.
    for _ in 0..23 {
        send_nack(&mut world, seen, last.wrapping_sub(2), 3);
        world.run(Duration::from_millis(10));
    }
    world.run(Duration::from_millis(200));
    let counters = world.sfu.counters();
    assert_eq!(counters.retransmissions_sent - before, 3);
    assert_eq!(counters.retransmissions_too_soon, 22 * 3);
}

#[test]
fn packets_that_feedback_says_have_come_are_not_repeated() {
    let mut world = World::configured(6, 1, |config| config.bandwidth = Bandwidth::Divided);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8_simulcast());
    let seen = world.consume(bob, camera);
    world.subscriber_mut(bob).be_a_browser();
    world.run(Duration::from_secs(3));
    let before = world.sfu.counters().clone();
    let last = world.view(seen).playback().last as u16;
    send_nack(&mut world, seen, last.wrapping_sub(10), 5);
    world.run(Duration::from_millis(300));
    let counters = world.sfu.counters();
    assert_eq!(counters.retransmissions_needless - before.retransmissions_needless, 5);
    assert_eq!(counters.retransmissions_sent, before.retransmissions_sent);
}

#[test]
fn packets_too_old_to_be_shown_are_not_repeated() {
    let (mut world, _, seen) = call(4, Path::GOOD, Track::vp8());
    world.run(Duration::from_secs(5));
    let before = world.sfu.counters().clone();
    let last = world.view(seen).playback().last as u16;
    // At 30 packets a second these are between 0.6 and 0.9 seconds old.
    send_nack(&mut world, seen, last.wrapping_sub(27), 9);
    world.run(Duration::from_secs(1));
    let counters = world.sfu.counters();
    assert_eq!(counters.retransmissions_sent, before.retransmissions_sent);
    assert_eq!(counters.retransmissions_too_late - before.retransmissions_too_late, 9);
}

#[test]
fn packets_of_a_layer_that_was_left_are_not_repeated() {
    let far = Path { delay: Duration::from_millis(150), ..Path::GOOD };
    let options = ClientOptions { up: far, down: far, ..ClientOptions::default() };
    let (mut world, bob, seen) = call_over(5, options, Track::vp8_simulcast());
    world.run(Duration::from_secs(10));
    world.filter(bob, false, |_| false);
    world.run(Duration::from_millis(130));
    world.prefer(seen, 2, Some(0));
    let bytes = meter(&mut world, bob, seen);
    world.run(Duration::from_secs(2));
    let [_, again] = bytes.get();
    let counters = world.sfu.counters();
    // Some four to six pictures of three packets were lost, one of them of the lowest layer.
    let left = counters.retransmissions_left_out;
    assert!((9..=18).contains(&left), "{left}");
    assert_eq!(counters.retransmissions_sent, left + 3);
    assert!(again < 3 * 1_100 + 18 * 60, "{again} bytes again");
    let playback = world.view(seen).playback();
    assert_eq!((playback.holes.len(), playback.broken().len()), (0, 0));
}

const ALICE: Client = Client(0);

/// A publisher on a good line, and a subscriber on a line of this kind.
fn call(seed: u64, down: Path, track: Track) -> (World, Client, Viewed) {
    call_over(seed, ClientOptions { down, ..ClientOptions::default() }, track)
}

fn call_over(seed: u64, options: ClientOptions, track: Track) -> (World, Client, Viewed) {
    let mut world = World::new(seed);
    let alice = world.publisher();
    let camera = world.produce(alice, track);
    let bob = world.join(Direction::Recv, options);
    let seen = world.consume(bob, camera);
    (world, bob, seen)
}

/// Counts the bytes sent to a client: those of media, and those of RTX.
fn meter(world: &mut World, client: Client, seen: Viewed) -> Rc<Cell<[usize; 2]>> {
    let bytes = Rc::new(Cell::new([0; 2]));
    let (media, meter) = (world.view(seen).ssrc, bytes.clone());
    world.filter(client, false, move |datagram| {
        let ssrc = datagram.get(8..12).map(|ssrc| u32::from_be_bytes(ssrc.try_into().unwrap()));
        let mut counts = meter.get();
        match ssrc.filter(|_| datagram[0] >> 6 == 2) {
            Some(ssrc) if ssrc == media => counts[0] += datagram.len(),
            Some(ssrc) if ssrc == media + 1 => counts[1] += datagram.len(),
            Some(_) | None => {}
        }
        meter.set(counts);
        true
    });
    bytes
}

/// Asks for the newest packets, though they arrived, perhaps with a report of a false round trip.
fn ask_for_the_last(world: &mut World, seen: Viewed, count: u16, pretended: Option<Duration>) {
    let last = world.view(seen).packets.last_key_value().map_or(0, |(last, _)| *last as u16);
    if let Some(rtt) = pretended {
        let now = world.now;
        let view = world.view(seen);
        let report = view.sender_reports.last().map(|(at, report)| (now - *at, report.ntp_time));
        if let Some((since, ntp)) = report {
            let delay = since.saturating_sub(rtt.saturating_sub(Duration::from_millis(44)));
            let block = ReceptionReport {
                ssrc: view.ssrc,
                last_sender_report: (ntp >> 16) as u32,
                delay: (delay.as_micros() * 65_536 / 1_000_000) as u32,
                ..ReceptionReport::default()
            };
            let report = ReceiverReport { ssrc: 1, reports: vec![block], ..ReceiverReport::default() };
            world.party_mut(seen.client).connection.send_rtcp(&[Box::new(report)]);
        }
    }
    send_nack(world, seen, last.wrapping_sub(count - 1), count);
}

/// A NACK for `count` packets from `first` on.
fn send_nack(world: &mut World, seen: Viewed, first: u16, count: u16) {
    let media_ssrc = world.view(seen).ssrc;
    let pair = |from: u16| {
        let more = (count - from).min(17) - 1;
        NackPair { packet_id: first.wrapping_add(from), lost_packets: ((1u32 << more) - 1) as u16 }
    };
    let nacks = (0..count).step_by(17).map(pair).collect();
    let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc, nacks };
    world.party_mut(seen.client).connection.send_rtcp(&[Box::new(nack)]);
}
