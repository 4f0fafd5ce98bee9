//! Addresses change, networks restart, IP versions differ; media continues.

use crate::world::arrivals;
use crate::world::playback::Picture;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, IPV4_SERVER, IPV6_SERVER, Party, Role, Viewed, World};
use rtcp::receiver_report::ReceiverReport;
use rtcp::reception_report::ReceptionReport;
use std::time::Duration;
use switchyard_media::{Direction, Event, IceState};

#[test]
fn media_flows_over_ipv6() {
    let options = ClientOptions { server: IPV6_SERVER, ..ClientOptions::default() };
    let mut world = World::new(1);
    let (alice, bob) = (world.join(Direction::Send, options), world.subscriber());
    let carol = world.join(Direction::Recv, options);
    let camera = world.produce(alice, Track::vp8());
    let views = [world.consume(bob, camera), world.consume(carol, camera)];
    world.run(Duration::from_secs(3));
    for seen in views {
        world.view(seen).playback().assert_flawless();
    }
    let connection = &world.party(carol).connection;
    assert!(connection.ice.mapped.iter().all(|mapped| *mapped == connection.address && mapped.is_ipv6()));
}

#[test]
fn a_receiver_that_moves_to_another_network_misses_nothing() {
    let (mut world, _, bob, seen) = call();
    for number in 1..5 {
        world.relocate(bob, number);
        world.run(Duration::from_secs(2));
    }
    let playback = world.view(seen).playback();
    playback.assert_flawless();
    assert!(playback.pictures.len() > 280, "{} pictures", playback.pictures.len());
}

#[test]
fn a_check_forged_from_somebody_elses_address_sends_hardly_anything_there() {
    let (mut world, bob, _) = call_of_many_bits();
    let start = world.age();
    let (mut in_a_minute, before) = (0, world.sfu.counters().clone());
    world.party_mut(bob).connection.ice.fall_silent();
    while world.age() - start < Duration::from_secs(55) {
        forge_check(&mut world, bob);
        world.run(Duration::from_millis(2_500));
        in_a_minute = world.astray;
    }
    // Two seconds of sound have 2 * 50 packets.
    assert!(in_a_minute < 16 * 1_024 + 100 * 200, "{in_a_minute} bytes");
    assert!(in_a_minute > 10_000, "{in_a_minute} bytes");
    assert_eq!(world.sfu.counters().paths_doubted - before.paths_doubted, 1);
    assert!(world.sfu.counters().unproven_withheld > 0);
}

#[test]
fn a_client_that_claims_to_have_received_what_went_elsewhere_is_not_believed() {
    let (mut world, bob, _) = call_of_many_bits();
    world.party_mut(bob).connection.ice.fall_silent();
    let last = *world.subscriber_ref(bob).transport_sequences.last().unwrap() as u16;
    for attempt in 0..400u16 {
        if attempt % 40 == 0 {
            forge_check(&mut world, bob);
        }
        let claimed: Vec<u16> = (1..20).map(|step| last.wrapping_add(attempt % 5 + step)).collect();
        let feedback = arrivals::claim(&claimed);
        let now = world.now;
        let Party { connection, role: Role::Subscriber(subscriber), .. } = world.party_mut(bob) else {
            panic!("a publisher")
        };
        let true_time = (subscriber.clock.ntp(now) >> 16) as u32;
        connection.send_raw_rtcp(&feedback);
        connection.send_rtcp(&[echo(true_time.wrapping_sub(u32::from(attempt) * 7))]);
        world.run(Duration::from_millis(100));
    }
    assert!(world.astray < 16 * 1_024 + 100 * 200, "{} bytes", world.astray);
}

#[test]
fn feedback_that_contradicts_itself_is_counted_once_and_proves_nothing() {
    let (mut world, bob, _) = call_of_many_bits();
    forge_check(&mut world, bob);
    world.run(Duration::from_millis(30));
    let before = world.sfu.counters().clone();
    // A run of three packets that came, but the times of two.
    let mut feedback = vec![0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0, 3, 0, 0, 0, 0, 0x20, 3, 1, 1];
    world.party_mut(bob).connection.send_raw_rtcp(&feedback);
    // The chunk of a reserved symbol.
    feedback[20] = 0x60;
    world.party_mut(bob).connection.send_raw_rtcp(&feedback);
    world.run(Duration::from_millis(30));
    let after = world.sfu.counters();
    assert_eq!(after.feedback_malformed - before.feedback_malformed, 2);
    assert_eq!(after.rtcp_malformed, before.rtcp_malformed);
}

