//! Addresses change, networks restart, IP versions differ; media continues.

use crate::world::playback::Picture;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, IPV4_SERVER, IPV6_SERVER, Viewed, World};
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
