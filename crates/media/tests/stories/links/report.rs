//! What a row of the link suite found out.

use super::baseline::Baseline;
use crate::world::quality::{Pictures, Sound};
use crate::world::rates::{Camera, best_feasible};
use crate::world::record::{Kind, Record};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How one receiver's link, pictures and sound did.
pub struct LinkReport {
    pub name: String,
    pub duration: Duration,
    pub record: Record,
    /// The share of the link's capacity that media, retransmissions and sound used after [`WARM_UP`]; `None` for a link
    /// without limit.
    pub used: Option<f64>,
    /// The estimate every 100 ms, in bit/s; empty where nothing is estimated.
    pub estimates: Vec<(Duration, u64)>,
    /// One entry per camera.
    pub pictures: Vec<Pictures>,
    pub sound: Sound,
    /// When the receiver's layers changed, since the start.
    pub switches: Vec<Duration>,
    /// Key-frame requests that reached the publisher.
    pub key_frame_requests: usize,
    /// What is wrong with the streams that the SFU forwarded, before the link lost any of them.
    pub faults: Vec<String>,
    /// Bytes that are still on their way.
    pub under_way: usize,
    /// What rtc-interceptor's `Gcc` makes of the same link.
    pub baseline: Option<Baseline>,
}

/// Percentiles of the time in the queue, without a packet's own serialisation.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    pub p50: Duration,
    pub p95: Duration,
    pub most: Duration,
}

impl LinkReport {
    /// What holds on every link: the report is complete, and no byte is unaccounted for.
    pub fn assert_complete(&self) {
        let seconds = self.duration.as_secs() as usize;
        assert!(self.record.sent_per(Duration::from_secs(1), &Kind::ALL).len() >= seconds, "{}", self.name);
        assert!(!self.pictures.is_empty(), "{}: no pictures", self.name);
        for kind in Kind::ALL {
            let bytes = |per_second: Vec<usize>| per_second.into_iter().sum::<usize>();
            let sent = bytes(self.record.sent_per(Duration::from_secs(1), &[kind]));
            let lost = bytes(self.record.lost_per(Duration::from_secs(1), &[kind]));
            let arrived = bytes(self.record.arrived_per(Duration::from_secs(1), &[kind]));
            assert!(lost + arrived <= sent, "{}: {kind:?} was made up", self.name);
        }
        let sent: usize = self.record.sent.iter().map(|sent| sent.bytes).sum();
        let lost: usize = self.record.sent.iter().filter(|sent| sent.is_lost()).map(|sent| sent.bytes).sum();
        let arrived: usize = self.record.arrived.iter().map(|(_, _, bytes)| bytes).sum();
        assert_eq!(
            sent,
            lost + arrived + self.under_way + self.record.left_behind.unwrap_or(0),
            "{}: bytes vanished",
            self.name
        );
    }

    /// No frame was forwarded that refers to one that was not, no number is missing, and no packet is damaged.
    pub fn assert_flawless(&self) {
        self.assert_complete();
        assert!(self.faults.is_empty(), "{}: {:?}", self.name, self.faults);
    }

    pub fn waits(&self, from: Duration, until: Duration) -> Waits {
        Waits::of(&self.record.waits(from, until))
    }

    /// Bit/s sent in a span of time.
    pub fn sent_rate(&self, from: Duration, until: Duration) -> f64 {
        let span = self.record.begin + from..self.record.begin + until;
        let sent = self.record.sent.iter().filter(|sent| span.contains(&sent.at));
        sent.map(|sent| sent.bytes).sum::<usize>() as f64 * 8.0 / (until - from).as_secs_f64()
    }

    /// The mean estimate in bit/s of a span of time; 0 where nothing is estimated.
    pub fn estimate(&self, from: Duration, until: Duration) -> f64 {
        let seen: Vec<_> = self.estimates.iter().filter(|(at, _)| (from..until).contains(at)).collect();
        seen.iter().map(|(_, rate)| *rate as f64).sum::<f64>() / seen.len().max(1) as f64
    }

    /// The mean estimate after [`WARM_UP`] lies within these shares of `rate` bit/s.
    pub fn assert_estimate(&self, rate: u64, shares: RangeInclusive<f64>) {
        let share = self.estimate(WARM_UP, self.duration) / rate as f64;
        assert!(shares.contains(&share), "{}: {share} of the link is estimated", self.name);
    }

    /// The estimate reached `rate` bit/s between two moments.
    pub fn assert_reached(&self, rate: u64, from: Duration, until: Duration) {
        let reached = self.estimates.iter().find(|(at, estimate)| *at >= from && *estimate >= rate);
        let at = reached.map(|(at, _)| *at);
        assert!(at.is_some_and(|at| at <= until), "{}: {rate} is reached at {at:?}", self.name);
    }

