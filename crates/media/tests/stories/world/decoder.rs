//! When a receiver's decoder can decode which picture, told the packets as they arrive.

use super::stamp::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A decoder with its frame buffer. It takes frames out of order, as long as those they refer to were decoded: a jitter
/// buffer waits for them.
#[derive(Default)]
pub struct Decoder {
    /// Frames that are not decoded, with the number of packets that arrived.
    frames: BTreeMap<Id, (Stamp, u16)>,
    /// Frames that later ones may refer to.
    decoded: BTreeSet<Id>,
    /// The time at which each picture could be decoded.
    pub shown: Vec<(Instant, Stamp)>,
    first_packet: Option<Instant>,
    last_packet: Option<Instant>,
    asked: Option<Instant>,
}

/// Encoding and frame number.
type Id = (u8, u32);

impl Decoder {
    /// Takes a packet that arrived for the first time.
    pub fn take(&mut self, now: Instant, stamp: Stamp) {
        self.first_packet.get_or_insert(now);
        self.last_packet = Some(now);
        let id = (stamp.encoding, stamp.frame);
        let (_, arrived) = self.frames.entry(id).or_insert((stamp, 0));
        *arrived += 1;
        if *arrived == stamp.packets {
            while let Some(next) = self.decodable() {
                self.decode(now, next);
            }
        }
        let newest = self.frames.values().map(|(stamp, _)| stamp.captured).max().unwrap_or_default();
        self.frames.retain(|_, (stamp, _)| stamp.captured + PATIENCE > newest);
    }

    /// When the receiver asks for a key frame: it has waited too long for a picture, while packets come.
    pub fn next_request(&self) -> Option<Instant> {
        let at = match (self.shown.last(), self.asked) {
            (None, None) => self.first_packet? + WAIT_FOR_KEY_FRAME,
            (Some((shown, _)), asked) if asked.is_none_or(|asked| asked < *shown) => {
                *shown + WAIT_FOR_PICTURE
            }
            (_, Some(asked)) => asked + WAIT_FOR_KEY_FRAME,
            (Some(_), None) => unreachable!("handled above"),
        };
        (self.last_packet? + ACTIVE > at).then_some(at)
    }

    pub fn note_request(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    fn decodable(&self) -> Option<Id> {
        let can_be = |(id, (stamp, arrived)): (&Id, &(Stamp, u16))| {
            let references = stamp.references.iter().filter(|frame| **frame != 0);
            let ready = *arrived == stamp.packets
                && (stamp.key || !self.decoded.is_empty())
                && references.into_iter().all(|frame| self.decoded.contains(&(id.0, *frame)));
            ready.then_some(*id)
        };
        self.frames.iter().find_map(can_be)
    }

    fn decode(&mut self, now: Instant, id: Id) {
        let Some((stamp, _)) = self.frames.remove(&id) else { return };
        if stamp.key && stamp.spatial == 0 {
            // A key frame replaces everything that a frame may refer to.
            self.decoded.clear();
            self.frames.retain(|_, (other, _)| other.captured >= stamp.captured);
        }
        self.decoded.insert(id);
        if self.decoded.len() > REFERENCES {
            self.decoded.pop_first();
        }
        if self.shown.last().is_none_or(|(_, last)| last.captured != stamp.captured) {
            self.shown.push((now, stamp));
        }
    }
}

/// libwebrtc waits this long for the first key frame, and for a picture after others.
const WAIT_FOR_KEY_FRAME: Duration = Duration::from_millis(200);
const WAIT_FOR_PICTURE: Duration = Duration::from_secs(3);
/// A stream without packets for this time is not asked for anything.
const ACTIVE: Duration = Duration::from_secs(5);
/// How much older than the newest frame one may be that is still waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// More frames than any stays in reference, with all spatial layers.
const REFERENCES: usize = 64;
