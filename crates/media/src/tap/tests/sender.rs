//! A producer's packets, and a tap that gets them.

use crate::allocation::Prices;
use crate::arrival::{Arrival, Captured, Carried, EncodingLife, Extent};
use crate::codec::{Codec, describe};
use crate::format::Formats;
use crate::id::{ProducerId, RouterId, ShardId};
use crate::ortc::{MediaKind, ProducerKind, RtcpParameters, RtpParameters};
use crate::relay::{Message, ProducerMessage, ProducerState, Relay, RelayBatch, RelayedProducer};
use crate::rtp::PayloadType;
use crate::tap::{RecordedLayer, Sample, Tap, TapNotice, TapOptions, TapOutput, Tapped, TrackFormat};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Numbers the packets of one encoding.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) codec: Codec,
    pub(super) source: EncodingLife,
    pub(super) sequence: u64,
    pub(super) carried: Carried,
}

/// A packet on its way.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) codec: Codec,
    pub(super) source: EncodingLife,
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) carried: Carried,
    pub(super) payload: Vec<u8>,
}

impl Sender {
    pub(super) fn new(codec: Codec, encoding: u8) -> Self {
        let source = EncodingLife { encoding, generation: 0 };
        Self { codec, source, sequence: 70_000, carried: Carried::default() }
    }

    pub(super) fn packet(&mut self, timestamp: u32, marker: bool, payload: impl Into<Vec<u8>>) -> Sent {
        self.sequence += 1;
        let &mut Self { codec, source, sequence, carried } = self;
        Sent { codec, source, sequence, timestamp, marker, carried, payload: payload.into() }
    }

    /// The packets of a picture; the last has the marker.
    pub(super) fn picture(&mut self, timestamp: u32, payloads: &[Vec<u8>]) -> Vec<Sent> {
        let last = payloads.len() - 1;
        let packets = payloads.iter().enumerate();
        packets.map(|(index, payload)| self.packet(timestamp, index == last, payload.clone())).collect()
    }
}

/// A tap, its time, and what it gave out.
pub(super) struct Story {
    pub(super) tap: Tap,
    pub(super) begin: Instant,
    pub(super) now: Instant,
    pub(super) state: ProducerState,
    pub(super) samples: Vec<Sample>,
    pub(super) formats: Vec<TrackFormat>,
    pub(super) notices: Vec<TapNotice>,
    /// Messages to the producer.
    pub(super) told: Vec<(Instant, ProducerMessage)>,
}

pub(super) const PRODUCER: ProducerId = ProducerId(Uuid::from_u128(1));
pub(super) const SHARD: ShardId = ShardId(3);
pub(super) const OPTIONS: TapOptions =
    TapOptions { layer: RecordedLayer::High, key_frame_interval: Duration::from_secs(10) };

impl Story {
    pub(super) fn new(codec: Codec) -> Self {
        Self::of(codec, 1, OPTIONS)
    }

    pub(super) fn of(codec: Codec, encodings: usize, options: TapOptions) -> Self {
        // Times before the first are needed, too.
        let begin = Instant::now() + Duration::from_secs(100_000);
        let state = state(if encodings == 1 { 1 } else { 0 });
        let tapped = Tapped { router: RouterId(Uuid::nil()), producer: producer(codec, encodings, &state) };
        let tap = Tap::new(tapped, options, begin);
        let mut story = Self {
            tap,
            begin,
            now: begin,
            state,
            samples: Vec::new(),
            formats: Vec::new(),
            notices: Vec::new(),
            told: Vec::new(),
        };
        story.collect();
        story
    }

    /// Passes time, and calls the tap when it wants to be called.
    pub(super) fn pass(&mut self, millis: u64) {
        self.run_to(self.now + Duration::from_millis(millis));
    }

