//! Packets of every shape that a client with keys can send: each is counted or forwarded, and the next good
//! packet is forwarded.

use crate::hostile::Call;
use crate::world::track::Track;
use crate::world::{Client, IPV4_SERVER, Produced, Viewed};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::time::Duration;
use switchyard_media::{Counters, Input, Protocol, Tuple};

#[test]
fn an_extension_block_of_every_length_is_skipped_or_refused() {
    let mut forger = Forger::new();
    for profile in [0xbede_u16, 0x1000, 0x100f, 0x1234] {
        // The last two profiles are a variant and an unassigned one: a few lengths are enough for them.
        let step = if matches!(profile, 0x100f | 0x1234) { 501 } else { 1 };
        for words in (0..=u16::MAX).step_by(step) {
            let declared = 4 * usize::from(words);
            let (fits, content) = (declared + 200 <= LARGEST, Content::of(words));
            if fits {
                forger.send_media(&Shape { profile, words, content, block: declared });
            }
            // Blocks shorter than declared: the most that a datagram can hold, one byte too few, half, and
            // almost nothing.
            let missing = [LARGEST - 100, declared.saturating_sub(1), declared / 2, 3, 0];
            for block in missing.into_iter().filter(|block| *block < declared && *block <= LARGEST - 100) {
                if block < 2_000 || words % 97 == 0 {
                    forger.send_malformed(&Shape { profile, words, content, block });
                }
            }
        }
    }
    forger.assert_all_counted();
}

#[test]
fn csrcs_and_padding_of_every_count_are_skipped_or_refused() {
    let mut forger = Forger::new();
    for csrcs in 0..16 {
        for padding in 0..=u8::MAX {
            for payload in [0, 1, 40, 254, 255, 256] {
                forger.send_padded(csrcs, padding, payload);
            }
        }
    }
    forger.assert_all_counted();
}

#[test]
fn payloads_of_every_size_are_forwarded_or_refused() {
    let mut forger = Forger::new();
    for size in (0..2_000).chain((2_000..LARGEST - 28).step_by(499)).chain([LARGEST - 28]) {
        forger.send_sized(size);
    }
    assert!(forger.counters().payload_oversized > 500);
    forger.assert_all_counted();
}

#[test]
fn forged_ssrcs_move_nothing_but_their_own_transport() {
    let mut forger = Forger::new();
    let before = forger.call.world.sfu.population();
    let mut rng = StdRng::seed_from_u64(1);
    let others = forger.ssrcs_of_others();
    for round in 0..10_000_u32 {
        let ssrc = if round % 3 == 0 { others[round as usize % others.len()] } else { rng.random() };
        let mid: &[u8] = match round % 4 {
            0 => b"0",
            1 => b"1",
            2 => b"nobody",
            _ => b"",
        };
        forger.forge(ssrc, [111, 96, 97][round as usize % 3], mid);
    }
    let after = forger.call.world.sfu.population();
    assert_eq!((before.producers, before.consumers), (after.producers, after.consumers));
    assert!(after.stored_bytes < before.stored_bytes + (4 << 20), "{before:?} became {after:?}");
    let counters = forger.counters();
    assert!(counters.rtp_unknown_stream > 500 && counters.stream_restarts > 100, "{counters:?}");
    assert!(counters.srtp_rejected > 4_000, "more SSRCs than a transport may have: {counters:?}");
    forger.assert_goes_on();
}

/// An attacker with valid keys in a call that must not be disturbed, and a client that consumes its tracks.
struct Forger {
    call: Call,
    mallory: Client,
    mic: Produced,
    heard: Viewed,
    rng: StdRng,
    before: Counters,
    heard_before: usize,
    sent: u64,
    /// How many of the sent packets dave must receive.
    good: usize,
}

/// An RTP packet with one header extension block.
#[derive(Clone, Copy)]
struct Shape {
    profile: u16,
    /// The length in the block's header, in 32-bit words.
    words: u16,
    /// The block's actual length in bytes.
    block: usize,
    content: Content,
}

/// The contents of an extension block.
#[derive(Clone, Copy)]
enum Content {
    Padding,
    Noise,
    /// The elements that the client announced, shortened and lengthened.
    Elements(u8),
    /// Elements of the greatest length.
    Long,
    /// Id 15, and id 0 with a length.
    Final,
}

