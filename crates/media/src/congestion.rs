//! Congestion control of what is sent to one client: how much its path carries, told by the client's feedback.
//!
//! A [`Controller`] is told of each packet sent and of each report. It answers with an estimate, and with orders to
//! probe for more. It is told the time, so that it reads no clock, and it allocates only when its log of sent packets
//! doubles. Rates are bit/s of UDP payload: SRTP headers and tags are included, IP and UDP headers are not. Packets
//! that are told of and rates that are asked for must be counted alike.
//!
//! ```text
//! feedback ─► acks ─► log ─► order ─► signal (groups, delays, trend) ─► rate ─┐
//!                      │       ├────► throughput ─────────────────────► rate  ├─► least of all ─► estimate
//!                      │       └────► probes ─────────────────────────► rate  │
//!                      └─ settled fates ─► loss ──────────────────────────────┤
//! REMB, reception reports ─► remote ─────────────────────────────────────────┘
//! ```

mod acks;
mod delays;
mod groups;
mod incoming;
mod limited;
mod log;
mod loss;
mod order;
mod others;
mod path;
mod probes;
mod rate;
mod remote;
mod signal;
mod silence;
mod tally;
#[cfg(test)]
mod tests;
mod throughput;
mod trend;
mod view;

pub use acks::FeedbackError;
pub(crate) use acks::arrivals;
pub use incoming::{Incoming, SendTime};
pub use log::{Cluster, Fate, Kind};
pub use probes::{Demand, Probe};
pub use silence::Hearing;
pub use view::{Bound, Course, Totals};

use acks::{ReceiverClock, Report, Told};
use log::{Logged, SendLog};
use loss::{Known, LossModel, LossState};
use order::{Arrival, InOrder};
use path::PathState;
use probes::{ProbePlan, Weather};
use rate::{Bounds, Observed, RateControl};
use remote::Remote;
use signal::DelaySignal;
use silence::{FEEDBACK_INTERVAL, REPORT_INTERVAL};
use std::time::{Duration, Instant};
use tally::{Outcome, Steadiness};
use throughput::Throughput;
use trend::Usage;

/// A time in µs since the controller began, or by a receiver's clock, or a difference of two.
type Micros = i64;

/// Limits of a [`Controller`], in bit/s.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The estimate at the beginning: [`START_RATE`], or what [`Remembered::start`] tells.
    pub start: u64,
    pub min: u64,
    pub max: u64,
    /// The client negotiated transport-wide feedback. Else it is expected to report as RFC 3550 demands.
    pub transport_wide: bool,
}

/// A packet that was handed to the network.
#[derive(Debug, Clone, Copy)]
pub struct SentPacket {
    /// Transport-wide sequence number; `None` if the packet has none, or repeats an earlier packet to the byte.
    pub number: Option<u16>,
    /// Bytes of UDP payload.
    pub size: u16,
    pub kind: Kind,
    /// The probe that runs, whatever the packet carries.
    pub cluster: Option<Cluster>,
    /// Packets that leave in one run have one send time.
    pub at: Instant,
}

/// What a controller has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// bit/s that the path is thought to carry.
    pub estimate: u64,
    /// bit/s that may be sent at present: less than the estimate while a queue on the path is emptied.
    pub budget: u64,
    pub hearing: Hearing,
    /// Layers may be added: no over-use, no late report, not too much in flight.
    pub is_calm: bool,
    /// A probe to send at once.
    pub probe: Option<Probe>,
}

/// What an estimate is founded on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// Nothing was tried yet.
    Guess,
    /// What was sent came through. The path may carry much more.
    Use,
    /// The path was seen to carry no more.
    Limit,
}

/// Input that was ignored, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Feedback that cannot be read.
    pub malformed: u32,
    /// Packets said to have arrived that were not sent, or are forgotten.
    pub unknown: u32,
    /// The receiver's clock jumped by seconds.
    pub clock_jumps: u32,
    /// REMB of 0, which means that there is no limit, as in libwebrtc.
    pub remb_zero: u32,
    /// Reception reports that lost more than was expected.
    pub impossible: u32,
}