    pub(super) fn run_to(&mut self, end: Instant) {
        let mut calls = 0;
        while let Some(next) = self.tap.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.tap.handle_timeout(self.now);
            self.collect();
            calls += 1;
            assert!(calls < 100_000, "the tap does not come to rest");
        }
        self.now = self.now.max(end);
    }

    pub(super) fn receive(&mut self, packets: &[Sent]) {
        for packet in packets {
            self.hear(relay(std::slice::from_ref(packet), self.now));
        }
    }

    pub(super) fn hear(&mut self, relay: Relay) {
        self.tap.handle_relay(self.now, relay);
        self.collect();
    }

    /// The producer tells its state.
    pub(super) fn tell(&mut self, change: impl FnOnce(&mut ProducerState)) {
        change(&mut self.state);
        let message = ProducerMessage::State(self.state.clone());
        self.hear(Relay::new(RouterId(Uuid::nil()), Message::Producer(PRODUCER, message)));
    }

    /// A sender report arrives: `timestamp` was sampled `ago` before.
    pub(super) fn report(&mut self, source: EncodingLife, timestamp: u32, ago: Duration) {
        let captured = Captured { timestamp, at: self.now - ago, sets: 0 };
        self.tell(|state| {
            state.captured.retain(|(known, _)| known.encoding != source.encoding);
            state.captured.push((source, captured));
        });
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.tap.poll_output() {
            match output {
                TapOutput::Sample(sample) => self.samples.push(sample),
                TapOutput::Format(format) => self.formats.push(format),
                TapOutput::Notice(notice) => self.notices.push(notice),
                TapOutput::Relay { to, relay } => {
                    assert_eq!(to, SHARD);
                    let Message::Producer(PRODUCER, message) = relay.message else { panic!() };
                    self.told.push((self.now, message));
                }
            }
        }
    }

    /// The encodings of which key frames were requested.
    pub(super) fn wishes(&self) -> Vec<u8> {
        let wish = |(_, message): &(Instant, ProducerMessage)| {
            let ProducerMessage::KeyFrame(encoding) = message else { return None };
            Some(*encoding)
        };
        self.told.iter().filter_map(wish).collect()
    }

    pub(super) fn subscriptions(&self) -> Vec<u8> {
        let subscription = |(_, message): &(Instant, ProducerMessage)| {
            let ProducerMessage::Subscribe(mask) = message else { return None };
            Some(*mask)
        };
        self.told.iter().filter_map(subscription).collect()
    }

    pub(super) fn requested(&self) -> Vec<u64> {
        let missing = |(_, message): &(Instant, ProducerMessage)| {
            let ProducerMessage::Missing(_, numbers) = message else { return Vec::new() };
            numbers.clone()
        };
        self.told.iter().flat_map(missing).collect()
    }

    pub(super) fn holes(&self) -> Vec<(Instant, Instant)> {
        let hole = |notice: &TapNotice| {
            let TapNotice::Hole { from, to } = notice else { return None };
            Some((*from, *to))
        };
        self.notices.iter().filter_map(hole).collect()
    }

    pub(super) fn payloads(&self) -> Vec<&[u8]> {
        self.samples.iter().map(|sample| &sample.payload[..]).collect()
    }

    /// Milliseconds of the samples since the begin.
    pub(super) fn times(&self) -> Vec<u64> {
        self.samples.iter().map(|sample| (sample.at - self.begin).as_millis() as u64).collect()
    }

    pub(super) fn assert_times_rise(&self) {
        for pair in self.samples.windows(2) {
            assert!(pair[0].at < pair[1].at, "{:?} and {:?}", pair[0].at, pair[1].at);
        }
    }
}

/// One message with these packets.
pub(super) fn relay(packets: &[Sent], at: Instant) -> Relay {
    let kind = packets.first().map_or(MediaKind::Video, |packet| packet.codec.kind());
    let mut batch = RelayBatch::new(kind);
    for packet in packets {
        let media = describe(packet.codec, &packet.payload, None);
        let &Sent { source, sequence, timestamp, marker, carried, .. } = packet;
        let arrival = Arrival { source, sequence, timestamp, media, extent: Extent::default(), at };
        batch.put(&arrival, marker, carried, &packet.payload);
    }
    let message = ProducerMessage::Packets(Arc::new(batch));
    Relay::new(RouterId(Uuid::nil()), Message::Producer(PRODUCER, message))
}

fn state(active: u8) -> ProducerState {
    ProducerState {
        paused: false,
        active,
        clock_offset: None,
        clocks: Vec::new(),
        captured: Vec::new(),
        prices: Prices::default(),
        has_floor: false,
    }
}

fn producer(codec: Codec, encodings: usize, state: &ProducerState) -> RelayedProducer {
    let clock_rate = match codec {
        Codec::Opus => 48_000,
        Codec::Pcmu | Codec::Pcma => 8_000,
        Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1 => 90_000,
    };
    let consumable = RtpParameters {
        mid: None,
        codecs: Vec::new(),
        header_extensions: Vec::new(),
        encodings: Vec::new(),
        rtcp: RtcpParameters::default(),
        msid: None,
    };
    RelayedProducer {
        id: PRODUCER,
        shard: SHARD,
        kind: codec.kind(),
        producer_kind: ProducerKind::Simple,
        codec,
        formats: Formats { media: PayloadType(96), rtx: None, clock_rate, nack: true },
        consumable,
        encodings,
        state: state.clone(),
    }
}

/// A VP8 frame of some bytes.
pub(super) fn vp8_frame(is_key: bool, number: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![if is_key { 0x10 } else { 0x11 }, number, 0];
    if is_key {
        frame.extend([0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
    }
    frame.resize(length.max(10), number);
    frame
}
