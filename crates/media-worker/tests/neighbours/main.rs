//! A call and a flooding neighbour on one worker, over real sockets: all packets of the call arrive.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;

use client::{Client, PACKETS};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use switchyard_media_worker::media::Direction;
use switchyard_media_worker::media::Event;
use switchyard_media_worker::{Counters, Media, MediaConfig, Router, Sending};
use switchyard_peer::Identity;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

#[test]
fn a_publisher_that_sends_ten_times_as_much_takes_nothing_from_others() {
    let mut place = Place::open();
    let [mut flooder, mut flooded] = place.call();
    place.assert_undisturbed_while(|| {
        // Ten pictures in the time in which others send one.
        (0..10).for_each(|_| flooder.send_picture());
        flooded.receive();
        sleep(PICTURE);
    });
    let sent = flooder.counts().1;
    assert!(sent > 3 * PICTURES * PACKETS, "no flood: {sent} packets");
    assert_eq!(place.counters().media.packets_over_budget, 0, "so much may be wanted");
    flooded.receive();
    assert!(flooded.counts().1 > sent / 2, "what may be wanted arrives");
    place.close();
}

#[test]
fn a_publisher_that_sends_a_hundred_times_as_much_is_held_to_its_budget() {
    let mut place = Place::open();
    let [mut flooder, flooded] = place.call();
    let began = Instant::now();
    place.assert_undisturbed_while(|| {
        (0..100 / PACKETS).for_each(|_| flooder.send_picture());
        sleep(BREATH);
    });
    let (sent, counters) = (flooder.counts().1 as u64, place.counters());
    let Counters { media, shell, .. } = &counters;
    // The budget includes a burst of one second's packets.
    let allowed = u64::from(BUDGET) * (began.elapsed().as_secs() + 2);
    let refused = media.packets_over_budget + shell.kernel_receive_drops;
    assert!(refused >= sent.saturating_sub(allowed), "{sent} packets of {allowed}: {media:?}");
    assert!(counters.population.stored_bytes < 16 << 20, "{:?}", counters.population);
    drop(flooded);
    place.close();
}

#[test]
fn a_stranger_that_floods_takes_nothing_from_others() {
    let mut place = Place::open();
    let (before, server) = (place.counters().population, place.server());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let small = [vec![0x80; 1_200], vec![0; 100], vec![22; 600], vec![255; 1]];
    // The largest datagrams fill the receive buffer quickly, so only one in 200 is large.
    let large = [vec![0x80; 65_507], vec![22; 65_507]];
    let mut next = large.iter().flat_map(|large| small.iter().cycle().take(200).chain([large])).cycle();
    place.assert_undisturbed_while(|| {
        for datagram in next.by_ref().take(100) {
            // A full buffer refuses the datagram.
            let _ = socket.send_to(datagram, server);
        }
        sleep(BREATH);
    });
    let Counters { media, population, .. } = place.counters();
    assert!(media.datagrams_unknown_tuple > 1_000, "no flood: {media:?}");
    assert!(media.stun_unknown_username > 500 && media.datagrams_unclassified > 500, "{media:?}");
    assert_eq!((population.transports, population.demux_entries), (before.transports, before.demux_entries));
    place.close();
}

/// One worker with a call that must not be disturbed.
struct Place {
    runtime: Runtime,
    media: Media,
    identity: Identity,
    calls: Vec<(Router, mpsc::Receiver<Event>)>,
    publisher: Client,
    subscriber: Client,
}

impl Place {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = MediaConfig {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            port: 0,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: BUDGET,
            announced: vec![],
            sending: Sending::default(),
        };
        let media = runtime.block_on(Media::start(config)).unwrap();
        let identity = Identity::generate().unwrap();
        let call = runtime.block_on(media.create_router()).unwrap();
        let [publisher, subscriber] = members(&runtime, &call.0, &identity);
        Self { runtime, media, identity, calls: vec![call], publisher, subscriber }
    }

    /// Opens another call and returns its publisher and its subscriber.
    fn call(&mut self) -> [Client; 2] {
        let call = self.runtime.block_on(self.media.create_router()).unwrap();
        let members = members(&self.runtime, &call.0, &self.identity);
        self.calls.push(call);
        members
    }

    fn server(&self) -> SocketAddr {
        self.publisher.server
    }

    fn counters(&self) -> Counters {
        self.runtime.block_on(self.media.counters()).remove(0)
    }

    /// Every packet of the call arrives while `floods` runs again and again. On a very busy machine, on which
    /// the worker gets no CPU time, the kernel may drop packets of any sender.
    fn assert_undisturbed_while(&mut self, mut floods: impl FnMut() + Send) {
        let stop = AtomicBool::new(false);
        let Self { publisher, subscriber, .. } = self;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    floods();
                }
            });
            for _ in 0..PICTURES {
                publisher.send_picture();
                publisher.send_sound();
                subscriber.receive();
                sleep(PICTURE);
            }
            let deadline = Instant::now() + SETTLING;
            while subscriber.counts() != publisher.counts() && Instant::now() < deadline {
                publisher.receive();
                subscriber.receive();
                sleep(PICTURE);
            }
            stop.store(true, Ordering::Relaxed);
        });
        let counters = self.counters();
        let (sent, arrived) = (self.publisher.counts(), self.subscriber.counts());
        let is_complete = sent == arrived;
        let is_most = arrived.0 * 10 > sent.0 * 9 && arrived.1 * 10 > sent.1 * 9;
        assert!(
            is_complete || (is_most && counters.shell.kernel_receive_drops > 0),
            "sound and pictures: {sent:?} became {arrived:?}: {counters:?}"
        );
        assert_eq!((counters.shell.faults, counters.media.srtp_rejected), (0, 0));
    }

    fn close(self) {
        self.runtime.block_on(self.media.shutdown());
    }
}

fn members(runtime: &Runtime, router: &Router, identity: &Identity) -> [Client; 2] {
    let [publisher, subscriber] = [Direction::Send, Direction::Recv]
        .map(|direction| Client::join(runtime, router, identity, direction));
    let producers = publisher.produce(runtime, router);
    subscriber.consume(runtime, router, producers);
    [publisher, subscriber]
}

const PICTURES: usize = 100;
/// The interval of pictures and of audio packets.
const PICTURE: Duration = Duration::from_millis(10);
/// Time limit for packets on their way.
const SETTLING: Duration = Duration::from_secs(5);
/// The pause after each hundred datagrams of a flood.
const BREATH: Duration = Duration::from_millis(1);
/// Packets per second.
const BUDGET: u32 = 10_000;