/// Congestion control of one downlink.
#[derive(Debug)]
pub struct Controller {
    origin: Instant,
    /// When the last packet was sent, by both clocks.
    run: (Instant, Micros),
    log: SendLog,
    clock: ReceiverClock,
    signal: DelaySignal,
    throughput: Throughput,
    rate: RateControl,
    loss: LossModel,
    probes: ProbePlan,
    remote: Remote,
    path: PathState,
    told: Change,
    faults: Faults,
}

/// The estimate of a leg that may be resumed.
#[derive(Debug, Clone, Copy)]
pub struct Remembered {
    estimate: u64,
    at: Instant,
}

impl Controller {
    /// A controller that begins at the start rate and knows nothing of the path.
    pub fn new(config: Config, now: Instant) -> Self {
        let bounds = Bounds { min: config.min as f64, max: config.max.max(config.min) as f64 };
        let start = bounds.clamp(config.start as f64);
        let interval = if config.transport_wide { FEEDBACK_INTERVAL } else { REPORT_INTERVAL };
        let rate = start as u64;
        Self {
            origin: now,
            run: (now, 0),
            log: SendLog::default(),
            clock: ReceiverClock::default(),
            signal: DelaySignal::default(),
            throughput: Throughput::default(),
            rate: RateControl::new(start, bounds),
            loss: LossModel::default(),
            probes: ProbePlan::new(start),
            remote: Remote::new(start, bounds),
            path: PathState::new(bounds, interval),
            told: Change {
                estimate: rate,
                budget: rate,
                hearing: Hearing::Heard,
                is_calm: true,
                probe: None,
            },
            faults: Faults::default(),
        }
    }

    /// Notes a packet, when it is handed to the network and in order of its number.
    pub fn sent(&mut self, packet: &SentPacket) {
        // Packets of one run have one time.
        let now = if packet.at == self.run.0 { self.run.1 } else { self.time(packet.at) };
        self.run = (packet.at, now);
        self.path.silence.sent(now);
        self.path.limited.sent(packet.size);
        let Some(number) = packet.number else {
            self.log.sent_unnumbered(packet.size, packet.kind);
            return;
        };
        let number = self.log.sent(number, packet.size, packet.kind, packet.cluster, now);
        if let (Some(number), Some(cluster)) = (number, packet.cluster) {
            self.probes.sent(cluster, number, packet.size);
        }
    }

    /// The packet under a transport-wide number never left the host: its absence says nothing of the path.
    /// Returns whether it was in flight.
    pub fn refused(&mut self, number: u16) -> bool {
        self.log.refused(number)
    }

    /// Takes a packet of transport-wide feedback (RTCP type 205, format 15), header included.
    pub fn feedback(&mut self, packet: &[u8], now: Instant) -> Result<(), FeedbackError> {
        let now = self.time(now);
        let report = Report::open(packet).inspect_err(|_| count(&mut self.faults.malformed))?;
        // Before the first packet there is nothing to report on.
        let Some(base) = self.log.extend(report.base) else { return Ok(()) };
        let (reference, jumped) = self.clock.read(&report);
        if jumped {
            count(&mut self.faults.clock_jumps);
            self.signal.reset();
            self.throughput.reset();
        }
        self.path.has_transport_wide = true;
        self.path.silence.heard(now);
        let covered = self.path.covered.unwrap_or(base);
        self.acknowledge(&report, base, reference, now);
        self.settle(covered);
        self.path.covered = Some(covered.max(base + u64::from(report.count)).min(self.log.next()));
        self.conclude(now);
        Ok(())
    }

    /// Takes what a reception report says of one stream since the last one: how many packets were lost of how many.
    /// Packets that were never sent under their number must not be counted. Without transport-wide feedback, this
    /// loss alone decides.
    pub fn reception(&mut self, lost: u32, expected: u32, now: Instant) {
        let now = self.time(now);
        if lost > expected {
            count(&mut self.faults.impossible);
            return;
        }
        if self.path.has_transport_wide {
            return;
        }
        self.path.lost += u64::from(lost);
        self.path.silence.heard(now);
        let sent = KINDS.iter().map(|&kind| self.log.total(kind)).sum();
        self.remote.report(lost, expected, sent, self.path.rtt, now);
    }

