//! Clients of every kind complete the handshake; clients with another certificate than announced do not.

use crate::world::secure::Profiles;
use crate::world::track::Track;
use crate::world::{Client, ClientOptions, World};
use std::time::Duration;
use switchyard_link::path::Path;
use switchyard_media::ortc::FingerprintAlgorithm;
use switchyard_media::{ControlError, Direction, DtlsState, Event};

#[test]
fn gcm_is_used_although_browsers_prefer_aes_cm() {
    assert_call_works(ClientOptions::default(), Cipher::Gcm);
}

#[test]
fn a_client_that_knows_aes_cm_alone_is_served() {
    let options = ClientOptions { profiles: Profiles::AesCmOnly, ..ClientOptions::default() };
    assert_call_works(options, Cipher::AesCm);
}

#[test]
fn a_client_in_the_dtls_server_role_with_a_sha_512_fingerprint_is_served() {
    let options = ClientOptions {
        is_dtls_client: false,
        fingerprint: FingerprintAlgorithm::Sha512,
        ..ClientOptions::default()
    };
    assert_call_works(options, Cipher::Gcm);
    let options = ClientOptions { profiles: Profiles::AesCmOnly, ..options };
    assert_call_works(options, Cipher::AesCm);
}

#[test]
fn handshakes_survive_loss_in_both_roles() {
    for seed in 0..5 {
        for is_dtls_client in [true, false] {
            let bad = Path::losing(0.1);
            let options = ClientOptions { is_dtls_client, up: bad, down: bad, ..ClientOptions::default() };
            let mut world = World::new(seed);
            let clients = [Direction::Send, Direction::Recv].map(|direction| world.join(direction, options));
            for client in clients {
                let waited = world.run_to("the keys", |world| world.party(client).connection.is_connected());
                assert!(waited < Duration::from_secs(10), "waited {waited:?}");
            }
        }
    }
}

#[test]
fn a_lost_last_flight_is_repeated_when_the_client_asks_for_it() {
    for lost in 1..5 {
        let mut world = World::new(1);
        let bob = world.subscriber();
        let mut seen = 0;
        world.filter(bob, false, move |datagram| {
            let last_flight = datagram[0] == 20;
            seen += usize::from(last_flight);
            !last_flight || seen > lost
        });
        world.run(Duration::from_secs(5));
        assert_eq!(state(&world, bob), Some(DtlsState::Connected));
        assert!(world.party(bob).connection.is_connected(), "after {lost} losses");
    }
}

#[test]
fn a_wrong_fingerprint_fails_that_transport_alone() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    let seen = world.consume(bob, camera);
    let mallory = world.prepare(Direction::Recv, ClientOptions::default());
    let mut parameters = world.party(mallory).connection.dtls.parameters(FingerprintAlgorithm::Sha256);
    parameters.fingerprints[0].value = ["AB"; 32].join(":");
    world.sfu.connect_transport(world.now, world.transport(mallory), &parameters).unwrap();
    let stolen = world.consume(mallory, camera);
    world.run(Duration::from_secs(5));

    assert_eq!(state(&world, mallory), Some(DtlsState::Failed));
    assert!(!world.party(mallory).connection.is_connected());
    assert_eq!(world.view(stolen).count(), 0);
    assert_eq!(state(&world, bob), Some(DtlsState::Connected));
    world.view(seen).playback().assert_flawless();
}

#[test]
fn connecting_again_with_the_same_parameters_is_no_error_and_with_others_it_is() {
    let mut world = World::new(1);
    let bob = world.subscriber();
    world.run(Duration::from_secs(1));
    let mut parameters = world.party(bob).connection.dtls.parameters(FingerprintAlgorithm::Sha256);
    let transport = world.transport(bob);
    assert_eq!(world.sfu.connect_transport(world.now, transport, &parameters), Ok(()));
    parameters.fingerprints[0].value = ["AB"; 32].join(":");
    let refused = world.sfu.connect_transport(world.now, transport, &parameters);
    assert_eq!(refused, Err(ControlError::AlreadyConnected));
}

#[test]
fn a_client_that_begins_before_it_was_announced_is_not_kept_waiting() {
    let mut world = World::new(1);
    let options = ClientOptions::default();
    let alice = world.prepare(Direction::Send, options);
    world.run(Duration::from_millis(300));
    let parameters = world.party(alice).connection.dtls.parameters(FingerprintAlgorithm::Sha256);
    world.sfu.connect_transport(world.now, world.transport(alice), &parameters).unwrap();
    let waited = world.run_to("the keys", |world| world.party(alice).connection.is_connected());
    assert!(waited < Duration::from_millis(200), "waited {waited:?}");
}

#[test]
fn a_client_that_says_goodbye_is_gone_with_all_it_had() {
    let mut world = World::new(1);
    let (alice, bob) = (world.publisher(), world.subscriber());
    let camera = world.produce(alice, Track::vp8());
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(1));
    let now = world.now;
    world.party_mut(alice).connection.dtls.close(now);
    world.track_mut(camera).muted = true;
    world.run(Duration::from_secs(1));
    let transport = world.transport(alice);
    assert!(
        world.has_event(|it| matches!(it, Event::TransportClosed { transport: it, .. } if *it == transport))
    );
    assert!(world.has_event(|it| *it == Event::ProducerClosed { producer: camera.id }));
    let closed = Event::ConsumerClosed { consumer: seen.id, producer: camera.id };
    assert!(world.has_event(|it| *it == closed));
    assert_eq!(world.sfu.population().transports, 1);
    assert_eq!(world.sfu.population().stored_bytes, 0);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Gcm,
    AesCm,
}

fn assert_call_works(options: ClientOptions, cipher: Cipher) {
    let mut world = World::new(1);
    let clients = [Direction::Send, Direction::Recv].map(|direction| world.join(direction, options));
    let (mic, camera) = (world.produce(clients[0], Track::opus()), world.produce(clients[0], Track::vp8()));
    let views = [mic, camera].map(|produced| world.consume(clients[1], produced));
    world.run(Duration::from_secs(3));
    for view in views {
        world.view(view).playback().assert_flawless();
    }
    for client in clients {
        assert_eq!(world.party(client).connection.srtp.as_ref().unwrap().is_gcm(), cipher == Cipher::Gcm);
    }
}

fn state(world: &World, client: Client) -> Option<DtlsState> {
    world.sfu.transport_stats(world.transport(client)).ok().map(|stats| stats.dtls)
}
