//! The audio of one producer: packets as they are, and silence where there are none.

use super::lane::{Lane, Step};
use super::outlet::Outlet;
use super::pcm::{self, Law};
use super::timeline::{Correction, Timeline};
use super::window::Packet;
use super::{RecordedCodec, Sample, TrackFormat, opus};
use crate::arrival::{Captured, EncodingLife};
use crate::relay::RelayBatch;
use bytes::Bytes;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Audio {
    origin: Instant,
    lane: Option<Lane>,
    /// The latest sender reports, for a lane that begins later.
    captured: Vec<(EncodingLife, Captured)>,
    track: Track,
}

/// What was written.
#[derive(Debug)]
struct Track {
    coding: Coding,
    timeline: Option<Timeline>,
    /// The timestamp that follows the last packet; `None` after a restart or a pause.
    expected: Option<u32>,
    /// The first byte of the last packet, and how many ticks of silence were put behind it.
    last: (u8, u32),
    /// Packets lost since the last one.
    lost: u64,
    /// When the last packet came.
    heard: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Opus,
    Pcm(Law),
}

impl Audio {
    pub(super) fn new(coding: Coding, now: Instant) -> Self {
        let track =
            Track { coding, timeline: None, expected: None, last: (SILENT_TOC, 0), lost: 0, heard: now };
        Self { origin: now, lane: None, captured: Vec::new(), track }
    }

    pub(super) fn learn(&mut self, captured: Vec<(EncodingLife, Captured)>) {
        if let Some(lane) = &mut self.lane {
            lane.learn(&captured);
        }
        self.captured = captured;
    }

    pub(super) fn take(&mut self, batch: &RelayBatch, now: Instant, outlet: &mut Outlet) {
        for (packet, content) in batch.packets() {
            let Self { origin, lane, captured, track } = self;
            if lane.as_ref().is_none_or(|lane| lane.source != packet.source) {
                track.expected = None;
                lane.insert(Lane::new(*origin, track.coding.rate(), packet)).learn(captured);
            }
            let Some(lane) = lane else { continue };
            lane.take(packet, content.payload, now, |step| track.follow(&step, outlet));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outlet: &mut Outlet) {
        let Self { lane, track, .. } = self;
        if let Some(lane) = lane {
            lane.ask(now, outlet);
            lane.drain(now, |step| track.follow(&step, outlet));
        }
        track.keep_silence(now, outlet);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let window = self.lane.as_ref().and_then(Lane::next_timeout);
        window.into_iter().chain(self.track.next_silence()).min()
    }

    /// The producer was paused or goes on: what came meanwhile is not expected.
    pub(super) fn interrupt(&mut self) {
        if let Some(lane) = &mut self.lane {
            lane.forget_order();
        }
        self.track.expected = None;
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lane.as_ref().map_or(0, Lane::bytes)
    }

    /// Gives out what is held.
    pub(super) fn flush(&mut self, now: Instant, outlet: &mut Outlet) {
        let Self { lane, track, .. } = self;
        if let Some(lane) = lane {
            lane.hurry();
            lane.drain(now, |step| track.follow(&step, outlet));
        }
    }
}

impl Track {
    fn follow(&mut self, step: &Step<'_>, outlet: &mut Outlet) {
        match step {
            Step::Packet { packet, payload, captured } => self.write(packet, payload, *captured, outlet),
            Step::Lost(count) => {
                outlet.counts.packets_lost += count;
                self.lost = self.lost.saturating_add(*count);
            }
        }
    }

    fn write(&mut self, packet: &Packet, payload: &[u8], captured: Instant, outlet: &mut Outlet) {
        if packet.media.is_none() {
            return;
        }
        let Some((ticks, content)) = self.coding.read(payload) else {
            outlet.counts.malformed += 1;
            self.lost = self.lost.saturating_add(1);
            return;
        };
        let rate = self.coding.rate();
        let timeline = self.timeline.get_or_insert_with(|| {
            outlet.format(self.coding.format());
            Timeline::new(captured, rate)
        });
        let follows = self.expected == Some(packet.timestamp);
        let correction = timeline.judge(captured, ticks, !follows, is_silent(packet));
        self.expected = Some(packet.timestamp.wrapping_add(ticks));
        self.heard = self.heard.max(packet.at);
        let lost = timeline.duration(std::mem::take(&mut self.lost).saturating_mul(ticks.into()));
        match correction {
            Correction::None => {}
            Correction::LeaveOut => return,
            Correction::PutIn => self.put_silence(outlet),
            Correction::Fill => {
                let filled = self.fill(captured, outlet);
                outlet.counts.concealed += filled.min(lost);
            }
        }
        self.last = (payload.first().copied().unwrap_or(SILENT_TOC), 0);
        self.put(ticks, content, outlet);
    }