    /// Takes a receiver's estimate in bit/s (REMB). 0 means that there is no limit.
    pub fn remb(&mut self, rate: u64, now: Instant) {
        let now = self.time(now);
        if rate == 0 {
            count(&mut self.faults.remb_zero);
        }
        if !self.path.has_transport_wide {
            self.path.silence.heard(now);
        }
        self.remote.limit((rate > 0).then_some(rate as f64), now);
    }

    /// Takes a round-trip time measured by other means, such as reception reports.
    pub fn round_trip(&mut self, rtt: Duration) {
        self.path.measure_rtt(micros(rtt));
    }

    /// Tells what the allocator grants and wants.
    pub fn want(&mut self, demand: Demand, now: Instant) {
        let now = self.time(now);
        self.probes.want(demand, now);
    }

    /// The path is another one: after an ICE restart, or when the client's address changed. What was learned of the old
    /// path is forgotten; at most `rate` bit/s of the estimate remain, and up to 1 Mbit/s of it are probed at once.
    pub fn path_changed(&mut self, rate: u64, now: Instant) {
        let now = self.time(now);
        let before = self.current();
        let start = self.path.bounds.clamp(before.min(rate as f64));
        self.log.abandon();
        self.clock = ReceiverClock::default();
        self.signal = DelaySignal::default();
        self.throughput.reset();
        self.rate.restart(start);
        self.loss = LossModel::default();
        self.remote.restart(start);
        self.probes.restart(before.min(MAX_RETRY_RATE), now);
        self.path.restart();
    }

    /// What changed since the last call. To be called after input, and at [`Self::next_timeout`].
    pub fn poll(&mut self, now: Instant) -> Option<Change> {
        let now = self.time(now);
        let (hearing, falls) = self.path.silence.update(self.path.rtt, now);
        if falls || self.path.is_far(now) {
            self.rate.lower(SILENCE_FACTOR);
            self.remote.lower(SILENCE_FACTOR);
        }
        let estimate = self.current();
        self.path.is_limited = self.path.limited.update(estimate, now);
        let weather = self.weather(hearing, now);
        let probe = self.probes.poll(&weather);
        let change = Change {
            estimate: estimate as u64,
            budget: self.budget(now) as u64,
            hearing,
            is_calm: weather.is_calm,
            probe,
        };
        let is_news = change.is_news(&self.told);
        if is_news {
            self.told = Change { probe: None, ..change };
        }
        is_news.then_some(change)
    }

    /// What [`Self::poll`] told last, without its probe.
    pub fn told(&self) -> Change {
        self.told
    }

    /// What stands behind the estimate.
    pub fn grounds(&self, now: Instant) -> Grounds {
        if self.probes.counts().results() == 0 && self.time(now) < TEST_TIME {
            return Grounds::Guess;
        }
        let has_found_limit = self.rate.has_found_limit()
            || self.remote.has_found_limit()
            || self.loss.state() != LossState::Delay;
        if has_found_limit { Grounds::Limit } else { Grounds::Use }
    }

    /// It began only just now: the first probes may go on.
    pub fn is_young(&self, now: Instant) -> bool {
        self.time(now) < YOUNG
    }

    /// Bytes sent of all kinds since the beginning.
    pub fn sent_bytes_in_all(&self) -> u64 {
        KINDS.iter().map(|&kind| self.log.total(kind)).sum()
    }

    /// When to call [`Self::poll`] if there is no input before.
    pub fn next_timeout(&self) -> Option<Instant> {
        let next = self.path.silence.next(self.path.rtt).into_iter().chain(self.probes.next()).min()?;
        Some(self.origin + Duration::from_micros(next.max(0).unsigned_abs()))
    }

