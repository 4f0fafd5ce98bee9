//! A run from start to end: creates users and a call, starts peers in crews, measures, and makes the report.

mod summary;

use crate::api::Api;
use crate::cast::Cast;
use crate::cli::Options;
use crate::crews::Crews;
use crate::ledger::Ledger;
use crate::limit::{Limit, Point};
use crate::observer::Observer;
use crate::orders::{Briefing, PeerSpec};
use crate::pin::{Pinned, own_cores};
use crate::ramp::Rate;
use crate::report::Report;
use crate::scenario::Part;
use crate::sender::wall_ns;
use crate::server_process::Process;
use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// Creates the call, measures it, and deletes everything on the server. `server_core` is the core to pin the
/// server to.
pub(crate) async fn run(options: &Options, server_core: Option<usize>) -> Result<Report> {
    let api = Api::new(options)?;
    api.check_alive().await?;
    let given = options.server.server_pid.map(|pid| Process { pid });
    let process = given.or_else(|| Process::listening_on(options.port()));
    let _pinned = match server_core {
        Some(core) => Some(Pinned::new(process.context("the server's process was not found")?, core)?),
        None => None,
    };
    let rtp_capabilities = api.rtp_capabilities().await?;
    let cast = Cast::gather(api).await?;
    let briefing = |engines| Briefing {
        call_id: cast.call_id.clone(),
        rtp_capabilities: rtp_capabilities.clone(),
        engines,
    };
    let briefings = engines(options).into_iter().map(briefing).collect();
    let crews = Crews::start(options, briefings).await?;
    let observer = Observer::new(process, &crews.pids());
    let mut run = Run {
        options,
        cast,
        crews,
        resident_before: observer.resident_mib(),
        observer,
        ledger: Ledger::default(),
        numbers: 0,
        audience: VecDeque::new(),
        next_tick: Instant::now(),
        is_observing: true,
        progress: progress_bar(),
    };
    let result = run.perform().await;
    run.progress.finish_and_clear();
    let dismissed = run.cast.dismiss().await;
    let report = result?;
    dismissed?;
    Ok(report)
}

pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    cast: Cast,
    crews: Crews,
    pub(crate) observer: Observer,
    pub(crate) ledger: Ledger,
    pub(crate) resident_before: Option<f64>,
    /// The number of peers started so far.
    numbers: u64,
    /// Peers that receive, with their tokens; the earliest joined first.
    audience: VecDeque<(u64, String)>,
    next_tick: Instant,
    /// `true` until peers leave.
    is_observing: bool,
    progress: ProgressBar,
}

