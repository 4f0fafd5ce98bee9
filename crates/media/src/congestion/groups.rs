//! Groups packets that were sent together, and compares the gaps between groups at both ends
//! (draft-ietf-rmcat-gcc-02 §5.2 and §5.3, numbers as in libwebrtc).

use super::Micros;

/// Takes packets in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    current: Option<Group>,
    before: Option<Group>,
    reversals: u8,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: Micros,
    last_sent: Micros,
    first_arrival: Micros,
    completion: Micros,
    /// When its last report came.
    told: Micros,
}

/// What a packet brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouped {
    /// The packet belongs to the current group, is too old for it, or begins the second one.
    Quiet,
    /// The packet begins a group, so the two before it can be compared.
    Pair(Gap),
    /// A clock was set, or order was lost: older measurements mean nothing.
    Reset,
}

/// The time between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) sent: Micros,
    pub(super) arrived: Micros,
    /// When the later group was complete, by the receiver's clock.
    pub(super) at: Micros,
}

impl Grouping {
    /// `now` is when the report came.
    pub(super) fn add(&mut self, sent: Micros, arrival: Micros, now: Micros) -> Grouped {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrival, now));
            return Grouped::Quiet;
        };
        if sent < current.first_sent {
            return Grouped::Quiet;
        }
        if current.takes(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.completion = current.completion.max(arrival);
            current.told = now;
            return Grouped::Quiet;
        }
        let current = *current;
        let gap = self.before.map(|before| (current.since(&before), current.told - before.told));
        self.before = Some(current);
        self.current = Some(Group::new(sent, arrival, now));
        match gap {
            None => Grouped::Quiet,
            Some((gap, told)) => self.judge(gap, told),
        }
    }

    fn judge(&mut self, gap: Gap, told: Micros) -> Grouped {
        if gap.arrived - told >= CLOCK_STEP {
            *self = Self::default();
            return Grouped::Reset;
        }
        if gap.arrived < 0 {
            self.reversals += 1;
            if self.reversals < MAX_REVERSALS {
                return Grouped::Quiet;
            }
            *self = Self::default();
            return Grouped::Reset;
        }
        self.reversals = 0;
        Grouped::Pair(gap)
    }
}

impl Group {
    fn new(sent: Micros, arrival: Micros, now: Micros) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrival: arrival, completion: arrival, told: now }
    }

    /// A packet belongs to the group of the first packet, not of the last one: else a busy sender's group never ends.
    /// A burst belongs to it too: packets that a queue let out faster than they were sent.
    fn takes(&self, sent: Micros, arrival: Micros) -> bool {
        let (send_delta, arrival_delta) = (sent - self.last_sent, arrival - self.completion);
        let is_burst = arrival_delta < send_delta
            && (-MAX_BURST..=BURST_GAP).contains(&arrival_delta)
            && arrival - self.first_arrival < MAX_BURST;
        sent - self.first_sent <= GROUP_SPAN || send_delta == 0 || is_burst
    }

    fn since(&self, before: &Self) -> Gap {
        Gap {
            sent: self.last_sent - before.last_sent,
            arrived: self.completion - before.completion,
            at: self.completion,
        }
    }
}

/// µs.
const GROUP_SPAN: Micros = 5_000;
/// µs.
const BURST_GAP: Micros = 5_000;
/// µs.
const MAX_BURST: Micros = 100_000;
/// µs by which arrivals may be further apart than their reports.
const CLOCK_STEP: Micros = 3_000_000;
const MAX_REVERSALS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_within_five_milliseconds_of_the_first_one_are_a_group() {
        let mut grouping = Grouping::default();
        // 2 ms apart without pause: compared with the last packet the group would never end.
        let pairs = (0..100).filter(|step| {
            let (sent, arrival) = (2_000 * step, 50_000 + 2_000 * step);
            matches!(grouping.add(sent, arrival, arrival), Grouped::Pair(_))
        });
        assert_eq!(pairs.count(), 32);
    }

    #[test]
    fn a_gap_is_the_distance_of_last_packets() {
        let mut grouping = Grouping::default();
        let packets = [(0, 100), (4_000, 4_100), (10_000, 10_400), (12_000, 13_100), (20_000, 26_000)];
        let grouped = packets.map(|(sent, arrival)| grouping.add(sent, arrival, arrival));
        let gap = Gap { sent: 8_000, arrived: 9_000, at: 13_100 };
        assert_eq!(grouped[4], Grouped::Pair(gap));
        assert!(grouped[..4].iter().all(|grouped| *grouped == Grouped::Quiet));
    }

    #[test]
    fn packets_that_a_queue_lets_out_at_once_are_a_group() {
        let mut grouping = Grouping::default();
        grouping.add(0, 50_000, 50_000);
        for step in 1..8 {
            assert_eq!(grouping.add(10_000 * step, 50_000 + 1_000 * step, 60_000), Grouped::Quiet);
        }
        assert_eq!(grouping.add(100_000, 150_000, 150_000), Grouped::Quiet);
        let Grouped::Pair(gap) = grouping.add(120_000, 170_000, 170_000) else { panic!("a pair") };
        assert_eq!((gap.sent, gap.arrived), (30_000, 93_000));
    }

    #[test]
    fn a_packet_sent_before_the_group_is_ignored() {
        let mut grouping = Grouping::default();
        grouping.add(10_000, 50_000, 50_000);
        grouping.add(20_000, 60_000, 60_000);
        assert_eq!(grouping.add(5_000, 61_000, 61_000), Grouped::Quiet);
        let Grouped::Pair(gap) = grouping.add(30_000, 70_000, 70_000) else { panic!("a pair") };
        assert_eq!((gap.sent, gap.arrived), (10_000, 10_000));
    }

    #[test]
    fn a_step_of_the_receivers_clock_starts_anew() {
        for step in [5_000_000, -5_000_000] {
            let mut grouping = Grouping::default();
            let mut resets = 0;
            for packet in 0..100 {
                let arrival = 20_000 * packet + if packet < 50 { 0 } else { step };
                resets += u8::from(grouping.add(20_000 * packet, arrival, 20_000 * packet) == Grouped::Reset);
            }
            assert!(resets <= 1, "{resets} for {step}");
        }
    }
}