    /// Enters a report in the log, and hands what arrived to the estimators in order of arrival.
    fn acknowledge(&mut self, report: &Report<'_>, base: u64, reference: Micros, now: Micros) {
        let mut untold = self.log.untold(self.path.covered.unwrap_or(base)..base);
        let mut order = InOrder::new();
        let mut round_trip = Micros::MAX;
        let mut newest = Micros::MIN;
        for told in report.told() {
            match told {
                Told::Missing { first, count } => {
                    let first = base + u64::from(first);
                    self.log.missing(first..first + u64::from(count));
                }
                Told::Arrived { offset, at } => {
                    let at = reference + at;
                    let Some(packet) = self.find(base + u64::from(offset)) else { continue };
                    round_trip = round_trip.min(now - packet.sent + at);
                    newest = newest.max(at);
                    let untold = u32::try_from(std::mem::take(&mut untold)).unwrap_or(u32::MAX);
                    if let Some(earliest) = order.add(Arrival { packet, at, untold }) {
                        self.arrive(&earliest, now);
                    }
                }
            }
        }
        while let Some(earliest) = order.take() {
            self.arrive(&earliest, now);
        }
        if newest > Micros::MIN {
            self.path.measure_rtt((round_trip - newest).max(0));
        }
    }

    /// A packet that arrived; `None` if that is no news.
    fn find(&mut self, number: u64) -> Option<Logged> {
        let Some(packet) = self.log.arrived(number) else {
            count(&mut self.faults.unknown);
            return None;
        };
        match packet.fate {
            // The bytes of a packet that was untold were counted with one that arrived later.
            Fate::Unsent | Fate::Arrived | Fate::Untold => None,
            Fate::Lost => {
                self.loss.correct(packet.size);
                Some(packet)
            }
            Fate::InFlight | Fate::Missing => Some(packet),
        }
    }

    fn arrive(&mut self, arrival: &Arrival, now: Micros) {
        let Arrival { packet, at, untold } = arrival;
        self.signal.add(packet.sent, *at, now);
        self.throughput.add(packet.sent, *at, u32::from(packet.size).saturating_add(*untold));
        self.probes.arrived(packet, *at);
    }

    /// Packets of the report before this one have had their chance to be corrected.
    fn settle(&mut self, covered: u64) {
        let (loss, count) = (&mut self.loss, &mut self.path.lost);
        self.log.settle(covered, |packet| {
            let is_lost = match packet.fate {
                Fate::Lost | Fate::Missing => Some(true),
                Fate::Arrived => Some(false),
                Fate::Unsent | Fate::InFlight | Fate::Untold => None,
            };
            *count += u64::from(is_lost == Some(true));
            loss.add(packet.sent, packet.size, is_lost);
        });
    }

    fn conclude(&mut self, now: Micros) {
        let usage = self.signal.conclude();
        // A probe that fills the path shows its own queue, and its result says more than that queue.
        let is_of_probe = self.probes.is_running() && self.signal.standing() < MAX_PROBE_QUEUE;
        self.path.usage = if is_of_probe { Usage::Normal } else { usage };
        let rates = self.throughput.rates();
        self.path.rates = rates;
        let weather = self.weather(Hearing::Heard, now);
        let probe = self.probes.conclude(self.path.covered.unwrap_or(0), &weather);
        self.rate.update(&Observed {
            usage: self.path.usage,
            rates,
            is_draining: self.is_draining(now),
            probe,
            standing: self.signal.standing(),
            rtt: self.path.rtt,
            now,
        });
        if let Some(Outcome::Passed(rate)) = probe {
            self.loss.proven(rate);
        }
        self.loss.update(&Known {
            by_delay: self.rate.rate(),
            max: self.path.bounds.max,
            acknowledged: rates.map(|rates| rates.acknowledged),
            is_limited: self.path.is_limited,
            now,
        });
    }