    /// Puts silence until `until`, to the nearest packet; returns how much.
    fn fill(&mut self, until: Instant, outlet: &mut Outlet) -> Duration {
        let Some(begin) = self.timeline.map(|timeline| timeline.position()) else { return Duration::ZERO };
        let mut end = begin;
        while until.saturating_duration_since(end) >= HALF_A_PACKET {
            self.put_silence(outlet);
            end = self.timeline.map_or(until, |timeline| timeline.position());
        }
        end.saturating_duration_since(begin)
    }

    /// Puts one packet of silence: at first such as make decoders fade out what was heard.
    fn put_silence(&mut self, outlet: &mut Outlet) {
        let (toc, filled) = self.last;
        let (ticks, content) = match self.coding {
            Coding::Opus if filled < FADE_TICKS => {
                let (packet, ticks) = opus::concealment(toc);
                (ticks, Bytes::copy_from_slice(&packet))
            }
            Coding::Opus => (opus::SILENCE_TICKS, Bytes::from_static(&opus::SILENCE)),
            Coding::Pcm(_) => (PCM_SILENCE_TICKS, Bytes::from_static(&[0; 2 * PCM_SILENCE_TICKS as usize])),
        };
        self.last.1 = filled.saturating_add(ticks);
        self.put(ticks, content, outlet);
    }

    fn put(&mut self, ticks: u32, payload: Bytes, outlet: &mut Outlet) {
        let Some(timeline) = &mut self.timeline else { return };
        let (at, duration) = (timeline.position(), timeline.duration(ticks.into()));
        outlet.sample(Sample { at, duration, key_frame: true, payload });
        timeline.write(ticks);
    }

    /// While nothing comes, silence is written with a delay: what comes late finds its place.
    fn keep_silence(&mut self, now: Instant, outlet: &mut Outlet) {
        let is_due = self.next_silence().is_some_and(|due| due <= now);
        if let Some(until) = now.checked_sub(SILENCE_DELAY).filter(|_| is_due) {
            self.fill(until, outlet);
        }
    }

    fn next_silence(&self) -> Option<Instant> {
        let written = self.timeline?.position().max(self.heard);
        Some(written + SILENCE_DELAY + SILENCE_STEP)
    }
}

impl Coding {
    fn rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcm(_) => 8_000,
        }
    }

    /// The duration of a packet in ticks, and what is written of it; `None` if it is malformed.
    fn read(self, payload: &[u8]) -> Option<(u32, Bytes)> {
        match self {
            Self::Opus => Some((opus::ticks(payload)?, Bytes::copy_from_slice(payload))),
            Self::Pcm(law) => {
                let ticks = u32::try_from(payload.len()).ok().filter(|ticks| *ticks > 0)?;
                Some((ticks, pcm::expand(law, payload).into()))
            }
        }
    }

    fn format(self) -> TrackFormat {
        let (codec, private) = match self {
            Self::Opus => (RecordedCodec::Opus, Bytes::from_static(&opus::HEAD)),
            Self::Pcm(_) => (RecordedCodec::Pcm, Bytes::new()),
        };
        TrackFormat { codec, private, size: None, rotation: 0 }
    }
}

/// By the level that its sender gives (RFC 6464).
fn is_silent(packet: &Packet) -> bool {
    packet.carried.audio_level.is_none_or(|level| level & 0x7f >= SILENT_LEVEL)
}

/// -dBov
const SILENT_LEVEL: u8 = 60;
/// Silence lasts 20 ms a packet; less than half of that is not filled.
const HALF_A_PACKET: Duration = Duration::from_millis(10);
/// 100 ms
const FADE_TICKS: u32 = 4_800;
/// 20 ms
const PCM_SILENCE_TICKS: u32 = 160;
/// CELT, fullband, 20 ms.
const SILENT_TOC: u8 = 0xf8;
/// Silence is written when nothing came for this time, in steps of a second.
const SILENCE_DELAY: Duration = Duration::from_secs(3);
const SILENCE_STEP: Duration = Duration::from_secs(1);