    /// At least nine tenths of the best layers are sent that fit, with 15 % to spare, in 0.85 of a link of `rate` bit/s.
    pub fn assert_uses(&self, rate: u64, camera: Camera, cameras: u8) {
        let best = best_feasible(camera, cameras, (0.85 * rate as f64 - SOUND) / 1.15);
        let video = self.record.sent_per(self.duration, &[Kind::Video]);
        let sent = video.iter().sum::<usize>() as f64 * 8.0 / self.duration.as_secs_f64();
        assert!(sent >= 0.9 * best, "{}: {sent} of {best} bit/s", self.name);
    }

    /// The queue of the link, from `from` on, in ms: its median and its 95th percentile are at most these.
    pub fn assert_queue(&self, from: Duration, p50: u64, p95: u64) {
        let waits = self.waits(from, self.duration);
        let most = (Duration::from_millis(p50), Duration::from_millis(p95));
        assert!(waits.p50 <= most.0 && waits.p95 <= most.1, "{}: a queue of {waits} ms", self.name);
    }

    /// No layer changes after [`SETTLED`].
    pub fn assert_steady(&self) {
        let late: Vec<_> = self.switches.iter().filter(|at| **at > SETTLED).collect();
        assert!(late.is_empty(), "{}: switches at {late:?}", self.name);
    }

    /// On average of the cameras, at least so many pictures a second, and no more than this share of time frozen.
    pub fn assert_pictures(&self, rate: f64, frozen: f64) {
        let (seen, stood) = (self.mean(|it| it.rate), self.mean(|it| it.frozen));
        assert!(seen >= rate && stood <= frozen, "{}: {seen} pictures/s, {stood} frozen", self.name);
    }

    /// At most this share of the sound is concealed.
    pub fn assert_sound(&self, concealed: f64) {
        assert!(self.sound.concealed <= concealed, "{}: {} concealed", self.name, self.sound.concealed);
    }

    /// The share of bytes sent that were retransmissions.
    fn retransmissions(&self) -> f64 {
        let bytes = |kinds: &[Kind]| self.record.sent_per(self.duration, kinds).iter().sum::<usize>() as f64;
        bytes(&[Kind::Retransmission]) / bytes(&Kind::ALL)
    }

    /// The share of the sound's packets that the link lost.
    pub fn sound_lost(&self) -> f64 {
        let lost = self.record.lost_per(self.duration, &[Kind::Audio]).iter().sum::<usize>() as f64;
        lost / self.record.sent_per(self.duration, &[Kind::Audio]).iter().sum::<usize>().max(1) as f64
    }

    fn mean(&self, of: impl Fn(&Pictures) -> f64) -> f64 {
        self.pictures.iter().map(of).sum::<f64>() / self.pictures.len() as f64
    }
}

impl Waits {
    /// Of times that ascend.
    pub fn of(waits: &[Duration]) -> Self {
        let at = |share: f64| {
            let index = (waits.len() as f64 * share) as usize;
            waits.get(index.min(waits.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p95: at(0.95), most: at(1.0) }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4}/{:>4}/{:>4}", self.p50.as_millis(), self.p95.as_millis(), self.most.as_millis())
    }
}

impl fmt::Display for LinkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        let estimate = self.estimate(WARM_UP, self.duration) / 1_000.0;
        let sent = self.sent_rate(WARM_UP, self.duration) / 1_000.0;
        write!(f, "{:<34} {estimate:>6.0} {sent:>6.0} ", self.name)?;
        match self.used {
            Some(used) => write!(f, "{:>4.0} ", percent(used))?,
            None => write!(f, "   – ")?,
        }
        write!(f, "{} ", self.waits(WARM_UP, self.duration))?;
        let bad = self.mean(|it| it.bad_seconds as f64 / it.seconds as f64);
        let frozen = self.mean(|it| it.frozen);
        write!(f, "{:>5.1} {:>4.0} {:>4.0} ", self.mean(|it| it.rate), percent(frozen), percent(bad))?;
        write!(f, "{:>5.1} {:>5.1} ", percent(self.sound_lost()), percent(self.sound.late))?;
        write!(f, "{:>5.1} ", percent(self.sound.concealed))?;
        let late_switches = self.switches.iter().filter(|at| **at > SETTLED).count();
        write!(
            f,
            "{:>3} {:>4} {:>4.0} ",
            late_switches,
            self.key_frame_requests,
            percent(self.retransmissions())
        )?;
        match &self.baseline {
            Some(baseline) => write!(f, "{baseline}")?,
            None => write!(f, "–")?,
        }
        self.faults.iter().try_for_each(|fault| write!(f, "\n    {fault}"))
    }
}

/// Prints a row under its heading; `--nocapture` shows it.
pub fn print(report: &LinkReport) {
    eprintln!("{HEADING}\n{report}");
}

/// Values are in kb/s, ms and per cent; switches are those after [`SETTLED`].
const HEADING: &str = "\nlink                                  est   sent   used queue 50/95/100  fps froz bad  lost  late  concl  sw  PLI  RTX Gcc: kb/s, used, queue";
/// Bit/s of a microphone on the wire.
const SOUND: f64 = 50_000.0;
/// The time after which a link's averages are taken.
pub const WARM_UP: Duration = Duration::from_secs(5);
/// The time after which a constant link should not see switches.
const SETTLED: Duration = Duration::from_secs(10);
