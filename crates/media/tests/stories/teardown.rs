//! When an object is closed, nothing of it remains.

use crate::world::track::Track;
use crate::world::{Client, Viewed, World};
use std::time::Duration;
use switchyard_media::{Event, Population};

#[test]
fn after_a_call_everything_is_gone() {
    let (mut world, clients, views) = call();
    let alive = world.sfu.population();
    assert!(alive.demux_entries == 4 && alive.stored_bytes > 0, "{alive:?}");
    world.sfu.close_router(world.now, world.router).unwrap();
    assert_eq!(world.sfu.population(), Population::default());
    stop(&mut world);
    world.run(Duration::from_secs(60));
    for client in clients {
        assert!(world.party(client).connection.dtls.closed, "{client:?} was told nothing");
    }
    for view in views {
        world.view(view).playback().assert_flawless();
    }
    assert_eq!(world.sfu.population(), Population::default());
    assert_eq!(world.wakeup(), None, "there is nothing to wake up for");
}

#[test]
fn everything_can_be_closed_by_itself() {
    let (mut world, clients, views) = call();
    let mics: Vec<_> = world.publisher_ref(clients[0]).tracks.iter().map(|track| track.producer).collect();
    world.sfu.close_consumer(world.now, views[0].id).unwrap();
    assert_eq!(world.sfu.population().consumers, 1);
    stop(&mut world);
    for producer in mics {
        world.sfu.close_producer(world.now, producer).unwrap();
    }
    let Population { producers, consumers, stored_bytes, .. } = world.sfu.population();
    assert_eq!((producers, consumers, stored_bytes), (0, 0, 0));
    assert!(world.sfu.close_consumer(world.now, views[1].id).is_err(), "it ended with its producer");
    for client in &clients {
        world.sfu.close_transport(world.now, world.transport(*client)).unwrap();
    }
    let expected = Population { routers: 1, ..Population::default() };
    assert_eq!(world.sfu.population(), expected);
    world.run(Duration::from_secs(5));
    assert_eq!(world.sfu.population(), expected);
    assert!(
        !world.has_event(|event| matches!(event, Event::TransportClosed { .. })),
        "its owner asked for it"
    );
}

#[test]
fn a_closed_consumers_stream_ends_and_a_new_one_begins_under_another_name() {
    let (mut world, clients, views) = call();
    let camera = crate::world::Produced {
        client: clients[0],
        track: 1,
        id: world.publisher_ref(clients[0]).tracks[1].producer,
    };
    let mut names = vec![world.view(views[1]).ssrc];
    let mut current = views[1];
    for _ in 0..5 {
        world.sfu.close_consumer(world.now, current.id).unwrap();
        world.run(Duration::from_millis(100));
        current = world.consume(clients[1], camera);
        names.push(world.view(current).ssrc);
        world.run(Duration::from_secs(1));
        world.view(current).playback().assert_flawless();
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 6, "an SSRC was used twice under one key");
}

#[test]
fn a_hundred_calls_one_after_another_leave_nothing() {
    let mut world = World::new(1);
    for _ in 0..100 {
        let (alice, bob) = (world.publisher(), world.subscriber());
        let camera = world.produce(alice, Track::vp8());
        world.consume(bob, camera);
        world.run(Duration::from_millis(400));
        world.close(alice);
        world.close(bob);
    }
    world.run(Duration::from_secs(40));
    assert_eq!(world.sfu.population(), Population { routers: 1, ..Population::default() });
}

fn call() -> (World, [Client; 2], [Viewed; 2]) {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8()));
    let views = [mic, camera].map(|produced| world.consume(bob, produced));
    world.run(Duration::from_secs(2));
    (world, [alice, bob], views)
}

/// Stops all clients from sending.
fn stop(world: &mut World) {
    for party in world.parties_mut() {
        party.fall_silent();
    }
}
