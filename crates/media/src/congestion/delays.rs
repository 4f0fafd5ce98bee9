//! The least one-way delay of all that is sent in 50 ms. Packets that jitter or reordering holds back do not
//! show in it, a queue does.

use super::Micros;
use super::groups::Gap;

/// Takes packets in any order. Delays are relative: the clocks at both ends have no common zero.
#[derive(Debug, Default)]
pub(super) struct Delays {
    open: Option<Bucket>,
    closed: Option<Bucket>,
    /// Least delay of each of the last seconds of sending, by second modulo its length.
    seconds: [Option<Micros>; BASE_SECONDS],
    second: Micros,
    /// How much the least delay changes from bucket to bucket, smoothed, in µs.
    unsteadiness: f32,
}

/// What is sent in [`BUCKET`].
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Send time in units of [`BUCKET`].
    index: Micros,
    least: Micros,
    /// When the packet with the least delay arrived.
    at: Micros,
}

impl Delays {
    /// Returns how the least delay changed when a bucket is complete.
    pub(super) fn add(&mut self, sent: Micros, arrival: Micros) -> Option<Gap> {
        let packet = Bucket { index: sent / BUCKET, least: arrival - sent, at: arrival };
        let Some(open) = &mut self.open else {
            self.open = Some(packet);
            return None;
        };
        if packet.index <= open.index {
            if packet.index == open.index && packet.least < open.least {
                *open = packet;
            }
            return None;
        }
        let complete = std::mem::replace(open, packet);
        self.note_base(complete);
        let before = self.closed.replace(complete)?;
        let change = (complete.least - before.least).abs().min(MAX_CHANGE) as f32;
        self.unsteadiness += UNSTEADINESS_WEIGHT * (change - self.unsteadiness);
        let sent = (complete.index - before.index) * BUCKET;
        Some(Gap { sent, arrived: sent + complete.least - before.least, at: complete.at })
    }

    /// How far the newest least delay is above the least of the last ten seconds: a queue that stands.
    pub(super) fn standing(&self) -> Micros {
        let Some(closed) = self.closed else { return 0 };
        let base = self.seconds.iter().flatten().min().map_or(closed.least, |&least| least);
        closed.least - base
    }

    /// By how much delays change that no queue of ours explains, in µs.
    pub(super) fn unsteadiness(&self) -> Micros {
        (self.unsteadiness as Micros - OWN_CHANGE).max(0) * 3 / 2
    }

    /// Takes the present delay as the base: it is the path's.
    pub(super) fn rebase(&mut self) {
        self.seconds = [None; BASE_SECONDS];
        if let Some(closed) = self.closed {
            self.note_base(closed);
        }
    }

    fn note_base(&mut self, Bucket { index, least, .. }: Bucket) {
        let second = index * BUCKET / SECOND;
        for passed in (self.second + 1..=second).rev().take(BASE_SECONDS) {
            self.seconds[passed as usize % BASE_SECONDS] = None;
        }
        self.second = second;
        let slot = &mut self.seconds[second as usize % BASE_SECONDS];
        *slot = Some(slot.map_or(least, |before| before.min(least)));
    }
}

/// µs.
const BUCKET: Micros = 50_000;
const BASE_SECONDS: usize = 10;
/// µs. A larger change is a queue.
const MAX_CHANGE: Micros = 50_000;
/// µs by which bursts of ours change the least delay of a well used path.
const OWN_CHANGE: Micros = 8_000;
const UNSTEADINESS_WEIGHT: f32 = 0.05;
/// µs.
const SECOND: Micros = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_held_back_do_not_show() {
        let mut delays = Delays::default();
        let changes: Vec<_> = (0..200)
            .filter_map(|packet| {
                let held = if packet % 3 == 0 { 0 } else { 30_000 + 7_000 * (packet % 5) };
                delays.add(10_000 * packet, 10_000 * packet + 40_000 + held)
            })
            .collect();
        assert_eq!(changes.len(), 38);
        assert!(changes.iter().all(|gap| gap.arrived == gap.sent));
        assert_eq!(delays.standing(), 0);
    }

    #[test]
    fn a_queue_shows_and_is_measured_against_the_least_of_ten_seconds() {
        let mut delays = Delays::default();
        let mut send = |at: Micros, queue| delays.add(at, at + 40_000 + queue);
        for packet in 0..100 {
            send(10_000 * packet, 0);
        }
        for packet in 100..300 {
            send(10_000 * packet, 1_000 * (packet - 100));
        }
        let _ = send;
        assert!((190_000..=200_000).contains(&delays.standing()), "{}", delays.standing());
        for packet in 300..1_600 {
            delays.add(10_000 * packet, 10_000 * packet + 240_000);
        }
        assert!(delays.standing() < 10_000, "ten seconds later it is the path's delay");
    }

    #[test]
    fn the_base_can_be_given_up_at_once() {
        let mut delays = Delays::default();
        for packet in 0..200 {
            let delay = if packet < 100 { 40_000 } else { 300_000 };
            delays.add(10_000 * packet, 10_000 * packet + delay);
        }
        assert_eq!(delays.standing(), 260_000);
        delays.rebase();
        assert_eq!(delays.standing(), 0);
    }
}
