//! The video of one producer: whole pictures of its highest layer, from key frame to key frame.

use super::lane::{Lane, Step};
use super::outlet::Outlet;
use super::picture::{Depacketizer, Key, Picture, Pictures, Shown};
use super::{RecordedCodec, RecordedLayer, Sample, TapNotice, TapOptions, TrackFormat};
use crate::arrival::{Captured, EncodingLife};
use crate::codec::Codec;
use crate::relay::{ProducerMessage, ProducerState, RelayBatch, RelayedPacket, RelayedProducer};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Video {
    codec: Codec,
    rate: u32,
    encodings: u8,
    layer: RecordedLayer,
    origin: Instant,
    /// The encoding that is written, and the one that takes over at its next key frame.
    current: Option<u8>,
    successor: Option<u8>,
    /// Of `current` and `successor`, once packets came.
    tracks: Vec<Encoded>,
    /// The latest sender reports, for lanes that begin later.
    captured: Vec<(EncodingLife, Captured)>,
    film: Film,
}

/// The pictures of one encoding.
#[derive(Debug)]
struct Encoded {
    lane: Lane,
    pictures: Pictures,
    /// A key frame came, and everything behind it.
    intact: bool,
}

/// What was written.
#[derive(Debug)]
struct Film {
    codec: RecordedCodec,
    format: Option<TrackFormat>,
    /// Clockwise, in degrees.
    rotation: u16,
    /// When the last picture was captured.
    last: Option<Instant>,
    /// Since when pictures are missing.
    hole: Option<Instant>,
    keys: Keys,
}

/// When to request key frames.
#[derive(Debug)]
struct Keys {
    interval: Duration,
    /// When the last key frame was written or requested.
    last: Instant,
    /// When packets began to come without a key frame that could be written.
    waiting: Option<Instant>,
    /// It was told that none comes.
    told: bool,
}

enum Happened {
    Shown(Shown),
    Lost(u64),
}

impl Video {
    /// `None` for the codecs of audio.
    pub(super) fn new(producer: &RelayedProducer, options: TapOptions, now: Instant) -> Option<Self> {
        let codec = match producer.codec {
            Codec::Vp8 => RecordedCodec::Vp8,
            Codec::Vp9 => RecordedCodec::Vp9,
            Codec::H264 => RecordedCodec::H264,
            Codec::Av1 => RecordedCodec::Av1,
            Codec::Opus | Codec::Pcmu | Codec::Pcma => return None,
        };
        let keys = Keys { interval: options.key_frame_interval, last: now, waiting: None, told: false };
        Some(Self {
            codec: producer.codec,
            rate: producer.formats.clock_rate,
            encodings: u8::try_from(producer.encodings).unwrap_or(u8::MAX),
            layer: options.layer,
            origin: now,
            current: None,
            successor: None,
            tracks: Vec::new(),
            captured: Vec::new(),
            film: Film { codec, format: None, rotation: 0, last: None, hole: None, keys },
        })
    }

    /// A bit for each encoding that is needed.
    pub(super) fn wanted(&self) -> u8 {
        self.current.into_iter().chain(self.successor).fold(0, |mask, number| mask | bit(number))
    }

    /// Adopts the producer's state.
    pub(super) fn adopt(&mut self, state: &ProducerState, now: Instant, outlet: &mut Outlet) {
        for track in &mut self.tracks {
            track.lane.learn(&state.captured);
        }
        self.captured.clone_from(&state.captured);
        let Some(target) = self.target(state.active) else { return };
        let before = self.wanted();
        self.successor = self.current.is_some_and(|current| current != target).then_some(target);
        self.current.get_or_insert(target);
        self.settle(before, now, outlet);
    }

