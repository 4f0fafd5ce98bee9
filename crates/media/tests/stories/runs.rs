//! The packets of a picture leave in as few system calls as possible; padding makes sizes equal that differ a
//! little.

use crate::world::track::Track;
use crate::world::{Client, ClientOptions, Viewed, World};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use switchyard_link::path::{Loss, Path, Spread};
use switchyard_media::allocation::VideoKind;
use switchyard_media::ortc::router_rtp_capabilities;
use switchyard_media::{ConsumeOptions, ConsumerId, Direction};

#[test]
fn a_picture_of_uneven_packets_leaves_as_one_run() {
    let (mut world, bob, _) = call(Track::vp8_simulcast(), ClientOptions::default());
    world.run(Duration::from_secs(5));
    // Three packets of a picture: the second is one byte longer, the last is much shorter.
    let runs: Vec<usize> = packets_to(&world, bob).map(Vec::len).collect();
    let whole = runs.iter().filter(|packets| **packets >= 3).count();
    assert!(whole > 140 && runs.len() - whole < 3, "runs of {runs:?}");
}

#[test]
fn padded_pictures_are_decoded_at_little_waste() {
    for track in [Track::vp8_simulcast(), Track::vp9_svc(), Track::av1_svc()] {
        let (mut world, _, seen) = call(track, ClientOptions::default());
        world.run(Duration::from_secs(5));
        world.view(seen).playback().assert_flawless();
        let counters = world.sfu.counters();
        assert!(counters.packets_evened > 100, "{counters:?}");
        assert!(counters.padding_bytes_sent * 50 < counters.bytes_sent, "{counters:?}");
    }
}

#[test]
fn padding_is_no_octet_of_a_sender_report() {
    let (mut world, _, seen) = call(Track::vp8_simulcast(), ClientOptions::default());
    world.run(Duration::from_secs(10));
    assert!(world.sfu.counters().packets_evened > 100);
    let view = world.view(seen);
    let (at, report) = view.sender_reports.last().unwrap();
    let before = view.packets.values().filter(|packet| packet.at <= *at);
    assert_eq!(report.octet_count as usize, before.map(|packet| packet.octets).sum::<usize>());
}

#[test]
fn without_rtx_a_padded_packet_is_sent_again_byte_for_byte() {
    let (mut world, alice) = world();
    let bob = world.subscriber();
    let camera = world.produce(alice, Track::vp8_simulcast());
    let mut rtp_capabilities = router_rtp_capabilities().clone();
    rtp_capabilities.codecs.retain(|codec| !codec.mime_type.is_rtx());
    let rtp_capabilities = Arc::new(rtp_capabilities.try_into().unwrap());
    let (producer, id) = (camera.id, ConsumerId(world.uuid()));
    let options = ConsumeOptions {
        producer,
        rtp_capabilities,
        paused: false,
        preferred_layers: None,
        video: VideoKind::Camera,
    };
    let seen = world.consume_with(bob, camera, id, &options);
    let sent: Rc<RefCell<HashMap<u16, Vec<Vec<u8>>>>> = Rc::default();
    let copies = sent.clone();
    // Every tenth media packet is lost at its first transmission.
    world.filter(bob, false, move |datagram| {
        if !is_rtp(datagram) {
            return true;
        }
        let number = u16::from_be_bytes([datagram[2], datagram[3]]);
        let mut copies = copies.borrow_mut();
        let copies = copies.entry(number).or_default();
        copies.push(datagram.to_vec());
        copies.len() > 1 || number % 10 != 0
    });
    world.run(Duration::from_secs(15));
    let sent = sent.borrow();
    let again = sent.values().filter(|copies| copies.len() > 1);
    let padded = again.clone().filter(|copies| has_padding(&copies[0])).count();
    assert!(padded > 20, "{padded} of {} packets sent again have padding", again.clone().count());
    assert!(again.clone().all(|copies| copies.iter().all(|copy| *copy == copies[0])));
    // The last retransmission may be on its way.
    assert!(world.view(seen).playback().holes.len() <= 1);
}

#[test]
fn a_repair_by_rtx_is_padded_anew_and_understood() {
    let (mut world, bob, seen) = call(Track::vp8_simulcast(), ClientOptions::default());
    world.run(Duration::from_secs(2));
    world.party_mut(bob).down.set_path(Path { loss: Loss::Random(0.08), ..WITHOUT_JITTER });
    world.run(Duration::from_secs(10));
    world.party_mut(bob).down.set_path(WITHOUT_JITTER);
    world.run(Duration::from_secs(1));
    assert!(world.view(seen).repaired > 50);
    assert_eq!(world.view(seen).playback().holes, [0; 0]);
}

#[test]
fn a_client_that_takes_padding_for_media_gets_none() {
    let (mut world, bob, seen) =
        call(Track::vp8_simulcast(), ClientOptions { padding: false, ..ClientOptions::default() });
    world.run(Duration::from_secs(5));
    assert!(!packets_to(&world, bob).flatten().any(|packet| has_padding(packet)));
    assert_eq!(world.sfu.counters().packets_evened, 0);
    world.view(seen).playback().assert_flawless();
}

/// A call that forwards the highest layers.
fn call(track: Track, options: ClientOptions) -> (World, Client, Viewed) {
    let (mut world, alice) = world();
    let bob = world.join(Direction::Recv, options);
    let camera = world.produce(alice, track);
    world.run(Duration::from_secs(2));
    let seen = world.consume(bob, camera);
    (world, bob, seen)
}

/// A world with a publisher whose pictures reach the server complete.
fn world() -> (World, Client) {
    let mut world = World::new(1);
    let alice = world.join(Direction::Send, ClientOptions { up: WITHOUT_JITTER, ..ClientOptions::default() });
    (world, alice)
}

fn packets_to(world: &World, client: Client) -> impl Iterator<Item = &Vec<Vec<u8>>> {
    let address = world.party(client).connection.address;
    world.runs.iter().filter(move |(to, _)| *to == address).map(|(_, packets)| packets)
}

/// RFC 7983 and RFC 5761.
fn is_rtp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second))
}

fn has_padding(packet: &[u8]) -> bool {
    packet[0] & 0x20 != 0
}

const WITHOUT_JITTER: Path = Path { jitter: Spread::None, ..Path::GOOD };
