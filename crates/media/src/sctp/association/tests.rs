//! Our association against rtc-sctp's own endpoint as the browser.

use super::super::Delivery;
use super::super::resets::MAX_DEFERRED;
use super::*;
use crate::dtls::{Certificate, Dtls, DtlsEvent, DtlsRole, HashAlgorithm, RtcDtls};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rtc_sctp::ClientConfig;
use std::time::Duration;

const RELIABLE: Reliability = Reliability { ordered: true, delivery: Delivery::Reliable };

#[test]
fn messages_of_every_kind_are_echoed_unchanged() {
    let mut story = Story::connected();
    story.ours.open_stream(7, RELIABLE).unwrap();
    let long = Bytes::from(vec![9; MAX_MESSAGE_SIZE]);
    let payloads = [
        Payload::Text(Bytes::from_static("grüß dich".as_bytes())),
        Payload::Binary(Bytes::from_static(&[0, 1, 2])),
        Payload::Text(Bytes::new()),
        Payload::Binary(Bytes::new()),
        Payload::Binary(long),
    ];
    for payload in payloads {
        story.client.send(story.now, 7, &payload);
        story.run();
        assert_eq!(story.ours.poll_event(), Some(SctpEvent::Message { stream: 7, payload: payload.clone() }));
        story.ours.send(story.now, 7, &payload).unwrap();
        story.run();
        assert_eq!(story.client.received.pop(), Some((7, payload)));
    }
    assert_eq!(story.ours.poll_event(), None);
}

#[test]
fn a_repeated_init_does_not_spoil_the_association() {
    let mut story = Story::new();
    let lost_answer = story.client.poll_packets(story.now);
    story.deliver(&lost_answer);
    story.ours.poll_packet(story.now).unwrap();
    story.now = story.client.association.poll_timeout().unwrap();
    story.client.association.handle_timeout(story.now);
    story.run();
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::Connected));
    assert_eq!(story.ours.handle_packet(story.now, lost_answer[0].clone()), Err(SctpError::UnexpectedChunk));
    story.assert_echo();
}

#[test]
fn inits_beyond_what_retransmission_explains_are_dropped() {
    let mut story = Story::new();
    let inits = story.client.poll_packets(story.now);
    for _ in 0..MAX_ATTEMPTS {
        story.ours.handle_packet(story.now, inits[0].clone()).unwrap();
    }
    assert_eq!(story.ours.handle_packet(story.now, inits[0].clone()), Err(SctpError::TooManyInits));
}

#[test]
fn streams_may_be_opened_before_the_association_but_not_sent_on() {
    let mut story = Story::new();
    story.ours.open_stream(3, RELIABLE).unwrap();
    assert_eq!(story.ours.open_stream(3, RELIABLE), Err(SctpOpenError::AlreadyOpen));
    assert_eq!(story.ours.open_stream(STREAMS, RELIABLE), Err(SctpOpenError::InvalidId));
    let hello = Payload::Text(Bytes::from_static(b"hello"));
    assert_eq!(story.ours.send(story.now, 3, &hello), Err(SctpSendError::NotConnected));
    story.run();
    story.ours.send(story.now, 3, &hello).unwrap();
    assert_eq!(story.ours.send(story.now, 4, &hello), Err(SctpSendError::Closed));
    story.run();
    assert_eq!(story.client.received, [(3, hello)]);
}

#[test]
fn a_message_on_a_stream_that_nobody_opened_is_dropped_and_told() {
    let mut story = Story::connected();
    story.client.send(story.now, 5, &Payload::Text(Bytes::from_static(b"early")));
    story.run();
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::Dropped(DropReason::UnknownStream)));
    story.ours.open_stream(5, RELIABLE).unwrap();
    story.assert_echo_on(5);
}

#[test]
fn a_dcep_open_is_acknowledged_and_otherwise_ignored() {
    let mut story = Story::connected();
    let open = [DCEP_OPEN, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    story.client.write(story.now, 9, PayloadProtocolIdentifier::Dcep, &Bytes::copy_from_slice(&open));
    story.run();
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::Dropped(DropReason::Dcep)));
    assert_eq!(story.client.dcep_acks, 1);
}