    pub(super) fn take(&mut self, batch: &RelayBatch, now: Instant, outlet: &mut Outlet) {
        let mut happened = Vec::new();
        for (packet, content) in batch.packets() {
            let number = packet.source.encoding;
            if self.wanted() & bit(number) == 0 {
                continue;
            }
            let Some(Encoded { lane, pictures, .. }) = self.track_for(packet, now, outlet) else { continue };
            lane.take(packet, content.payload, now, |step| pictures.follow(&step, &mut happened));
            self.film.keys.awaits(self.tracks.iter().any(|it| it.intact && it.is(self.current)), now);
            happened.drain(..).for_each(|happened| self.handle(number, happened, now, outlet));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outlet: &mut Outlet) {
        self.drain(now, outlet, |lane, outlet| lane.ask(now, outlet));
        if self.film.keys.is_due(self.is_waiting(), now) {
            self.wish(now, outlet);
        }
        if self.film.keys.tells(now) {
            outlet.notice(TapNotice::NoKeyFrame);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let windows = self.tracks.iter().filter_map(|track| track.lane.next_timeout());
        windows.chain(self.film.keys.next_timeout(self.is_waiting())).min()
    }

    /// The producer was paused or goes on: what came meanwhile is not expected.
    pub(super) fn interrupt(&mut self, now: Instant, outlet: &mut Outlet) {
        for Encoded { lane, pictures, intact } in &mut self.tracks {
            lane.forget_order();
            pictures.interrupt();
            *intact = false;
        }
        self.film.end_hole(now, outlet);
        self.film.keys.rest();
    }

    /// Nothing follows before a key frame.
    pub(super) fn start_over(&mut self, now: Instant, outlet: &mut Outlet) {
        if let Some(current) = self.current {
            self.damage(current, now, outlet);
        }
    }

    /// Requests a key frame of the encoding that is needed next.
    pub(super) fn wish(&mut self, now: Instant, outlet: &mut Outlet) {
        self.film.keys.last = now;
        if let Some(encoding) = self.successor.or(self.current) {
            outlet.tell(ProducerMessage::KeyFrame(encoding));
        }
    }

    /// Gives out what is held.
    pub(super) fn flush(&mut self, now: Instant, outlet: &mut Outlet) {
        self.drain(now, outlet, |lane, _| lane.hurry());
        self.film.end_hole(now, outlet);
    }

    /// The highest encoding that is sent, up to the layer that is recorded.
    fn target(&self, active: u8) -> Option<u8> {
        if self.encodings <= 1 {
            return Some(0);
        }
        let active = || (0..self.encodings.min(8)).filter(move |number| active & bit(*number) != 0);
        active().take_while(|number| *number <= top(self.layer)).last().or(active().next())
    }

    /// Subscribes to what is needed, if that changed from `before`.
    fn settle(&mut self, before: u8, now: Instant, outlet: &mut Outlet) {
        let wanted = self.wanted();
        if wanted == before {
            return;
        }
        self.tracks.retain(|track| wanted & bit(track.lane.source.encoding) != 0);
        outlet.tell(ProducerMessage::Subscribe(wanted));
        if wanted & !before != 0 {
            self.wish(now, outlet);
        }
    }

    /// The track of a packet. A sender that restarts begins a new one.
    fn track_for(
        &mut self,
        packet: &RelayedPacket,
        now: Instant,
        outlet: &mut Outlet,
    ) -> Option<&mut Encoded> {
        let number = packet.source.encoding;
        let found = self.tracks.iter().position(|track| track.lane.source.encoding == number);
        if let Some(index) = found
            && self.tracks.get(index).is_some_and(|track| track.lane.source != packet.source)
        {
            self.damage(number, now, outlet);
            self.tracks.remove(index);
        }
        if self.tracks.iter().all(|track| track.lane.source != packet.source) {
            let mut lane = Lane::new(self.origin, self.rate, packet);
            lane.learn(&self.captured);
            let top = if self.encodings <= 1 { top(self.layer) } else { u8::MAX };
            let pictures = Pictures::new(Depacketizer::new(self.codec)?, top);
            self.tracks.push(Encoded { lane, pictures, intact: false });
        }
        self.tracks.iter_mut().find(|track| track.lane.source == packet.source)
    }

    /// Handles what became due, after `first` was done to each lane.
    fn drain(&mut self, now: Instant, outlet: &mut Outlet, mut first: impl FnMut(&mut Lane, &mut Outlet)) {
        let mut happened = Vec::new();
        for Encoded { lane, pictures, .. } in &mut self.tracks {
            first(lane, outlet);
            let mut came = Vec::new();
            lane.drain(now, |step| pictures.follow(&step, &mut came));
            happened.extend(came.into_iter().map(|it| (lane.source.encoding, it)));
        }
        happened.into_iter().for_each(|(number, it)| self.handle(number, it, now, outlet));
    }

    fn handle(&mut self, encoding: u8, happened: Happened, now: Instant, outlet: &mut Outlet) {
        match happened {
            Happened::Lost(count) => {
                // Before the first key frame nothing was recorded that could be lost.
                if self.film.last.is_some() {
                    outlet.counts.packets_lost += count;
                }
                self.damage(encoding, now, outlet);
            }
            Happened::Shown(Shown::Malformed { is_key }) => {
                // Behind a hole, a picture may be unreadable because of what is missing.
                let was_intact = self.tracks.iter().any(|track| track.intact && track.is(Some(encoding)));
                outlet.counts.malformed += u64::from(was_intact || is_key);
                self.damage(encoding, now, outlet);
            }
            Happened::Shown(Shown::Whole { picture, at, orientation }) => {
                if self.may_show(encoding, &picture, at, now, outlet)
                    && self.film.show(picture, at, orientation, now, outlet)
                {
                    self.wish(now, outlet);
                }
            }
        }
    }

    /// Whether a picture can be written. A key frame of the successor makes it the current encoding.
    fn may_show(
        &mut self,
        encoding: u8,
        picture: &Picture,
        at: Instant,
        now: Instant,
        outlet: &mut Outlet,
    ) -> bool {
        let is_key = picture.key.is_some();
        let is_current = self.current == Some(encoding);
        let Some(track) = self.tracks.iter_mut().find(|track| track.is(Some(encoding))) else { return false };
        track.intact |= is_key;
        if is_current {
            return track.intact;
        }
        // Both encodings may have sent the same picture: then its time is past.
        let is_past = self.film.last.is_some_and(|last| at + SAME_PICTURE < last);
        if !is_key || is_past || self.successor != Some(encoding) {
            track.intact = false;
            return false;
        }
        let before = self.wanted();
        self.current = self.successor.take();
        self.settle(before, now, outlet);
        true
    }

    /// From here on an encoding's pictures cannot be decoded.
    fn damage(&mut self, encoding: u8, now: Instant, outlet: &mut Outlet) {
        let Some(track) = self.tracks.iter_mut().find(|track| track.is(Some(encoding))) else { return };
        track.pictures.interrupt();
        if std::mem::take(&mut track.intact) && self.current == Some(encoding) {
            self.film.hole = self.film.hole.or(self.film.last);
            self.wish(now, outlet);
        }
    }

    /// Whether a key frame is needed.
    fn is_waiting(&self) -> bool {
        self.successor.is_some() || !self.tracks.iter().any(|track| track.intact && track.is(self.current))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.tracks.iter().map(|track| track.lane.bytes()).sum()
    }
}

impl Encoded {
    fn is(&self, encoding: Option<u8>) -> bool {
        encoding == Some(self.lane.source.encoding)
    }
}

impl Pictures {
    fn follow(&mut self, step: &Step<'_>, happened: &mut Vec<Happened>) {
        match step {
            Step::Packet { packet, payload, captured } => {
                self.add(packet, payload, *captured, |shown| happened.push(Happened::Shown(shown)));
            }
            Step::Lost(count) => {
                self.interrupt();
                happened.push(Happened::Lost(*count));
            }
        }
    }
}

impl Film {
    /// Writes a picture. `true` if it is turned another way than the ones before, which takes a key frame.
    fn show(
        &mut self,
        Picture { payload, key }: Picture,
        at: Instant,
        orientation: Option<u8>,
        now: Instant,
        outlet: &mut Outlet,
    ) -> bool {
        let at = self.last.map_or(at, |last| at.max(last + NEXT_PICTURE));
        let before = self.rotation;
        self.rotation = orientation.map_or(before, |value| u16::from(value & QUARTERS) * 90);
        let key_frame = key.is_some();
        if let Some(key) = key {
            self.end_hole(at, outlet);
            self.keys.came(now);
            self.begin_part(key, outlet);
        }
        self.last = Some(at);
        outlet.sample(Sample { at, duration: Duration::ZERO, key_frame, payload });
        !key_frame && self.rotation != before
    }

    /// Begins a part with a key frame, if it is the first, or turned another way.
    fn begin_part(&mut self, Key { size, private }: Key, outlet: &mut Outlet) {
        let rotation = self.rotation;
        if self.format.as_ref().is_some_and(|format| format.rotation == rotation) {
            return;
        }
        let format = TrackFormat { codec: self.codec, private, size: Some(size), rotation };
        self.format = Some(format.clone());
        outlet.format(format);
    }

    fn end_hole(&mut self, to: Instant, outlet: &mut Outlet) {
        if let Some(from) = self.hole.take() {
            outlet.counts.held += to.saturating_duration_since(from);
            outlet.notice(TapNotice::Hole { from, to });
        }
    }
}

impl Keys {
    /// Notes a packet: `intact` if the pictures can be decoded.
    fn awaits(&mut self, intact: bool, now: Instant) {
        if !intact {
            self.waiting.get_or_insert(now);
        }
    }

    fn came(&mut self, now: Instant) {
        self.last = now;
        self.rest();
    }

    fn rest(&mut self) {
        (self.waiting, self.told) = (None, false);
    }

    fn is_due(&self, waiting: bool, now: Instant) -> bool {
        self.due(waiting) <= now
    }

    fn due(&self, waiting: bool) -> Instant {
        self.last + if waiting { ASK_AGAIN } else { self.interval }
    }

    /// Whether to tell that no key frame comes; once.
    fn tells(&mut self, now: Instant) -> bool {
        let is_long = self.waiting.is_some_and(|since| now.saturating_duration_since(since) >= LONG);
        is_long && !std::mem::replace(&mut self.told, true)
    }

    fn next_timeout(&self, waiting: bool) -> Option<Instant> {
        let tell = self.waiting.filter(|_| !self.told).map(|since| since + LONG);
        tell.into_iter().chain([self.due(waiting)]).min()
    }
}

/// The highest encoding or spatial layer to record.
fn top(layer: RecordedLayer) -> u8 {
    match layer {
        RecordedLayer::Low => 0,
        RecordedLayer::Medium => 1,
        RecordedLayer::High => u8::MAX,
    }
}

fn bit(encoding: u8) -> u8 {
    1u8.checked_shl(u32::from(encoding)).unwrap_or(0)
}

/// A request for a key frame is repeated after this time: the producer's shard takes it for answered when the first packet
/// comes, and the rest may be lost.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// It is told when no key frame came for this time.
const LONG: Duration = Duration::from_secs(10);
/// Times of samples are at least so far apart.
const NEXT_PICTURE: Duration = Duration::from_millis(1);
/// The clocks of two encodings differ less.
const SAME_PICTURE: Duration = Duration::from_millis(200);
/// R1 and R0 of the video orientation: quarters of a turn (3GPP TS 26.114 §7.4.5).
const QUARTERS: u8 = 0x03;
