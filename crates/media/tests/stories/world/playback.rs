//! A stream as a decoder sees it, and everything that a receiver may expect of a stream.

use super::encoder::Codec;
use super::stamp::Stamp;
use super::view::{Arrived, Ids};
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// A stream in sequence order, cut into pictures by timestamp.
pub struct Playback {
    codec: Codec,
    pub first: u64,
    pub last: u64,
    /// Sequence numbers that never arrived.
    pub holes: Vec<u64>,
    pub pictures: Vec<Picture>,
}

/// Everything with one timestamp: a picture, or a packet of sound.
#[derive(Debug, Clone)]
pub struct Picture {
    pub timestamp: u32,
    pub stamps: Vec<Stamp>,
    /// The marker of each packet.
    pub markers: Vec<bool>,
    pub ids: Vec<Option<Ids>>,
    /// When its last packet arrived.
    pub complete_at: Instant,
}

impl Playback {
    pub fn of(codec: Codec, packets: &BTreeMap<u64, Arrived>) -> Self {
        let first = packets.first_key_value().map_or(0, |(sequence, _)| *sequence);
        let last = packets.last_key_value().map_or(0, |(sequence, _)| *sequence);
        let holes = (first..last).filter(|sequence| !packets.contains_key(sequence)).collect();
        let mut pictures: Vec<Picture> = Vec::new();
        for packet in packets.values() {
            let Some(stamp) = packet.stamp else { continue };
            let same = |picture: &&mut Picture| {
                picture.timestamp == packet.timestamp && picture.stamps[0].captured == stamp.captured
            };
            let picture = match pictures.last_mut().filter(same) {
                Some(picture) => picture,
                None => {
                    pictures.push(Picture {
                        timestamp: packet.timestamp,
                        stamps: Vec::new(),
                        markers: Vec::new(),
                        ids: Vec::new(),
                        complete_at: packet.at,
                    });
                    pictures.last_mut().unwrap()
                }
            };
            picture.stamps.push(stamp);
            picture.markers.push(packet.marker);
            picture.ids.push(packet.ids);
            picture.complete_at = picture.complete_at.max(packet.at);
        }
        Self { codec, first, last, holes, pictures }
    }

    /// Checks everything, except the last picture, which may be incomplete.
    pub fn assert_flawless(&self) {
        assert!(self.holes.is_empty(), "never came: {:?} of {}..={}", self.holes, self.first, self.last);
        assert!(self.pictures.len() > 1, "nothing came");
        self.assert_decodable();
        self.assert_times_run_on();
        if self.codec != Codec::Opus {
            self.assert_markers();
        }
        if self.codec == Codec::Vp8 {
            assert_eq!(self.break_in_ids(), None);
        }
        if self.codec == Codec::Vp9 {
            self.assert_ids_ascend();
        }
    }