#[test]
fn a_stream_that_the_client_closes_is_closed_here_and_the_others_live() {
    let mut story = Story::connected();
    story.ours.open_stream(1, RELIABLE).unwrap();
    story.ours.open_stream(2, RELIABLE).unwrap();
    story.client.send(story.now, 2, &Payload::Text(Bytes::from_static(b"last words")));
    story.client.association.stream(2).unwrap().close(story.now).unwrap();
    story.run();
    assert!(matches!(story.ours.poll_event(), Some(SctpEvent::Message { stream: 2, .. })));
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::StreamClosed { stream: 2 }));
    let late = Payload::Text(Bytes::from_static(b"late"));
    assert_eq!(story.ours.send(story.now, 2, &late), Err(SctpSendError::Closed));
    story.assert_echo_on(1);
}

#[test]
fn a_stream_that_we_close_delivers_what_was_sent_and_then_closes_at_the_client() {
    let mut story = Story::connected();
    story.ours.open_stream(1, RELIABLE).unwrap();
    let last = Payload::Binary(Bytes::from(vec![1; 100_000]));
    story.ours.send(story.now, 1, &last).unwrap();
    story.ours.close_stream(story.now, 1);
    story.run();
    assert_eq!(story.client.received, [(1, last)]);
    assert_eq!(story.client.closed_streams, [1]);
    assert_eq!(story.ours.poll_event(), None);
    story.ours.open_stream(1, RELIABLE).unwrap();
    story.assert_echo_on(1);
}

#[test]
fn a_client_that_does_not_acknowledge_blocks_its_stream_at_one_mebibyte() {
    let mut story = Story::connected();
    story.ours.open_stream(1, RELIABLE).unwrap();
    let chunk = Payload::Binary(Bytes::from(vec![5; 65_536]));
    for _ in 0..16 {
        story.ours.send(story.now, 1, &chunk).unwrap();
    }
    assert_eq!(story.ours.send(story.now, 1, &chunk), Err(SctpSendError::Blocked));
    let too_large = Payload::Binary(Bytes::from(vec![0; MAX_MESSAGE_SIZE + 1]));
    assert_eq!(story.ours.send(story.now, 1, &too_large), Err(SctpSendError::TooLarge));
    story.run();
    assert_eq!(story.client.received.len(), 16);
    story.ours.send(story.now, 1, &chunk).unwrap();
}

#[test]
fn unreliable_messages_are_given_up_and_free_their_room() {
    for delivery in [Delivery::MaxPacketLifeTime(100), Delivery::MaxRetransmits(0)] {
        let mut story = Story::connected();
        story.ours.open_stream(1, Reliability { ordered: false, delivery }).unwrap();
        story.ours.send(story.now, 1, &Payload::Text(Bytes::from_static(b"lost"))).unwrap();
        while story.ours.poll_packet(story.now).is_some() {}
        for _ in 0..3 {
            story.now += Duration::from_secs(5);
            story.ours.handle_timeout(story.now);
            story.run();
        }
        assert_eq!(story.client.received, []);
        story.assert_echo_on(1);
    }
}

#[test]
fn the_20_byte_abort_is_dropped_and_the_association_lives() {
    let mut story = Story::connected();
    let abort = story.made_by_client(&[6, 0, 0, 8, 0, 12, 0, 200]);
    assert_eq!(abort.len(), 20);
    assert_eq!(story.ours.handle_packet(story.now, abort), Err(SctpError::Malformed));
    let error = story.made_by_client(&[9, 0, 0, 8, 0, 6, 0, 4]);
    assert_eq!(story.ours.handle_packet(story.now, error), Err(SctpError::UnexpectedChunk));
    story.assert_echo();
}

#[test]
fn an_abort_of_the_client_closes_the_association_once() {
    let mut story = Story::connected();
    story.assert_echo();
    story.client.association.abort().unwrap();
    let packets = story.client.poll_packets(story.now);
    story.deliver(&packets);
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::Closed));
    assert_eq!(story.ours.handle_packet(story.now, packets[0].clone()), Err(SctpError::Closed));
    assert_eq!(story.ours.open_stream(2, RELIABLE), Err(SctpOpenError::Closed));
    assert_eq!((story.ours.poll_packet(story.now), story.ours.poll_timeout()), (None, None));
}

#[test]
fn packets_for_nobody_are_dropped() {
    let mut story = Story::connected();
    let mut broken = story.made_by_client(&[11, 0, 0, 4]).to_vec();
    broken[4] ^= 1;
    assert_eq!(story.ours.handle_packet(story.now, broken.into()), Err(SctpError::NotOurs));
    assert_eq!(story.ours.handle_packet(story.now, Bytes::from_static(b"short")), Err(SctpError::Malformed));
}

