//! What the packets of a probe show of the path.

use super::Micros;

/// How steady the path's delays are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steadiness {
    /// µs by which delays change from moment to moment.
    pub(super) change: Micros,
    /// Packets overtake each other.
    pub(super) is_reordered: bool,
}

/// What became of a probe. Rates are in bit/s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// All came through as it was sent: the path carries at least this.
    Passed(f64),
    /// The probe filled the path, which carries this.
    Full(f64),
    /// Too little of it was sent or came through to say anything.
    Void,
}

/// The packets of the running probe.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: Amount,
    pub(super) planned: u32,
    pub(super) last_number: u64,
    arrived: Amount,
    first_run: Option<RunSeen>,
    last_run: Option<RunSeen>,
    last_arrival: Micros,
    delays: DelaySlope,
}

/// Sums of send times and delays, for the slope of delays over send times by least squares. In µs, from the first packet
/// on.
#[derive(Debug, Default)]
struct DelaySlope {
    origin: Option<(Micros, Micros)>,
    count: f64,
    sent: f64,
    delay: f64,
    sent_sent: f64,
    sent_delay: f64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amount {
    packets: u32,
    pub(super) bytes: u32,
}

#[derive(Debug, Clone, Copy)]
struct RunSeen {
    sent: Micros,
    bytes: u32,
    last_arrival: Micros,
}

impl Tally {
    /// The tally of a probe of so many bytes.
    pub(super) fn of(planned: u32) -> Self {
        Self { planned, ..Self::default() }
    }

    pub(super) fn arrived(&mut self, sent: Micros, arrival: Micros, bytes: u16) {
        self.arrived.add(bytes);
        self.last_arrival = self.last_arrival.max(arrival);
        self.delays.add(sent, arrival);
        let run = RunSeen { sent, bytes: bytes.into(), last_arrival: arrival };
        for (seen, is_nearer) in [
            (&mut self.first_run, (|run, seen| run < seen) as fn(Micros, Micros) -> bool),
            (&mut self.last_run, |run, seen| run > seen),
        ] {
            match seen {
                Some(seen) if seen.sent == sent => {
                    seen.bytes += u32::from(bytes);
                    seen.last_arrival = seen.last_arrival.max(arrival);
                }
                Some(before) if !is_nearer(sent, before.sent) => {}
                _ => *seen = Some(run),
            }
        }
    }

    /// Without the last run's bytes for what was sent, without the first run's for what arrived: a run has no
    /// duration of its own.
    pub(super) fn outcome(&self, steadiness: Steadiness) -> Outcome {
        let (Some(first), Some(last)) = (self.first_run, self.last_run) else { return Outcome::Void };
        let is_whole = self.arrived.packets >= share(self.sent.packets)
            && self.arrived.bytes >= share(self.sent.bytes)
            && self.sent.bytes >= share(self.planned);
        let (sent_span, arrived_span) = (last.sent - first.sent, self.last_arrival - first.last_arrival);
        let possible = 1..=MAX_INTERVAL;
        if !is_whole || !possible.contains(&sent_span) {
            return Outcome::Void;
        }
        let sent = f64::from(self.arrived.bytes - last.bytes) * 8e6 / sent_span as f64;
        if steadiness.is_reordered {
            let received = sent / (1.0 + self.delays.slope()).max(0.5);
            return Outcome::of(sent, received);
        }
        if !possible.contains(&arrived_span) {
            return Outcome::Void;
        }
        let received = f64::from(self.arrived.bytes - first.bytes) * 8e6 / arrived_span as f64;
        if received > MAX_RATIO * sent {
            return Outcome::Void;
        }
        let is_stretched = arrived_span - sent_span > (STRETCH * steadiness.change).max(MIN_STRETCH);
        if is_stretched { Outcome::of(sent, received) } else { Outcome::Passed(received.min(sent)) }
    }
}

impl DelaySlope {
    fn add(&mut self, sent: Micros, arrival: Micros) {
        let (origin, delay) = *self.origin.get_or_insert((sent, arrival - sent));
        let (sent, delay) = ((sent - origin) as f64, (arrival - sent - delay) as f64);
        self.count += 1.0;
        self.sent += sent;
        self.delay += delay;
        self.sent_sent += sent * sent;
        self.sent_delay += sent * delay;
    }