    fn weather(&self, hearing: Hearing, now: Micros) -> Weather {
        let estimate = self.current();
        let acknowledged = self.path.rates.map_or(0.0, |rates| rates.acknowledged);
        let allowed = 1.5 * estimate.max(acknowledged) / 8e6
            * (self.path.rtt + self.path.silence.interval() + IN_FLIGHT_OFFSET) as f64;
        let is_calm = (self.path.usage == Usage::Normal || self.rate.is_beside_others(now))
            && !self.is_draining(now)
            && hearing == Hearing::Heard
            && self.loss.state() != LossState::Decreasing
            // Before anything was acknowledged, what is in flight says nothing.
            && (self.path.rates.is_none() || self.log.in_flight() as f64 <= allowed.max(MIN_IN_FLIGHT));
        let reach = if self.loss.state() == LossState::Increasing { LOSSY_REACH } else { REACH };
        let start = self.log.next() == 0 || self.path.covered.is_none();
        let reach = if start { START_REACH } else { reach };
        Weather {
            estimate,
            is_calm,
            reach,
            acknowledged,
            steadiness: Steadiness {
                change: self.signal.unsteadiness(),
                is_reordered: self.signal.is_reordered(),
            },
            rtt: self.path.rtt,
            now,
        }
    }

    fn current(&self) -> f64 {
        if !self.path.has_transport_wide {
            return self.remote.rate();
        }
        let rate = self.loss.rate(self.rate.rate());
        self.path.bounds.clamp(self.remote.bound(rate))
    }

    fn is_draining(&self, now: Micros) -> bool {
        self.signal.is_draining() && !self.rate.is_beside_others(now)
    }

    fn budget(&self, now: Micros) -> f64 {
        if self.is_draining(now) { DRAIN_FACTOR * self.current() } else { self.current() }
    }

    fn time(&self, at: Instant) -> Micros {
        micros(at.saturating_duration_since(self.origin))
    }
}

impl Change {
    /// Whether the allocator should know: the estimate moved by more than it tolerates, or something else changed.
    fn is_news(&self, told: &Self) -> bool {
        let moved =
            |now: u64, before: u64| now as f64 > RISE * before as f64 || (now as f64) < DROP * before as f64;
        self.probe.is_some()
            || self.hearing != told.hearing
            || self.is_calm != told.is_calm
            || moved(self.estimate, told.estimate)
            || moved(self.budget, told.budget)
    }
}

impl Remembered {
    /// The estimate to begin with, in bit/s; `None` after half a minute.
    pub fn start(&self, now: Instant) -> Option<u64> {
        let is_fresh = now.saturating_duration_since(self.at) <= MEMORY;
        is_fresh.then_some(self.estimate / 10 * 8)
    }
}

fn micros(duration: Duration) -> Micros {
    // Without the 128-bit division of `as_micros`: this is done for each packet.
    let seconds = Micros::try_from(duration.as_secs()).unwrap_or(Micros::MAX);
    seconds.saturating_mul(1_000_000).saturating_add(Micros::from(duration.subsec_micros()))
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// bit/s, as libwebrtc's. The lowest layers are sent whatever the estimate is; probes raise it within a second.
pub const START_RATE: u64 = 300_000;
const KINDS: [Kind; 5] = [Kind::Audio, Kind::Video, Kind::Rtx, Kind::Probe, Kind::Padding];
/// bit/s that are probed at once on a path that is new.
const MAX_RETRY_RATE: f64 = 1_000_000.0;
/// µs.
const TEST_TIME: Micros = 2_000_000;
/// µs.
const YOUNG: Micros = 3_000_000;
/// µs.
const MAX_PROBE_QUEUE: Micros = 100_000;
const SILENCE_FACTOR: f64 = 0.8;
/// Of the estimate, while a queue is emptied.
const DRAIN_FACTOR: f64 = 0.5;
/// µs. What is in flight besides a round trip's worth waits in a queue.
const IN_FLIGHT_OFFSET: Micros = 100_000;
/// Bytes: a probe and a few packets of sound.
const MIN_IN_FLIGHT: f64 = 20_000.0;
/// Of the estimate: how far a probe may go.
const REACH: f64 = 2.0;
const LOSSY_REACH: f64 = 1.5;
const START_REACH: f64 = 3.0;
/// Of the estimate told before.
const RISE: f64 = 1.1;
const DROP: f64 = 0.95;
const MEMORY: Duration = Duration::from_secs(30);