impl Forger {
    fn new() -> Self {
        let mut call = Call::new();
        let world = &mut call.world;
        let (mallory, dave) = (world.publisher(), world.subscriber());
        let (mic, camera) = (world.produce(mallory, Track::opus()), world.produce(mallory, Track::vp8()));
        world.track_mut(mic).encodings[0].sequence_number = 0;
        let heard = world.consume(dave, mic);
        world.run(Duration::from_secs(2));
        world.track_mut(mic).muted = true;
        world.track_mut(camera).muted = true;
        world.run(Duration::from_millis(200));
        // The forger ignores the server's RTCP.
        world.filter(mallory, false, |datagram| datagram[0] < 128);
        let (before, heard_before) = (world.sfu.counters().clone(), world.view(heard).count());
        let rng = StdRng::seed_from_u64(7);
        Self { call, mallory, mic, heard, rng, before, heard_before, sent: 0, good: 0 }
    }

    fn counters(&self) -> &Counters {
        self.call.world.sfu.counters()
    }

    fn ssrcs_of_others(&self) -> Vec<u32> {
        let encodings = &self.call.world.track(self.call.camera).encodings;
        encodings.iter().flat_map(|it| [Some(it.ssrc), it.rtx_ssrc]).flatten().collect()
    }

    /// Sends a packet that is complete, whatever its extensions are.
    fn send_media(&mut self, shape: &Shape) {
        let packet = self.packet(shape);
        let clear = packet.len();
        let sound = self.sound();
        self.send(packet, clear, &sound);
        self.good += 1;
    }

    /// Sends a packet that ends inside its header. Such a packet cannot be sealed, so noise follows.
    fn send_malformed(&mut self, shape: &Shape) {
        let packet = self.packet(shape);
        self.inject(packet);
    }

    fn send_padded(&mut self, csrcs: u8, padding: u8, size: usize) {
        let mut packet = self.header(0xa0 | csrcs);
        packet.resize(12 + 4 * usize::from(csrcs), 0xcc);
        let sound = self.sound();
        let media = if usize::from(padding) < size { size - usize::from(padding) } else { 0 };
        let mut body = vec![0; size];
        let is_good = padding > 0 && media >= sound.len();
        if is_good {
            body[media - sound.len()..media].copy_from_slice(&sound);
        }
        if let Some(last) = body.last_mut() {
            *last = padding;
        }
        // Any audio payload is valid.
        if padding > 0 && media > 0 && !is_good {
            return;
        }
        let clear = packet.len();
        self.send(packet, clear, &body);
        self.good += usize::from(is_good);
    }

    fn send_sized(&mut self, size: usize) {
        let sound = self.sound();
        if (1..sound.len()).contains(&size) {
            return;
        }
        let mut body = vec![0; size];
        if size > 0 {
            body[size - sound.len()..].copy_from_slice(&sound);
        }
        let packet = self.header(0x80);
        let before = self.counters().payload_oversized;
        self.send(packet, 12, &body);
        self.good += usize::from(size > 0 && self.counters().payload_oversized == before);
    }

    fn forge(&mut self, ssrc: u32, payload_type: u8, mid: &[u8]) {
        let mut packet = self.header(0x90);
        packet[1] = payload_type;
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet.extend([0xbe, 0xde, 0, 0]);
        if !mid.is_empty() {
            packet.push(crate::world::track::ids::MID << 4 | (mid.len() - 1) as u8);
            packet.extend(mid);
            packet.resize(packet.len().next_multiple_of(4), 0);
            packet[15] = ((packet.len() - 16) / 4) as u8;
        }
        let clear = packet.len();
        let sound = self.sound();
        self.send(packet, clear, &sound);
    }

    fn send(&mut self, mut packet: Vec<u8>, clear: usize, body: &[u8]) {
        packet.extend_from_slice(body);
        let party = self.call.world.party(self.mallory);
        party.connection.srtp.as_ref().unwrap().raw.seal(&mut packet, clear);
        self.inject(packet);
        let encoding = &mut self.call.world.track_mut(self.mic).encodings[0];
        encoding.sequence_number = encoding.sequence_number.checked_add(1).unwrap();
        if encoding.sequence_number.is_multiple_of(20) {
            self.call.world.run(Duration::from_millis(1));
        }
    }

    fn inject(&mut self, mut datagram: Vec<u8>) {
        let (remote, world) = (self.call.address(self.mallory), &mut self.call.world);
        let tuple = Tuple { protocol: Protocol::Udp, local: IPV4_SERVER.parse().unwrap(), remote };
        let now = world.now;
        world.sfu.handle_input(Input::Datagram { tuple, bytes: &mut datagram, at: now }, now);
        self.sent += 1;
    }

