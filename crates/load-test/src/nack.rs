//! The packets that a receiver misses, and when to request them (RFC 4585 §6.2.1).

use rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// By index: when to request the packet next, and how often it was requested.
    packets: BTreeMap<u64, (Instant, u8)>,
    key_frame_wanted: bool,
}

impl Missing {
    /// Notes that the `count` packets before `index` are missing. If too many are missing, all are given up
    /// and a key frame is needed.
    pub(crate) fn skipped(&mut self, index: u64, count: u64, now: Instant) {
        if self.packets.len() as u64 + count > MAX_MISSING {
            self.packets.clear();
            self.key_frame_wanted = true;
            return;
        }
        for missing in index.saturating_sub(count)..index {
            self.packets.insert(missing, (now, 0));
        }
    }

    /// `true` once after all missing packets were given up.
    pub(crate) fn take_key_frame_wish(&mut self) -> bool {
        std::mem::take(&mut self.key_frame_wanted)
    }

    /// The packet arrived.
    pub(crate) fn found(&mut self, index: u64) {
        self.packets.remove(&index);
    }

    /// No packet is missing and no key frame is needed.
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty() && !self.key_frame_wanted
    }

    /// The NACK that is due, and the number of packets it requests.
    pub(crate) fn poll(&mut self, media_ssrc: u32, now: Instant) -> Option<(TransportLayerNack, u64)> {
        let due = self.packets.iter_mut().filter(|(_, (at, _))| *at <= now);
        let mut sequences = Vec::new();
        for (index, (at, asked)) in due {
            sequences.push(*index as u16);
            *at = now + RETRY;
            *asked += 1;
        }
        self.packets.retain(|_, (_, asked)| *asked <= MAX_TRIES);
        let mut nacks: Vec<NackPair> = Vec::new();
        for sequence in &sequences {
            let distance = nacks.last().map(|pair| sequence.wrapping_sub(pair.packet_id));
            match (nacks.last_mut(), distance) {
                (Some(pair), Some(distance @ 1..=16)) => pair.lost_packets |= 1 << (distance - 1),
                _ => nacks.push(NackPair { packet_id: *sequence, lost_packets: 0 }),
            }
        }
        let nack = TransportLayerNack { sender_ssrc: RECEIVER_SSRC, media_ssrc, nacks };
        (!sequences.is_empty()).then_some((nack, sequences.len() as u64))
    }
}

/// A receiver sends no media, so any SSRC will do.
pub(crate) const RECEIVER_SSRC: u32 = 1;
/// libwebrtc's limits for missing packets and for requests per packet, and a typical round trip.
const MAX_MISSING: u64 = 1_000;
const MAX_TRIES: u8 = 10;
const RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_asked_for_at_once_again_after_a_while_and_not_once_it_came() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.skipped(120, 18, now);
        let (nack, count) = missing.poll(7, now).unwrap();
        let asked: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        assert_eq!((asked, count), ((102..120).collect(), 18));
        assert!(missing.poll(7, now).is_none());
        missing.found(102);
        missing.found(50);
        let (_, again) = missing.poll(7, now + RETRY).unwrap();
        assert_eq!(again, 17);
    }

    #[test]
    fn a_hole_too_large_to_repair_asks_for_a_key_frame_instead() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.skipped(100, 5, now);
        missing.skipped(1 << 20, 1 << 18, now);
        assert!(missing.poll(7, now).is_none() && !missing.is_empty());
        assert!(missing.take_key_frame_wish() && missing.is_empty());
    }

    #[test]
    fn nobody_asks_for_ever() {
        let now = Instant::now();
        let mut missing = Missing::default();
        missing.skipped(100, 5, now);
        let tries = (0..50).filter(|round| missing.poll(7, now + RETRY * *round).is_some()).count();
        assert_eq!(tries, usize::from(MAX_TRIES) + 1);
    }
}
