//! Recording one producer: relay messages go in, whole samples with their capture times come out.
//!
//! A recorder is one more shard of a router, which has no consumers: it subscribes to producers like every other
//! shard. A [`Tap`] is its side of one producer. It opens no file and reads no clock.

mod audio;
mod av1;
mod clock;
mod h264;
mod lane;
mod opus;
mod outlet;
mod pcm;
mod picture;
mod timeline;
mod video;
mod vp8;
mod vp9;
mod window;

use crate::codec::Codec;
use crate::id::{ProducerId, RouterId, ShardId};
use crate::relay::{Message, ProducerMessage, ProducerState, Relay, RelayedProducer};
use audio::{Audio, Coding};
use bytes::Bytes;
use outlet::Outlet;
use pcm::Law;
use std::time::{Duration, Instant};
use video::Video;

/// A producer to record, as [`crate::Sfu::describe_producer`] describes it.
#[derive(Debug, Clone)]
pub struct Tapped {
    pub router: RouterId,
    pub producer: RelayedProducer,
}

impl Tapped {
    /// The message that ends the subscription, and the shard it is for. A [`Tap`] sends it by itself when it is closed.
    #[must_use]
    pub fn farewell(&self) -> (ShardId, Relay) {
        let message = Message::Producer(self.producer.id, ProducerMessage::Unsubscribe);
        (self.producer.shard, Relay::new(self.router, message))
    }
}

/// How a producer is recorded.
#[derive(Debug, Clone, Copy)]
pub struct TapOptions {
    pub layer: RecordedLayer,
    /// A key frame is requested when none came for this time.
    pub key_frame_interval: Duration,
}

/// The highest layer that is recorded: of three, the first, the second or the third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordedLayer {
    Low,
    Medium,
    High,
}

/// What a tap asks of its owner.
#[derive(Debug)]
pub enum TapOutput {
    /// Send this message to the producer's shard.
    Relay {
        to: ShardId,
        relay: Relay,
    },
    /// The next sample begins a new part of the track, that is: a file with this format.
    Format(TrackFormat),
    Sample(Sample),
    Notice(TapNotice),
}

/// What a player must know before it decodes the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackFormat {
    pub codec: RecordedCodec,
    /// The codec's initialization data (Matroska's CodecPrivate); empty if the codec needs none.
    pub private: Bytes,
    /// Width and height in pixels of the first picture; `None` for audio.
    pub size: Option<(u16, u16)>,
    /// Clockwise rotation in degrees that shows the pictures upright: 0, 90, 180 or 270.
    pub rotation: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedCodec {
    Opus,
    /// PCMU and PCMA, expanded to 16 bits, little-endian, 8 kHz, mono.
    Pcm,
    Vp8,
    Vp9,
    H264,
    Av1,
}

/// A picture with all its layers, or an audio packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it was captured, on the server's clock; rises strictly from sample to sample. The times of audio follow
    /// the number of samples, so that audio has no gaps.
    pub at: Instant,
    /// How long audio lasts; zero for a picture.
    pub duration: Duration,
    /// A decoder can begin here. True for all audio.
    pub key_frame: bool,
    pub payload: Bytes,
}

/// What a track's record tells beside the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapNotice {
    /// The producer sends (`true`) or is paused, from this time on.
    Sending(bool, Instant),
    /// Pictures are missing between these times.
    Hole { from: Instant, to: Instant },
    /// No key frame came within 10 s of the first packet.
    NoKeyFrame,
    /// The client's clock was set; capture times continue without a step.
    ClockSet(Instant),
    /// The producer ended; no output follows.
    Ended,
}

/// Totals of one tap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TapCounts {
    /// Packets that never came.
    pub packets_lost: u64,
    /// Audio that was filled with silence.
    pub concealed: Duration,
    /// Time without pictures, while the producer sent, because pictures were damaged.
    pub held: Duration,
    /// Payloads that were no valid pictures.
    pub malformed: u64,
}

/// One producer as a recorder sees it.
#[derive(Debug)]
pub struct Tap {
    track: Track,
    outlet: Outlet,
    paused: bool,
    /// How often the client's clock was set, and when that was told last.
    sets: (u32, Option<Instant>),
    ended: bool,
}

#[derive(Debug)]
enum Track {
    Audio(Box<Audio>),
    Video(Box<Video>),
}

impl Tap {
    /// Subscribes to the producer and requests a key frame.
    #[must_use]
    pub fn new(tapped: Tapped, options: TapOptions, now: Instant) -> Self {
        let outlet = Outlet::new(&tapped);
        let track = match Video::new(&tapped.producer, options, now) {
            Some(video) => Track::Video(Box::new(video)),
            None => Track::Audio(Box::new(Audio::new(coding(tapped.producer.codec), now))),
        };
        let RelayedProducer { state, .. } = tapped.producer;
        let sets = (sets(&state), None);
        let mut tap = Self { track, outlet, paused: state.paused, sets, ended: false };
        match &mut tap.track {
            Track::Audio(audio) => {
                audio.learn(state.captured);
                tap.outlet.tell(ProducerMessage::Subscribe(1));
            }
            Track::Video(video) => {
                video.adopt(&state, now, &mut tap.outlet);
                if video.wanted() == 0 {
                    // The answer, and every change, is the producer's state.
                    tap.outlet.tell(ProducerMessage::Subscribe(0));
                }
            }
        }
        tap.outlet.notice(TapNotice::Sending(!tap.paused, now));
        tap
    }