#[test]
fn a_tsn_far_ahead_is_dropped() {
    let mut story = Story::connected();
    story.assert_echo();
    let far = story.ours.acknowledged.wrapping_add(1 << 20).to_be_bytes();
    let forward = story.made_by_client(&[&[192, 0, 0, 8], &far[..]].concat());
    assert_eq!(story.ours.handle_packet(story.now, forward), Err(SctpError::TooFarAhead));
    story.assert_echo_on(100);
}

#[test]
fn resets_that_wait_for_data_are_dropped_at_a_bound() {
    let mut story = Story::connected();
    let later = story.ours.acknowledged.wrapping_add(100).to_be_bytes();
    let refused = (0..=MAX_DEFERRED).find_map(|number| {
        let number_bytes = number.to_be_bytes();
        let request = [&[130, 0, 0, 22, 0, 13, 0, 18], &number_bytes[..], &[0; 4], &later, &[0, 1, 0, 0]];
        let packet = story.made_by_client(&request.concat());
        story.ours.handle_packet(story.now, packet).err().map(|error| (number, error))
    });
    assert_eq!(refused, Some((MAX_DEFERRED, SctpError::TooManyResets)));
}

#[test]
fn a_stream_that_never_carried_a_message_closes_whoever_closes_it() {
    let mut story = Story::connected();
    for stream in [1, 2] {
        story.ours.open_stream(stream, RELIABLE).unwrap();
        story.client.open(stream);
    }
    story.client.association.stream(1).unwrap().close(story.now).unwrap();
    story.run();
    assert_eq!(story.client.closed_streams, [1]);
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::StreamClosed { stream: 1 }));
    story.ours.close_stream(story.now, 2);
    assert_eq!(story.ours.open_stream(2, RELIABLE), Err(SctpOpenError::Closing));
    story.run();
    assert_eq!(story.client.closed_streams, [1, 2]);
    assert_eq!(story.ours.poll_event(), None);
    for stream in [1, 2] {
        story.ours.open_stream(stream, RELIABLE).unwrap();
        story.assert_echo_on(stream);
    }
}

#[test]
fn a_stream_opened_before_the_association_closes_too() {
    let mut story = Story::new();
    story.ours.open_stream(1, RELIABLE).unwrap();
    story.run();
    assert_eq!(story.ours.poll_event(), Some(SctpEvent::Connected));
    story.client.open(1);
    story.client.association.stream(1).unwrap().close(story.now).unwrap();
    story.run();
    assert_eq!(story.client.closed_streams, [1]);
}

#[test]
fn a_free_stream_is_the_one_that_rested_longest() {
    let mut sctp = Sctp::new();
    for expected in [0, 1, 2] {
        assert_eq!(sctp.free_stream(), Some(expected));
        sctp.open_stream(expected, RELIABLE).unwrap();
    }
    sctp.close_stream(Instant::now(), 1);
    assert_eq!(sctp.free_stream(), Some(3));
    (3..STREAMS).for_each(|stream| sctp.open_stream(stream, RELIABLE).unwrap());
    assert_eq!(sctp.free_stream(), Some(1));
    sctp.open_stream(1, RELIABLE).unwrap();
    assert_eq!(sctp.free_stream(), None);
}

