//! Strangers and misbehaving clients: their packets are counted, and other clients are not disturbed.

use crate::world::track::Track;
use crate::world::{Client, IPV4_SERVER, Produced, Viewed, World};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rtcp::sender_report::SenderReport;
use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use switchyard_media::{Counters, Event, Input, Protocol, RelayClass, TransportCloseReason, Tuple};

#[test]
fn garbage_of_every_class_and_size_is_counted_and_harms_nobody() {
    let mut call = Call::new();
    let mut rng = StdRng::seed_from_u64(1);
    let before = call.world.sfu.counters().clone();
    let mut sent = 0;
    // From a stranger's address, and with spoofed addresses of clients.
    let remotes = [STRANGER.parse().unwrap(), call.address(call.alice), call.address(call.bob)];
    let sizes = (0..1_600).chain((1_600..65_536).step_by(997)).chain([65_535]);
    for size in sizes {
        let mut datagram = vec![0; size];
        rng.fill_bytes(&mut datagram);
        let first_bytes = [0, 1, 3, 4, 19, 20, 22, 23, 63, 64, 127, 128, 144, 160, 191, 192, 255];
        if let Some(first) = datagram.first_mut() {
            *first = first_bytes[size % first_bytes.len()];
        }
        if let Some(second) = datagram.get_mut(1).filter(|_| size % 3 == 0) {
            *second = 200;
        }
        call.inject(remotes[size / 17 % 3], datagram);
        sent += 1;
        if size % 100 == 0 {
            call.world.run(Duration::from_millis(50));
        }
    }
    // Each record of a datagram that is taken for DTLS counts.
    let counted = dropped(call.world.sfu.counters()) - dropped(&before);
    assert!((sent..sent + 100).contains(&counted), "{counted} of {sent}: {:?}", call.world.sfu.counters());
    call.assert_undisturbed();
}

#[test]
fn damaged_copies_of_real_datagrams_are_counted_and_harm_nobody() {
    let mut call = Call::new();
    let recorded = call.record(call.alice, Duration::from_secs(1));
    let mut rng = StdRng::seed_from_u64(2);
    let address = call.address(call.alice);
    for _ in 0..20 {
        for datagram in &recorded {
            let mut damaged = datagram.clone();
            let at = rng.random_range(0..damaged.len());
            match rng.random_range(0..3) {
                0 => damaged[at] ^= 1 << rng.random_range(0..8),
                1 => damaged.truncate(at),
                _ => damaged.extend_from_slice(&datagram[..at]),
            }
            call.inject(address, damaged);
        }
        call.world.run(Duration::from_millis(100));
    }
    call.assert_undisturbed();
}

#[test]
fn replayed_datagrams_are_refused() {
    let mut call = Call::new();
    let recorded = call.record(call.alice, Duration::from_secs(1));
    let media = recorded.iter().filter(|datagram| datagram[0] >= 128).count() as u64;
    let before = call.world.sfu.counters().clone();
    let address = call.address(call.alice);
    for datagram in &recorded {
        call.inject(address, datagram.clone());
    }
    let counters = call.world.sfu.counters();
    let refused =
        |counters: &Counters| counters.rtp_duplicate + counters.srtp_rejected + counters.srtcp_rejected;
    assert_eq!(refused(counters) - refused(&before), media);
    call.assert_undisturbed();
}

#[test]
fn authentic_nonsense_is_counted_and_harms_nobody() {
    let mut call = Call::new();
    let mallory = call.world.publisher();
    let camera = call.world.produce(mallory, Track::vp8_simulcast());
    call.world.consume(call.bob, camera);
    call.world.run(Duration::from_secs(1));
    let ssrc = call.world.track(camera).encodings[0].ssrc;
    call.world.track_mut(camera).muted = true;
    let mut numbers = [0; 8];
    for (number, encoding) in numbers.iter_mut().step_by(2).zip(&call.world.track(camera).encodings) {
        *number = encoding.sequence_number;
    }
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..3_000 {
        let len = rng.random_range(1..400);
        let mut noise = vec![0; len + 8];
        rng.fill_bytes(&mut noise);
        let connection = &mut call.world.party_mut(mallory).connection;
        match round % 3 {
            0 => connection
                .send_raw_rtcp(&[&[0x80 | noise[0] & 31, 192 + noise[0] % 16, 0, 1], &noise[..]].concat()),
            1 => connection.send_raw_rtcp(&rtcp_of_random_content(&mut rng, ssrc)),
            _ => {
                let plain = rtp_of_random_content(&mut rng, ssrc, &mut numbers, &noise);
                if let Ok(sealed) = connection.srtp.as_mut().unwrap().seal_rtp(&plain) {
                    connection.send_raw(sealed);
                }
            }
        }
        if round % 10 == 0 {
            call.world.run(Duration::from_millis(7));
        }
    }
    call.world.run(Duration::from_secs(1));
    let counters = call.world.sfu.counters();
    assert!(counters.rtcp_malformed > 100, "{counters:?}");
    assert!(
        counters.payload_malformed + counters.rtp_unknown_payload_type + counters.rtp_too_old > 100,
        "{counters:?}"
    );
    call.assert_undisturbed();
}