    #[must_use]
    pub fn producer(&self) -> ProducerId {
        self.outlet.producer()
    }

    /// Handles a message of the producer's shard. Messages about others are ignored.
    pub fn handle_relay(&mut self, now: Instant, relay: Relay) {
        let Message::Producer(id, message) = relay.message else { return };
        if self.ended || id != self.producer() {
            return;
        }
        match message {
            ProducerMessage::Packets(batch) if !self.paused => match &mut self.track {
                Track::Audio(audio) => audio.take(&batch, now, &mut self.outlet),
                Track::Video(video) => video.take(&batch, now, &mut self.outlet),
            },
            ProducerMessage::State(state) => self.adopt(&state, now),
            ProducerMessage::Closed => {
                self.flush(now);
                self.outlet.notice(TapNotice::Ended);
                self.ended = true;
            }
            // The rest of a pause, and messages that only producers get.
            ProducerMessage::Packets(_)
            | ProducerMessage::Subscribe(_)
            | ProducerMessage::Unsubscribe
            | ProducerMessage::KeyFrame(_)
            | ProducerMessage::Missing(..) => {}
        }
    }

    /// Call this at [`Tap::next_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        match &mut self.track {
            Track::Audio(audio) => audio.handle_timeout(now, &mut self.outlet),
            Track::Video(video) if !self.paused => video.handle_timeout(now, &mut self.outlet),
            Track::Video(_) => {}
        }
    }

    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.track {
            _ if self.ended => None,
            Track::Audio(audio) => audio.next_timeout(),
            Track::Video(video) if !self.paused => video.next_timeout(),
            Track::Video(_) => None,
        }
    }

    /// Samples could not be kept: no picture follows before a key frame, which is requested. Audio goes on.
    pub fn start_over(&mut self, now: Instant) {
        match &mut self.track {
            Track::Video(video) if !self.ended => video.start_over(now, &mut self.outlet),
            Track::Audio(_) | Track::Video(_) => {}
        }
    }

    /// Unsubscribes, and gives out the samples that are complete. Nothing follows.
    pub fn close(&mut self, now: Instant) {
        if !self.ended {
            self.flush(now);
            self.outlet.tell(ProducerMessage::Unsubscribe);
            self.ended = true;
        }
    }

    pub fn poll_output(&mut self) -> Option<TapOutput> {
        self.outlet.poll()
    }

    #[must_use]
    pub fn counts(&self) -> TapCounts {
        self.outlet.counts
    }

    /// Bytes that wait for missing packets.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        match &self.track {
            Track::Audio(audio) => audio.bytes(),
            Track::Video(video) => video.bytes(),
        }
    }

    fn adopt(&mut self, state: &ProducerState, now: Instant) {
        let Self { track, outlet, paused, .. } = self;
        let turned = std::mem::replace(paused, state.paused) != state.paused;
        match track {
            Track::Audio(audio) => {
                if turned {
                    audio.interrupt();
                }
                audio.learn(state.captured.clone());
            }
            Track::Video(video) => {
                if turned {
                    video.interrupt(now, outlet);
                }
                video.adopt(state, now, outlet);
                if turned && !state.paused {
                    video.wish(now, outlet);
                }
            }
        }
        if turned {
            outlet.notice(TapNotice::Sending(!state.paused, now));
        }
        self.note_clock(sets(state), now);
    }

    /// Tells that the client's clock was set; seldom, whatever its reports say.
    fn note_clock(&mut self, sets: u32, now: Instant) {
        let (before, told) = self.sets;
        self.sets.0 = sets.max(before);
        if sets > before && told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_CLOCK_AGAIN) {
            self.sets.1 = Some(now);
            self.outlet.notice(TapNotice::ClockSet(now));
        }
    }

    fn flush(&mut self, now: Instant) {
        match &mut self.track {
            Track::Audio(audio) => audio.flush(now, &mut self.outlet),
            Track::Video(video) => video.flush(now, &mut self.outlet),
        }
    }
}

fn coding(codec: Codec) -> Coding {
    match codec {
        Codec::Pcmu => Coding::Pcm(Law::Mu),
        Codec::Pcma => Coding::Pcm(Law::A),
        Codec::Opus | Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1 => Coding::Opus,
    }
}

/// How often the client's clock was set.
fn sets(state: &ProducerState) -> u32 {
    state.captured.iter().map(|(_, captured)| captured.sets).max().unwrap_or(0)
}

const TELL_CLOCK_AGAIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