#[test]
fn a_receiver_that_really_moves_hardly_waits_however_much_it_receives() {
    let (mut world, bob, seen) = call_of_many_bits();
    for number in 1..5 {
        let begin = world.now;
        world.relocate(bob, number);
        world.run(Duration::from_secs(2));
        let playback = world.view(seen).playback();
        let times: Vec<_> = playback.pictures.iter().map(|picture| picture.complete_at).collect();
        let pause = times.windows(2).filter(|pair| pair[1] > begin).map(|pair| pair[1] - pair[0]).max();
        // One round trip has 40 ms, and feedback waits for 50 ms.
        assert!(pause < Some(Duration::from_millis(180)), "{pause:?}");
    }
    let playback = world.view(seen).playback();
    playback.assert_flawless();
    assert_eq!(world.sfu.counters().paths_doubted, 4);
    world.relocate(bob, 4);
    world.run(Duration::from_secs(1));
}

#[test]
fn a_receiver_without_transport_wide_feedback_proves_itself_by_its_reports() {
    let (mut world, bob, seen) = call_of_many_bits();
    world.subscriber_mut(bob).feeds_back = false;
    world.relocate(bob, 1);
    world.run(Duration::from_secs(5));
    let playback = world.view(seen).playback();
    let late = playback.pictures.iter().filter(|it| it.captured() > world.age() - Duration::from_secs(2));
    assert!(late.count() > 50);
    let rtt = world.sfu.transport_stats(world.transport(bob)).unwrap().rtt_ms.unwrap();
    assert!((38..50).contains(&rtt), "{rtt} ms");
}

#[test]
fn a_publisher_that_moves_to_another_network_is_followed() {
    let (mut world, alice, _, seen) = call();
    for number in 1..5 {
        world.relocate(alice, number);
        world.run(Duration::from_secs(2));
    }
    world.view(seen).playback().assert_flawless();
}