#[test]
fn whoever_reports_all_the_time_is_told_of_ten_times_a_second() {
    let mut world = World::sharded(1, 2);
    let mallory = world.publisher();
    let camera = world.produce(mallory, Track::vp8());
    let bob = world.subscriber_on(1);
    let seen = world.consume(bob, camera);
    world.run(Duration::from_secs(2));
    let ssrc = world.track(camera).encodings[0].ssrc;
    let report = SenderReport { ssrc, ..SenderReport::default() };
    let compound: Vec<Box<dyn rtcp::Packet>> = (0..40).map(|_| Box::new(report.clone()) as _).collect();
    world.relayed.clear();
    for _ in 0..500 {
        world.party_mut(mallory).connection.send_rtcp(&compound);
        world.run(Duration::from_millis(2));
    }
    let control = world.relayed.iter().filter(|(_, relay)| relay.class() == RelayClass::Control).count();
    assert!((9..=15).contains(&control), "{control} messages between workers in a second");
    assert!(world.sfu.counters().sender_reports_too_frequent > 19_000);
    world.view(seen).playback().assert_flawless();
}

#[test]
fn nonsense_in_a_receivers_data_association_harms_nobody() {
    let mut call = Call::new();
    let mallory = call.world.subscriber();
    call.world.run(Duration::from_secs(1));
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..500 {
        let mut noise = vec![0; rng.random_range(1..200)];
        rng.fill_bytes(&mut noise);
        let now = call.world.now;
        call.world.party_mut(mallory).connection.dtls.write(now, &noise);
        call.world.run(Duration::from_millis(3));
    }
    assert!(call.world.sfu.counters().sctp_rejected > 400);
    call.assert_undisturbed();
}

#[test]
fn a_flood_from_a_neighbour_fills_its_own_share_only() {
    let mut call = Call::new();
    let mallory = call.world.publisher();
    let flood = call.world.produce(mallory, Track { rate: 20_000, ..Track::opus() });
    let dave = call.world.subscriber();
    let flooded = call.world.consume(dave, flood);
    call.world.run(Duration::from_secs(2));
    let address = STRANGER.parse().unwrap();
    for number in 0..50_000u32 {
        let mut check = crate::world::ice::check("nobody:knows", "a guess", number.into());
        call.world.inject(address, IPV4_SERVER.parse().unwrap(), &mut check);
    }
    assert_eq!(call.world.sfu.counters().stun_unknown_username, 50_000);
    assert!(call.world.view(flooded).count() > 20_000);
    call.assert_undisturbed();
}

#[test]
fn a_flood_beyond_its_budget_is_dropped_unopened_and_nobody_elses_budget_is_touched() {
    let mut call = Call::within(World::configured(1, 1, |config| config.max_packet_rate = 500));
    let mallory = call.world.publisher();
    let flood = call.world.produce(mallory, Track { rate: 5_000, ..Track::opus() });
    let dave = call.world.subscriber();
    let flooded = call.world.consume(dave, flood);
    call.world.run(Duration::from_secs(2));
    call.world.track_mut(flood).muted = true;
    call.world.run(Duration::from_millis(100));
    let arrived = call.world.view(flooded).count();
    assert!((1_200..=1_600).contains(&arrived), "{arrived} of a second's at once and two seconds' worth");
    let over = call.world.sfu.counters().packets_over_budget as usize;
    assert!(over > 8_000, "{over} refused, {arrived} arrived");
    call.world.close(mallory);
    call.world.close(dave);
    let over = call.world.sfu.counters().packets_over_budget;

    // A sender with a spoofed address does not use up the budget of the address's owner.
    let (remote, before) = (call.address(call.alice), call.world.sfu.counters().srtp_rejected);
    let (local, now) = (IPV4_SERVER.parse().unwrap(), call.world.now);
    for number in 0..20_000_u32 {
        let mut forged = [&[0x80, 96, 0, 0][..], &number.to_be_bytes(), &[7; 100]].concat();
        let tuple = Tuple { protocol: Protocol::Udp, local, remote };
        call.world.sfu.handle_input(Input::Datagram { tuple, bytes: &mut forged, at: now }, now);
    }
    assert_eq!(call.world.sfu.counters().srtp_rejected - before, 20_000);
    call.assert_undisturbed();
    assert_eq!(call.world.sfu.counters().packets_over_budget, over);
}