#[test]
fn an_echo_works_inside_dtls() {
    let mut story = Story::new();
    let [certificate, peer_certificate] = [(); 2].map(|()| Certificate::generate().unwrap());
    let sha256 = |certificate: &Certificate| vec![certificate.fingerprint(HashAlgorithm::Sha256)];
    let mut server = RtcDtls::new(certificate.clone(), [1; 20]);
    let mut client = RtcDtls::new(peer_certificate.clone(), [2; 20]);
    server.start(story.now, DtlsRole::Server, sha256(&peer_certificate)).unwrap();
    client.start(story.now, DtlsRole::Client, sha256(&certificate)).unwrap();
    story.ours.open_stream(0, RELIABLE).unwrap();
    while story.client.received.is_empty() {
        while let Some(datagram) = client.poll_transmit() {
            server.handle_datagram(story.now, &datagram);
        }
        while let Some(event) = server.poll_event() {
            if let DtlsEvent::ApplicationData(packet) = event {
                story.ours.handle_packet(story.now, packet).unwrap();
            }
        }
        while let Some(event) = story.ours.poll_event() {
            if let SctpEvent::Message { stream, payload } = event {
                story.ours.send(story.now, stream, &payload).unwrap();
            }
        }
        while let Some(packet) = story.ours.poll_packet(story.now) {
            server.write(story.now, &packet).unwrap();
        }
        while let Some(datagram) = server.poll_transmit() {
            client.handle_datagram(story.now, &datagram);
        }
        while let Some(event) = client.poll_event() {
            if let DtlsEvent::ApplicationData(packet) = event {
                story.client.handle(story.now, packet);
            }
            if story.client.connections == 1 {
                story.client.send(story.now, 0, &Payload::Text(Bytes::from_static(b"echo")));
                story.client.connections = 0;
            }
            for packet in story.client.poll_packets(story.now) {
                client.write(story.now, &packet).unwrap();
            }
        }
    }
    assert_eq!(story.client.received, [(0, Payload::Text(Bytes::from_static(b"echo")))]);
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..Default::default() })]

    #[test]
    fn garbage_that_bears_the_right_tag_and_checksum_never_panics(
        chunks in prop::collection::vec((0usize..16, prop::collection::vec(any::<u8>(), 0..64), -4i32..5), 1..6),
    ) {
        const TYPES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192, 255];
        let mut story = Story::connected();
        let mut body = Vec::new();
        for (kind, value, skew) in chunks {
            let length = (value.len() as i32 + 4 + skew).max(0) as u16;
            body.extend_from_slice(&[TYPES[kind], value.first().copied().unwrap_or(3) & 7]);
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(&value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let packet = story.made_by_client(&body);
        let _ = story.ours.handle_packet(story.now, packet);
        while story.ours.poll_packet(story.now).is_some() {}
    }

    #[test]
    fn well_formed_packets_with_a_few_bytes_changed_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), which in 0usize..4,
    ) {
        const CHUNKS: [&[u8]; 4] = [
            &[6, 0, 0, 16, 0, 12, 0, 8, 1, 2, 3, 4, 0, 12, 0, 4],
            &[130, 0, 0, 22, 0, 13, 0, 18, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
            &[3, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 6, 0, 0, 8, 0, 12, 0, 4],
            &[4, 0, 0, 12, 0, 1, 0, 8, 1, 2, 3, 4, 192, 0, 0, 12, 0, 0, 0, 1, 0, 1, 0, 1],
        ];
        let mut story = Story::connected();
        let mut body = CHUNKS[which].to_vec();
        for (index, byte) in changes {
            let index = index.index(body.len());
            body[index] = byte;
        }
        let packet = story.made_by_client(&body);
        let _ = story.ours.handle_packet(story.now, packet);
        while story.ours.poll_packet(story.now).is_some() {}
    }

    #[test]
    fn plausible_chunks_in_any_order_never_panic(
        chunks in prop::collection::vec((0u8..5, 0u8..8, 0u32..12, 99u16..102, 0u16..4), 1..24),
    ) {
        let mut story = Story::connected();
        story.assert_echo();
        story.ours.send(story.now, 100, &Payload::Binary(Bytes::from(vec![1; 5000]))).unwrap();
        let first = story.ours.poll_packet(story.now).unwrap();
        let sent = u32::from_be_bytes(first[16..20].try_into().unwrap());
        let received = story.ours.acknowledged;
        for (kind, flags, tsn, stream, number) in chunks {
            let [theirs, ours] = [received, sent].map(|base| base.wrapping_add(tsn).wrapping_sub(2).to_be_bytes());
            let (stream, number) = (stream.to_be_bytes(), number.to_be_bytes());
            let chunk: Vec<u8> = match kind {
                0 => [&[0, flags, 0, 17], &theirs[..], &stream, &number, &[0, 0, 0, 51, 65, 0, 0, 0]].concat(),
                1 => [&[3, 0, 0, 20], &ours[..], &[0, 1, 0, 0, 0, 1, 0, 0], &number, &stream].concat(),
                2 => [&[192, 0, 0, 12], &theirs[..], &stream, &number].concat(),
                3 => [&[130, 0, 0, 22, 0, 13, 0, 18, 0, 0], &number[..], &[0; 4], &theirs, &stream, &[0; 2]].concat(),
                _ => vec![7, 0, 0, 8, ours[0], ours[1], ours[2], ours[3]],
            };
            let packet = story.made_by_client(&chunk);
            let _ = story.ours.handle_packet(story.now, packet);
            story.now += Duration::from_millis(u64::from(flags) * 300);
            story.ours.handle_timeout(story.now);
            while story.ours.poll_packet(story.now).is_some() {}
        }
    }
}