#[test]
fn after_an_ice_restart_both_credentials_work_until_the_first_check_with_the_new_ones() {
    let (mut world, alice, bob, seen) = call();
    for client in [alice, bob] {
        let old = world.party(client).connection.ice.check();
        let restarted = world.sfu.restart_ice(world.now, world.transport(client)).unwrap();
        assert!(is_answered(&mut world, client, old.clone()), "a check before the restart is known");
        world.run(Duration::from_secs(1));

        let now = world.now;
        world.party_mut(client).connection.ice.restart(restarted, now);
        world.run(Duration::from_secs(1));
        assert!(world.party(client).connection.ice.is_connected());
        assert!(
            !is_answered(&mut world, client, old),
            "a check after the restart is known is of another time"
        );
        let new = world.party(client).connection.ice.check();
        assert!(is_answered(&mut world, client, new));
    }
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn an_ice_restart_that_the_client_never_learnt_of_does_not_lock_it_out() {
    let (mut world, _, bob, seen) = call();
    let old = world.party(bob).connection.ice.check();
    let before = world.sfu.population().demux_entries;
    for _ in 0..5 {
        world.sfu.restart_ice(world.now, world.transport(bob)).unwrap();
        assert!(is_answered(&mut world, bob, old.clone()));
    }
    assert_eq!(
        world.sfu.population().demux_entries,
        before + 1,
        "only the newest one is kept beside the one in use"
    );
    world.run(Duration::from_secs(40));
    world.view(seen).playback().assert_flawless();
    let restarted = world.sfu.restart_ice(world.now, world.transport(bob)).unwrap();
    let now = world.now;
    world.party_mut(bob).connection.ice.restart(restarted, now);
    world.run(Duration::from_secs(1));
    assert!(world.party(bob).connection.ice.is_connected());
    assert_eq!(world.sfu.population().demux_entries, before);
}

#[test]
fn a_receiver_that_vanishes_for_minutes_comes_back_to_a_key_frame_without_a_gap() {
    let (mut world, alice, bob, seen) = call();
    let fast = world.produce(alice, Track { rate: 500, ..Track::vp8() });
    let seen_fast = world.consume(bob, fast);
    world.run(Duration::from_secs(2));
    world.filter(bob, true, |_| false);
    world.filter(bob, false, |_| false);
    world.party_mut(bob).connection.ice.fall_silent();
    world.run(Duration::from_secs(120));
    let lost = |event: &Event| matches!(event, Event::TransportState { ice: IceState::Disconnected, .. });
    assert!(world.has_event(lost));

    world.filter(bob, true, |_| true);
    world.filter(bob, false, |_| true);
    world.relocate(bob, 1);
    world.run(Duration::from_secs(40));
    for seen in [seen, seen_fast] {
        let playback = world.view(seen).playback();
        assert!(playback.pictures.last().unwrap().captured() > Duration::from_secs(160));
        playback.assert_times_run_on();
        let back = |picture: &&Picture| picture.captured() > Duration::from_secs(5);
        let first = playback.pictures.iter().find(back).unwrap();
        assert!(first.stamps[0].key && first.stamps[0].packet == 0, "came back to {:?}", first.stamps[0]);
        let broken = playback.broken();
        assert!(broken.iter().all(|stamp| stamp.captured < Duration::from_secs(5)), "{broken:?}");
    }
}

#[test]
fn an_address_taken_over_by_another_transport_stays_with_it_when_the_first_one_goes() {
    let mut world = World::new(1);
    let bob = world.subscriber();
    world.run(Duration::from_secs(1));
    let address = world.party(bob).connection.address;
    let transport = world.transport(bob);
    world.party_mut(bob).connection.ice.fall_silent();
    world.party_mut(bob).connection.address = "10.9.9.9:9".parse().unwrap();

    let (dave, carol) = (world.publisher(), world.subscriber());
    world.party_mut(carol).connection.address = address;
    let camera = world.produce(dave, Track::vp8());
    let seen = world.consume(carol, camera);
    world.run(Duration::from_secs(1));
    world.sfu.close_transport(world.now, transport).unwrap();
    // Between two consent checks, because a check would validate the tuple again.
    let lost_checks = world.sfu.counters().datagrams_unknown_tuple;
    world.run(Duration::from_secs(2));
    assert_eq!(world.sfu.counters().datagrams_unknown_tuple, lost_checks);
    world.view(seen).playback().assert_flawless();
}

#[test]
fn a_check_with_a_wrong_password_moves_nothing() {
    let (mut world, _, bob, seen) = call();
    let parameters = world.party(bob).connection.ice.remote().clone();
    let username = format!("{}:mallory", parameters.username_fragment);
    for number in 0..100 {
        let mut check = crate::world::ice::check(&username, "a guess", number);
        let remote = ([10, 66, 6, 6], 1000 + number as u16).into();
        world.inject(remote, IPV4_SERVER.parse().unwrap(), &mut check);
    }
    assert_eq!(world.sfu.counters().stun_rejected, 100);
    world.run(Duration::from_secs(1));
    world.view(seen).playback().assert_flawless();
}

/// A call with sound and a picture of a megabit per second, whose receiver sends transport-wide feedback.
fn call_of_many_bits() -> (World, Client, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    world.subscriber_mut(bob).feeds_back = true;
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp9_svc()));
    world.consume(bob, mic);
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(3));
    (world, bob, seen)
}

/// A check with the right password from an address where nobody is.
fn forge_check(world: &mut World, client: Client) {
    let mut check = world.party(client).connection.ice.check();
    world.inject(([10, 66, 6, 6], 9).into(), IPV4_SERVER.parse().unwrap(), &mut check);
}

/// A receiver report that echoes this time.
fn echo(last_sender_report: u32) -> Box<dyn rtcp::Packet> {
    let report = ReceptionReport { ssrc: 1, last_sender_report, ..ReceptionReport::default() };
    Box::new(ReceiverReport { ssrc: 1, reports: vec![report], ..ReceiverReport::default() })
}

fn call() -> (World, Client, Client, Viewed) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(2));
    (world, alice, bob, seen)
}

/// Whether a check from the client's address gets an answer.
fn is_answered(world: &mut World, client: Client, mut check: Vec<u8>) -> bool {
    let connection = &world.party(client).connection;
    let (address, server, before) = (connection.address, connection.server, connection.ice.mapped.len());
    world.inject(address, server, &mut check);
    world.run(Duration::from_millis(50));
    world.party(client).connection.ice.mapped.len() > before
}