#[test]
fn whoever_asks_for_everything_again_soon_asks_in_vain() {
    let mut call = Call::within(World::configured(1, 1, |config| config.max_packet_rate = 1_000));
    let mallory = call.world.subscriber();
    let seen = call.world.consume(mallory, call.camera);
    call.world.run(Duration::from_secs(1));
    let media_ssrc = call.world.view(seen).ssrc;
    let nacks = (0..250).map(|pair| NackPair { packet_id: pair * 17, lost_packets: u16::MAX }).collect();
    let nack = TransportLayerNack { sender_ssrc: 7, media_ssrc, nacks };
    for _ in 0..1_000 {
        call.world.party_mut(mallory).connection.send_rtcp(&[Box::new(nack.clone())]);
        call.world.run(Duration::from_millis(1));
    }
    let over = call.world.sfu.counters().packets_over_budget;
    assert!(over > 900, "each is the work of dozens of packets, and only {over} were refused");
    call.assert_undisturbed();
}

#[test]
fn a_million_strangers_are_counted_and_nothing_is_kept_of_them() {
    let mut call = Call::new();
    let before = (call.world.sfu.population(), dropped(call.world.sfu.counters()));
    let mut rng = StdRng::seed_from_u64(9);
    let mut datagram = [0; 60];
    rng.fill_bytes(&mut datagram);
    let (local, now) = (IPV4_SERVER.parse().unwrap(), call.world.now);
    for stranger in 0..1_000_000u32 {
        // STUN, DTLS, RTP, RTCP and none of them (RFC 7983), each from an address of its own.
        let [first, second] = [[0, 1], [22, 254], [128, 96], [128, 200], [255, 0]][stranger as usize % 5];
        [datagram[0], datagram[1]] = [first, second];
        let remote = (std::net::Ipv4Addr::from(0x0b00_0000 + stranger), 4_000).into();
        let tuple = Tuple { protocol: Protocol::Udp, local, remote };
        let input = Input::Datagram { tuple, bytes: &mut datagram.clone(), at: now };
        call.world.sfu.handle_input(input, now);
    }
    assert_eq!(dropped(call.world.sfu.counters()) - before.1, 1_000_000);
    assert_eq!(call.world.sfu.population(), before.0);
    call.assert_undisturbed();
}

#[test]
fn many_datagrams_at_once_overflow_a_queue_by_name_and_count() {
    let mut call = Call::new();
    let mallory = call.world.publisher();
    let flood = call.world.produce(mallory, Track::opus());
    let dave = call.world.subscriber();
    call.world.consume(dave, flood);
    call.world.run(Duration::from_secs(1));
    call.world.track_mut(flood).muted = true;
    let (from, ssrc) = (call.address(mallory), call.world.track(flood).encodings[0].ssrc);
    let local = IPV4_SERVER.parse().unwrap();
    let first = call.world.track(flood).encodings[0].sequence_number;
    for number in 0..6_000u16 {
        let mut plain = vec![0x80, 111];
        plain.extend(first.wrapping_add(number).to_be_bytes());
        plain.extend(u32::from(number).to_be_bytes());
        plain.extend(ssrc.to_be_bytes());
        plain.extend([0xfc; 40]);
        let mut sealed = call.world.party_mut(mallory).connection.seal_rtp(&plain);
        let tuple = Tuple { protocol: Protocol::Udp, local, remote: from };
        let now = call.world.now;
        call.world.sfu.handle_input(Input::Datagram { tuple, bytes: &mut sealed, at: now }, now);
    }
    assert!(call.world.sfu.counters().egress_overflow > 1_000);
    call.world.close(mallory);
    call.world.close(dave);
    call.assert_undisturbed();
}

#[test]
fn a_transport_whose_work_panicked_is_buried_alone() {
    let mut call = Call::new();
    let mallory = call.world.publisher();
    let flood = call.world.produce(mallory, Track::opus());
    let heard = call.world.consume(call.bob, flood);
    call.world.run(Duration::from_secs(1));
    let transport = call.world.transport(mallory);
    // No datagram is known to cause a panic, so the clock does: adding 30 s to the last possible time
    // overflows.
    let mut check = call.world.party(mallory).connection.ice.check();
    let tuple =
        Tuple { protocol: Protocol::Udp, local: IPV4_SERVER.parse().unwrap(), remote: call.address(mallory) };
    let end_of_time = end_of_time(call.world.now);
    let sfu = &mut call.world.sfu;
    let worked = catch_unwind(AssertUnwindSafe(|| {
        sfu.handle_input(Input::Datagram { tuple, bytes: &mut check, at: end_of_time }, end_of_time);
    }));
    assert!(worked.is_err());
    let now = call.world.now;
    call.world.sfu.bury(now);
    call.world.track_mut(flood).muted = true;
    call.world.run(Duration::from_secs(1));

    let reason = TransportCloseReason::Fault;
    assert!(call.world.has_event(|event| *event == Event::TransportClosed { transport, reason }));
    let closed = Event::ConsumerClosed { consumer: heard.id, producer: flood.id };
    assert!(call.world.has_event(|event| *event == closed));
    assert_eq!(call.world.sfu.counters().transports_buried, 1);
    assert_eq!(call.world.sfu.population().transports, 2);
    call.assert_undisturbed();
}