/// Both ends and their common clock.
struct Story {
    ours: Sctp,
    client: Client,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        let now = Instant::now();
        Self { ours: Sctp::new(), client: Client::new(now), now }
    }

    fn connected() -> Self {
        let mut story = Self::new();
        story.run();
        assert_eq!(story.ours.poll_event(), Some(SctpEvent::Connected));
        story
    }

    /// Delivers packets, including delayed acknowledgements, until neither end has any left.
    fn run(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            idle += 1;
            while let Some(packet) = self.ours.poll_packet(self.now) {
                self.client.handle(self.now, packet);
                idle = 0;
            }
            let packets = self.client.poll_packets(self.now);
            if !packets.is_empty() {
                self.deliver(&packets);
                idle = 0;
            }
            if idle > 0 {
                self.now += Duration::from_millis(200);
                self.ours.handle_timeout(self.now);
                self.client.association.handle_timeout(self.now);
            }
        }
    }

    fn deliver(&mut self, packets: &[Bytes]) {
        for packet in packets {
            self.ours.handle_packet(self.now, packet.clone()).unwrap();
        }
    }

    fn assert_echo(&mut self) {
        self.ours.open_stream(100, RELIABLE).unwrap();
        self.assert_echo_on(100);
    }

    fn assert_echo_on(&mut self, stream: u16) {
        let payload = Payload::Text(Bytes::from_static(b"still there?"));
        self.client.send(self.now, stream, &payload);
        self.run();
        assert_eq!(self.ours.poll_event(), Some(SctpEvent::Message { stream, payload: payload.clone() }));
        self.ours.send(self.now, stream, &payload).unwrap();
        self.run();
        assert_eq!(self.client.received.last(), Some(&(stream, payload)));
    }

    /// A packet of these chunks as only the client can make it: with the server's verification tag.
    fn made_by_client(&self, chunks: &[u8]) -> Bytes {
        let tag = self.client.our_tag.to_be_bytes();
        let mut packet = [&[0x13, 0x88, 0x13, 0x88], &tag[..], &[0; 4], chunks].concat();
        let checksum = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&checksum);
        packet.into()
    }
}

/// The browser's end of the association.
struct Client {
    endpoint: Endpoint,
    association: Association,
    our_tag: u32,
    received: Vec<(u16, Payload)>,
    closed_streams: Vec<u16>,
    dcep_acks: usize,
    connections: usize,
}

impl Client {
    fn new(now: Instant) -> Self {
        let mut endpoint =
            Endpoint::new(LOCAL, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), None);
        let (_, association) = endpoint.connect(now, ClientConfig::default(), PEER).unwrap();
        Self {
            endpoint,
            association,
            our_tag: 0,
            received: vec![],
            closed_streams: vec![],
            dcep_acks: 0,
            connections: 0,
        }
    }

    fn handle(&mut self, now: Instant, packet: Bytes) {
        if let Some((_, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, PEER, None, packet)
        {
            self.association.handle_event(event);
        }
        while let Some(event) = self.association.poll() {
            match event {
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Connected => self.connections += 1,
                Event::AssociationLost { id, .. } => self.closed_streams.push(id),
                Event::HandshakeFailed { .. } | Event::DatagramReceived | Event::Stream(_) | _ => {}
            }
        }
    }

    fn read(&mut self, stream: u16) {
        let mut library = self.association.stream(stream).unwrap();
        while let Ok(Some(message)) = library.read_sctp() {
            match payload(&message) {
                Ok(payload) => self.received.push((stream, payload)),
                Err(_) => {
                    assert_eq!(message.to_payload(1).unwrap()[..], [DCEP_ACK]);
                    self.dcep_acks += 1;
                }
            }
        }
    }

    fn poll_packets(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(now) {
            if let rtc_sctp::Payload::RawEncode(more) = transmit.message {
                packets.extend(more);
            }
        }
        if let Some(tag) = packets.last().map(|packet| u32::from_be_bytes(packet[4..8].try_into().unwrap())) {
            self.our_tag = tag;
        }
        packets
    }

    fn send(&mut self, now: Instant, stream: u16, payload: &Payload) {
        let (protocol, bytes) = on_the_wire(payload);
        self.write(now, stream, protocol, &bytes);
    }

    fn open(&mut self, stream: u16) {
        self.association.open_stream(stream, PayloadProtocolIdentifier::Binary).unwrap();
    }

    fn write(&mut self, now: Instant, stream: u16, protocol: PayloadProtocolIdentifier, bytes: &Bytes) {
        if self.association.stream(stream).is_err() {
            self.open(stream);
        }
        write(&mut self.association, now, stream, RELIABLE, protocol, bytes).unwrap();
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}