    /// µs of delay per µs; 0 if all was sent at once.
    fn slope(&self) -> f64 {
        let spread = self.count * self.sent_sent - self.sent * self.sent;
        if spread > 0.0 { (self.count * self.sent_delay - self.sent * self.delay) / spread } else { 0.0 }
    }
}

impl Outcome {
    fn of(sent: f64, received: f64) -> Self {
        if received < FULL * sent { Self::Full(received) } else { Self::Passed(received.min(sent)) }
    }

    /// Media may have been sent beside the probe, but so short a burst proves nothing.
    pub(super) fn at_most(self, highest: f64) -> Self {
        match self {
            Self::Passed(rate) => Self::Passed(rate.min(highest)),
            Self::Full(_) | Self::Void => self,
        }
    }

    /// A path carries what has arrived for a second, whatever a probe shows: jitter stretched the probe.
    pub(super) fn unless_disproved(self, acknowledged: f64) -> Self {
        match self {
            Self::Full(rate) if rate < DISPROVED * acknowledged => Self::Void,
            Self::Passed(_) | Self::Full(_) | Self::Void => self,
        }
    }
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u16) {
        self.packets += 1;
        self.bytes = self.bytes.saturating_add(bytes.into());
    }
}

/// The part of a probe that must come through, rounded up.
pub(super) fn share(of: u32) -> u32 {
    (u64::from(of) * 4).div_ceil(5) as u32
}

const STRETCH: Micros = 1;
/// µs by which timers of a host are late.
const MIN_STRETCH: Micros = 3_000;
/// Of the acknowledged rate.
const DISPROVED: f64 = 0.9;
/// µs.
const MAX_INTERVAL: Micros = 1_000_000;
/// A link that lets out twice what was sent had held it back before.
const MAX_RATIO: f64 = 2.0;
/// Of the sent rate. Where less arrives the link is full.
const FULL: f64 = 0.9;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of 1250-byte packets over an idle link of `link` bit/s.
    fn probe(runs: Micros, packets: usize, spacing: Micros, link: f64) -> Outcome {
        let mut tally = Tally::default();
        let mut free = 0.0;
        for run in 0..runs {
            for _ in 0..packets {
                tally.sent.add(1_250);
                free = f64::max(free, (run * spacing) as f64) + 1_250.0 * 8e6 / link;
                tally.arrived(run * spacing, 30_000 + free as Micros, 1_250);
            }
        }
        tally.outcome(Steadiness::default())
    }

    #[test]
    fn a_fast_link_shows_the_rate_that_was_sent_however_large_the_runs_are() {
        for (runs, packets) in [(8, 1), (4, 2), (2, 5)] {
            let sent = packets as f64 * 1_250.0 * 8e6 / 10_000.0;
            let Outcome::Passed(rate) = probe(runs, packets, 10_000, 1e8) else { panic!("{runs} runs") };
            assert!((rate / sent - 1.0).abs() < 0.06, "{rate} of {sent} by {runs} runs");
        }
    }

    #[test]
    fn a_full_link_shows_its_own_rate() {
        let Outcome::Full(rate) = probe(4, 3, 5_250, 2e6) else { panic!("full") };
        assert!((rate / 2e6 - 1.0).abs() < 0.01, "{rate}");
    }

    #[test]
    fn one_run_has_no_rate_and_a_link_that_was_held_up_shows_none() {
        assert_eq!(probe(1, 10, 5_000, 1e7), Outcome::Void);
        let mut tally = Tally::default();
        for run in 0..8 {
            tally.sent.add(1_250);
            tally.arrived(5_000 * run, 90_000 + 1_000 * run, 1_250);
        }
        assert_eq!(tally.outcome(Steadiness::default()), Outcome::Void);
    }

    #[test]
    fn four_fifths_must_come_through() {
        let with = |missing| {
            let mut tally = Tally::default();
            for packet in 0..20 {
                tally.sent.add(1_250);
                if packet % 20 >= missing {
                    tally.arrived(5_000 * packet, 30_000 + 5_000 * packet, 1_250);
                }
            }
            tally.outcome(Steadiness::default())
        };
        assert!(matches!(with(4), Outcome::Passed(_)));
        assert_eq!(with(5), Outcome::Void);
    }

    #[test]
    fn a_probe_that_shows_less_than_arrives_anyway_is_void() {
        assert_eq!(Outcome::Full(1e6).unless_disproved(2e6), Outcome::Void);
        assert_eq!(Outcome::Full(1.9e6).unless_disproved(2e6), Outcome::Full(1.9e6));
    }
}