/// A call of two clients that nothing may disturb.
pub struct Call {
    pub world: World,
    alice: Client,
    bob: Client,
    pub camera: Produced,
    views: [Viewed; 2],
}

impl Call {
    pub fn new() -> Self {
        Self::within(World::new(1))
    }

    fn within(mut world: World) -> Self {
        let (alice, bob) = (world.publisher(), world.subscriber());
        let (mic, camera) = (world.produce(alice, Track::opus()), world.produce(alice, Track::vp8()));
        let views = [mic, camera].map(|produced| world.consume(bob, produced));
        world.run(Duration::from_secs(2));
        Self { world, alice, bob, camera, views }
    }

    pub fn address(&self, client: Client) -> SocketAddr {
        self.world.party(client).connection.address
    }

    fn inject(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        self.world.inject(from, IPV4_SERVER.parse().unwrap(), &mut datagram);
    }

    /// What a client sends meanwhile.
    fn record(&mut self, client: Client, duration: Duration) -> Vec<Vec<u8>> {
        let recorded = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let tape = recorded.clone();
        self.world.filter(client, true, move |datagram| {
            tape.borrow_mut().push(datagram.to_vec());
            true
        });
        self.world.run(duration);
        self.world.filter(client, true, |_| true);
        self.world.run(Duration::from_millis(100));
        recorded.take()
    }

    /// No packet was lost or late, and the call continues.
    pub fn assert_undisturbed(&mut self) {
        self.world.run(Duration::from_secs(2));
        for view in self.views {
            let playback = self.world.view(view).playback();
            playback.assert_flawless();
            let last = playback.pictures.last().unwrap().captured();
            assert!(last + Duration::from_millis(100) > self.world.age(), "nothing came since {last:?}");
        }
        let sent = self.world.track(self.camera).encodings[0].packets as usize;
        assert!(self.world.view(self.views[1]).count() + 20 > sent);
        assert!(self.world.party(self.alice).connection.is_connected());
    }
}

/// The number of datagrams and packets that were rejected.
fn dropped(counters: &Counters) -> u64 {
    counters.datagrams_unclassified
        + counters.datagrams_unknown_tuple
        + counters.stun_unknown_username
        + counters.stun_rejected
        + counters.dtls_rejected
        + counters.srtp_without_keys
        + counters.rtp_malformed
        + counters.srtp_rejected
        + counters.srtcp_rejected
        + counters.rtcp_malformed
}

/// Well-formed RTCP headers with random contents.
fn rtcp_of_random_content(rng: &mut StdRng, ssrc: u32) -> Vec<u8> {
    let words = rng.random_range(1..30u16);
    let mut packet = vec![0x80 | rng.random_range(0..32), 200 + rng.random_range(0..8)];
    packet.extend(words.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    let mut content = vec![0; 4 * (usize::from(words) - 1)];
    rng.fill_bytes(&mut content);
    packet.extend(content);
    packet
}

/// RTP whose sequence numbers jump wildly, with random extensions and payloads.
fn rtp_of_random_content(rng: &mut StdRng, ssrc: u32, numbers: &mut [u16; 8], noise: &[u8]) -> Vec<u8> {
    let stream = rng.random_range(0..8);
    let number = &mut numbers[stream];
    *number = number.wrapping_add(if rng.random_bool(0.05) { 5_000 } else { rng.random_range(1..20) });
    let mut packet = vec![0x90, if rng.random_bool(0.8) { 96 } else { rng.random_range(0..128) }];
    packet.extend(number.to_be_bytes());
    packet.extend(rng.random::<u32>().to_be_bytes());
    packet.extend((ssrc + stream as u32).to_be_bytes());
    let mut extensions = Vec::new();
    for value in noise.chunks(8).take(5) {
        extensions.push(rng.random_range(1..15u8) << 4 | (value.len() - 1) as u8);
        extensions.extend(value);
    }
    extensions.resize(extensions.len().next_multiple_of(4), 0);
    packet.extend([0xbe, 0xde]);
    packet.extend((extensions.len() as u16 / 4).to_be_bytes());
    packet.extend(extensions);
    packet.extend(noise);
    packet
}

fn end_of_time(now: std::time::Instant) -> std::time::Instant {
    let mut time = now;
    let mut step = Duration::MAX;
    while !step.is_zero() {
        time = time.checked_add(step).unwrap_or(time);
        step /= 2;
    }
    time
}

const STRANGER: &str = "203.0.113.66:6666";