impl Run<'_> {
    async fn perform(&mut self) -> Result<Report> {
        self.admit_publishers().await?;
        let (mut limit, mut recording) = (None, None);
        let window = if self.options.limit.find_limit {
            let (found, window) = self.find_limit().await?;
            limit = Some(found);
            window
        } else {
            self.admit_audience(self.options.peers()).await?;
            let recorded = if self.options.record { Some(self.cast.record().await?) } else { None };
            let window = self.measure(self.options.seconds).await?;
            if let Some(id) = recorded {
                recording = Some(self.cast.end_recording(&id).await?);
            }
            window
        };
        self.progress.set_message("leaving");
        self.is_observing = false;
        self.crews.stop().await;
        let crews = self.crews.count();
        self.wait(STOP_TIMEOUT, |ledger| ledger.crews_done == crews).await;
        Ok(summary::report(self, window, limit, recording))
    }

    pub(crate) fn publishing(&self) -> usize {
        let audience = if self.options.scenario.part().publishes { self.audience.len() } else { 0 };
        self.options.only_publishers() + audience
    }

    pub(crate) fn receiving(&self) -> usize {
        self.audience.len()
    }

    async fn admit_publishers(&mut self) -> Result<()> {
        let count = self.options.only_publishers();
        self.progress.set_message("connecting publishers");
        for user in self.cast.recruit(count).await? {
            let number = self.next_number();
            let part = Part { publishes: true, receives: false };
            self.admit(number, user.token, part).await?;
        }
        self.wait(SETUP_TIMEOUT, |ledger| ledger.connects.len() + ledger.failures.len() >= count).await;
        let failures = &self.ledger.failures;
        ensure!(failures.is_empty(), "no publisher may fail: {}", failures.join("; "));
        Ok(())
    }

    /// Starts `count` more peers at the rate of the ramp, and waits until each has received media or failed.
    async fn admit_audience(&mut self, count: usize) -> Result<()> {
        self.progress.set_message("making members");
        let users = self.cast.recruit(count).await?;
        self.progress.set_message("connecting peers");
        let started = Instant::now();
        for (index, user) in users.into_iter().enumerate() {
            let due = self.ramp().map_or(Duration::ZERO, |ramp| ramp.next(index));
            self.wait_until(started + due, |_| false).await;
            let number = self.next_number();
            self.audience.push_back((number, user.token.clone()));
            self.admit(number, user.token, self.options.scenario.part()).await?;
        }
        let expected = self.audience.len();
        // Waits for all at the end: the first member of a meeting receives nothing until the second one
        // sends.
        self.wait(SETUP_TIMEOUT, |ledger| ledger.first_packets.len() + ledger.failures.len() >= expected)
            .await;
        Ok(())
    }

    /// The join rate. The search for the limit needs a moderate default, because a burst of joins can fail
    /// although the server could serve the peers.
    fn ramp(&self) -> Option<Rate> {
        let careful = self.options.limit.find_limit.then_some(Rate::STEADY);
        self.options.ramp.or(careful)
    }

    async fn admit(&mut self, number: u64, token: String, part: Part) -> Result<()> {
        let Part { publishes, receives } = part;
        self.crews.admit(PeerSpec { number, token, publishes, receives }).await
    }

    /// Measures whole seconds of the wall clock, waits until they are settled, and returns them.
    async fn measure(&mut self, seconds: u64) -> Result<Range<u64>> {
        // A consumer counts only from its first complete second on.
        self.wait(WARM_UP, |_| false).await;
        let from = wall_ns() / NS_PER_SECOND + 1;
        let window = from..from + seconds;
        if let Some(rate) = self.options.churn() {
            self.churn(rate, window.end).await?;
        }
        let settled =
            Duration::from_secs(window.end + SETTLED).saturating_sub(Duration::from_nanos(wall_ns()));
        self.wait(settled, |_| false).await;
        Ok(window)
    }

    /// At this rate, replaces the earliest joined peer by a new one, until second `end` begins.
    async fn churn(&mut self, rate: Rate, end: u64) -> Result<()> {
        let started = Instant::now();
        for turn in 0.. {
            self.wait_until(started + rate.next(turn), |_| false).await;
            if wall_ns() / NS_PER_SECOND >= end {
                break;
            }
            let Some((leaving, token)) = self.audience.pop_front() else { break };
            self.crews.dismiss(leaving).await?;
            let number = self.next_number();
            self.audience.push_back((number, token.clone()));
            self.admit(number, token, self.options.scenario.part()).await?;
        }
        Ok(())
    }

    /// Adds peers step by step until a point is not good; returns the points and the last good one's window.
    async fn find_limit(&mut self) -> Result<(Limit, Range<u64>)> {
        let mut limit = Limit::default();
        let mut good = 0..0;
        let settings = self.options.limit;
        loop {
            self.admit_audience(settings.step).await?;
            let window = self.measure(settings.hold).await?;
            let mut point =
                Point::new(self.audience.len(), &self.ledger.tally.over(window.clone()), settings.hold);
            point.server_cores = self.observer.server(window.start, window.end).map(|used| used.cores);
            point.generator_cores = self.observer.generator(window.start, window.end);
            if !limit.note(point, self.ledger.failures.len()) {
                break;
            }
            good = window;
            if self.audience.len() + settings.step > settings.max_peers {
                limit.reached_max();
                break;
            }
        }
        Ok((limit, good))
    }

    async fn wait(&mut self, patience: Duration, goal: impl Fn(&Ledger) -> bool) {
        self.wait_until(Instant::now() + patience, goal).await;
    }

    /// Handles notes and samples every second, until the goal or the time is reached.
    async fn wait_until(&mut self, until: Instant, goal: impl Fn(&Ledger) -> bool) {
        while !goal(&self.ledger) {
            tokio::select! {
                biased;
                () = sleep_until(self.next_tick.into()) => self.tick(),
                () = sleep_until(until.into()) => return,
                Some(note) = self.crews.notes.recv() => self.ledger.absorb(note),
            }
        }
    }

    fn tick(&mut self) {
        let now_ns = wall_ns();
        let second = now_ns / NS_PER_SECOND;
        let ledger = &self.ledger;
        let present = ledger.connects.len().saturating_sub(ledger.left);
        if self.is_observing {
            self.observer.sample(second, present);
        }
        // The latest second whose counts are complete.
        let latest = second.saturating_sub(SETTLED + 1);
        let summary = ledger.tally.over(latest..latest + 1);
        if summary.arrived > 0 {
            let delivered =
                summary.delivery().share().map_or("-".to_owned(), |share| format!("{:.2} %", 100.0 * share));
            self.progress.set_message(format!(
                "{present} peers, {} packets/s, {delivered} delivered, p99 {:.1} ms",
                summary.arrived,
                summary.latency.quantile_ms(0.99),
            ));
        }
        self.next_tick = Instant::now() + Duration::from_nanos(NS_PER_SECOND - now_ns % NS_PER_SECOND);
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

/// For each crew, the cores of its engines. If pinned, each engine has its own core while there are enough.
fn engines(options: &Options) -> Vec<Vec<Option<usize>>> {
    let cores = own_cores();
    let processes = options.generator.processes;
    let threads = options.generator.threads.unwrap_or((cores.len() / processes).max(1));
    let mut next = cores.iter().cycle();
    let mut core = || if options.generator.pin { next.next().copied() } else { None };
    (0..processes).map(|_| (0..threads).map(|_| core()).collect()).collect()
}

fn progress_bar() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    let template = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}");
    progress.set_style(template.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    progress
}

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Time limit for publishers to connect, and for all peers to receive media.
const SETUP_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(25);
const WARM_UP: Duration = Duration::from_secs(2);
/// Seconds until all counts of a second have been collected.
const SETTLED: u64 = 4;