    /// What is wrong with a stream as the SFU forwards it, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.holes.is_empty() {
            faults.push(format!("{} numbers are missing, first {}", self.holes.len(), self.holes[0]));
        }
        let broken = self.broken();
        if let Some(first) = broken.first() {
            faults.push(format!("{} frames cannot be decoded, first {first:?}", broken.len()));
        }
        if self.codec == Codec::Vp8 {
            faults.extend(self.break_in_ids());
        }
        faults
    }

    /// The stream begins with a key frame, and every frame is complete and comes after all frames it refers
    /// to.
    pub fn assert_decodable(&self) {
        let broken = self.broken();
        assert!(broken.is_empty(), "{} frames cannot be decoded, first {:?}", broken.len(), broken[0]);
    }

    /// Frames that a decoder cannot decode.
    pub fn broken(&self) -> Vec<Stamp> {
        let mut decoded = HashSet::new();
        let mut source = None;
        let mut broken = Vec::new();
        for picture in self.finished() {
            for frame in picture.stamps.chunk_by(|a, b| (a.encoding, a.frame) == (b.encoding, b.frame)) {
                let stamp = frame[0];
                if source.replace((stamp.track, stamp.encoding)) != Some((stamp.track, stamp.encoding)) {
                    decoded.clear();
                }
                let whole = frame.iter().map(|stamp| stamp.packet).eq(0..stamp.packets);
                if whole && stamp.references.iter().all(|id| *id == 0 || decoded.contains(id)) {
                    decoded.insert(stamp.frame);
                    continue;
                }
                let cut_off =
                    stamp.packet == 0 && frame.last().is_some_and(|last| self.ends_at_a_switch(last));
                if !cut_off {
                    broken.push(stamp);
                }
            }
        }
        broken
    }

    /// A frame may be incomplete if a key frame of another encoding follows, because no later frame needs it.
    fn ends_at_a_switch(&self, last: &Stamp) -> bool {
        let next = self.pictures.iter().map(|picture| &picture.stamps);
        let next =
            next.skip_while(|stamps| stamps.last() != Some(last)).nth(1).and_then(|stamps| stamps.first());
        next.is_some_and(|next| next.key && next.encoding != last.encoding)
    }

    /// RTP timestamps follow capture times: each picture is later than the previous one, without drift.
    pub fn assert_times_run_on(&self) {
        for pair in self.pictures.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
            assert!(
                step > 0,
                "media time goes from {} by {step}: {:?}",
                pair[0].timestamp,
                pair[1].stamps[0]
            );
        }
        let skew = self.skew();
        assert!(skew <= MAX_SKEW, "media time is {skew:?} off capture time");
    }

    /// The largest difference between RTP timestamps and capture times.
    pub fn skew(&self) -> Duration {
        let rate = i64::from(self.codec.clock_rate());
        let mut media = 0;
        let mut worst = Duration::ZERO;
        for pair in self.pictures.windows(2) {
            media += i64::from(pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32);
            let captured = (pair[1].captured() - self.pictures[0].captured()).as_micros() as i64;
            worst = worst.max(Duration::from_micros((media * 1_000_000 / rate - captured).unsigned_abs()));
        }
        worst
    }

    /// The marker is on the last packet of every picture and on no other.
    fn assert_markers(&self) {
        for picture in self.finished() {
            let expected = (1..=picture.markers.len()).map(|packet| packet == picture.markers.len());
            assert!(picture.markers.iter().copied().eq(expected), "markers are wrong: {picture:?}");
        }
    }

    /// Picture ids count every picture, TL0PICIDX every picture of the lowest temporal layer. Says where they do not.
    fn break_in_ids(&self) -> Option<String> {
        self.finished().windows(2).find_map(|pair| {
            let ids = |picture: &Picture| picture.ids[0].expect("no picture id");
            let (before, after) = (ids(&pair[0]), ids(&pair[1]));
            if pair[1].ids.iter().any(|other| *other != Some(after)) {
                return Some(format!("ids change inside {:?}", pair[1]));
            }
            let lowest = pair[1].stamps[0].temporal == 0;
            let expected = Ids {
                picture: before.picture.wrapping_add(1) & 0x7fff,
                tl0: before.tl0.wrapping_add(u8::from(lowest)),
            };
            (after != expected).then(|| format!("{after:?} of {:?} after {before:?}", pair[1].stamps[0]))
        })
    }

    fn assert_ids_ascend(&self) {
        for pair in self.finished().windows(2) {
            let ids = |picture: &Picture| picture.ids[0].expect("no picture id");
            let (before, after) = (ids(&pair[0]), ids(&pair[1]));
            let step = after.picture.wrapping_sub(before.picture) & 0x7fff;
            assert!((1..0x4000).contains(&step), "picture id {} after {}", after.picture, before.picture);
            let step = after.tl0.wrapping_sub(before.tl0);
            assert!(step < 128, "TL0PICIDX {} after {}", after.tl0, before.tl0);
        }
    }

    /// Which encodings were shown, one after another.
    pub fn encodings(&self) -> Vec<u8> {
        let mut shown: Vec<u8> = self.pictures.iter().map(|picture| picture.stamps[0].encoding).collect();
        shown.dedup();
        shown
    }

    /// All but the last picture, whose rest may still come.
    pub fn finished(&self) -> &[Picture] {
        self.pictures.split_last().map_or(&[], |(_, finished)| finished)
    }
}

impl Picture {
    pub fn captured(&self) -> Duration {
        self.stamps[0].captured
    }

    pub fn top_spatial(&self) -> u8 {
        self.stamps.iter().map(|stamp| stamp.spatial).max().unwrap_or(0)
    }
}

/// The greatest timestamp error after a switch: a picture interval, and a retransmission's round trip if
/// there is loss.
const MAX_SKEW: Duration = Duration::from_millis(100);