    fn packet(&mut self, shape: &Shape) -> Vec<u8> {
        let mut packet = self.header(0x90);
        packet.extend(shape.profile.to_be_bytes());
        packet.extend(shape.words.to_be_bytes());
        let start = packet.len();
        packet.resize(start + shape.block, 0);
        shape.content.fill(&mut packet[start..], shape.profile == 0xbede, &mut self.rng);
        packet
    }

    /// The header of the microphone's next packet.
    fn header(&mut self, flags: u8) -> Vec<u8> {
        let age = self.call.world.age();
        let encoding = &mut self.call.world.track_mut(self.mic).encodings[0];
        let number = encoding.sequence_number;
        let timestamp = encoding.timestamp.wrapping_add((age.as_micros() * 48 / 1_000) as u32);
        let mut header = vec![flags, 111];
        header.extend(number.to_be_bytes());
        header.extend(timestamp.to_be_bytes());
        header.extend(encoding.ssrc.to_be_bytes());
        header
    }

    fn sound(&mut self) -> Vec<u8> {
        let age = self.call.world.age();
        let encoding = &mut self.call.world.track_mut(self.mic).encodings[0];
        encoding.encoder.encode(age).remove(0).bytes
    }

    /// Every packet sent was either forwarded or counted under a name.
    fn assert_all_counted(&mut self) {
        self.call.world.run(Duration::from_millis(200));
        let named = |it: &Counters| {
            it.rtp_malformed
                + it.srtp_rejected
                + it.rtp_duplicate
                + it.rtp_unknown_stream
                + it.rtp_unknown_payload_type
                + it.rtp_too_old
                + it.payload_malformed
                + it.payload_oversized
                + it.padding_received
        };
        let refused = named(self.counters()) - named(&self.before);
        let heard = self.call.world.view(self.heard).count() - self.heard_before;
        assert_eq!(refused + self.good as u64, self.sent, "{:?}", self.counters());
        assert_eq!(heard, self.good, "{:?}", self.counters());
        self.assert_goes_on();
    }

    /// The forger's next good packets are forwarded, and the call was not disturbed.
    fn assert_goes_on(&mut self) {
        // Packets already sent arrive.
        self.call.world.run(Duration::from_millis(200));
        let before = self.call.world.view(self.heard).count();
        for _ in 0..50 {
            self.send_media(&Shape::PLAIN);
            self.call.world.run(Duration::from_millis(20));
        }
        self.call.world.run(Duration::from_millis(200));
        assert_eq!(self.call.world.view(self.heard).count() - before, 50);
        self.call.assert_undisturbed();
    }
}

impl Shape {
    const PLAIN: Self = Self { profile: 0xbede, words: 0, block: 0, content: Content::Padding };
}

impl Content {
    fn of(words: u16) -> Self {
        match words % 5 {
            0 => Self::Padding,
            1 => Self::Noise,
            2 => Self::Elements((words / 5) as u8),
            3 => Self::Long,
            _ => Self::Final,
        }
    }

    fn fill(self, block: &mut [u8], one_byte: bool, rng: &mut StdRng) {
        match self {
            Self::Padding => {}
            Self::Noise => rng.fill_bytes(block),
            Self::Elements(mix) => {
                let mut rest = block;
                let mut number = mix;
                while let [first, second, tail @ ..] = rest {
                    let (id, len) = (1 + number % 13, number % 16);
                    (*first, *second) = if one_byte { (id << 4 | len, len) } else { (id, len) };
                    let skipped = (usize::from(len)).min(tail.len());
                    rest = &mut tail[skipped..];
                    number = number.wrapping_mul(5).wrapping_add(1);
                }
            }
            Self::Long => {
                let (element, header) = if one_byte { (17, 0x1f) } else { (257, 200) };
                for chunk in block.chunks_mut(element) {
                    chunk[0] = header;
                    if let Some(len) = chunk.get_mut(1).filter(|_| !one_byte) {
                        *len = 255;
                    }
                }
            }
            Self::Final => block.iter_mut().step_by(7).for_each(|byte| *byte = 0xf3),
        }
    }
}

/// Bytes: no datagram is larger (and over IP none is as large).
const LARGEST: usize = 65_535;
