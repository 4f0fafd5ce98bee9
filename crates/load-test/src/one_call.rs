//! The scenario of one call: everybody in it, some send, the others receive everything.

use crate::api::{Api, User};
use crate::cli::Options;
use crate::peer::{CallContext, Milestone, PeerSummary, Traffic};
use crate::report::{MediaReport, Report, ServerReport, Spread};
use crate::server_process::Process;
use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchyard_peer::Identity;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout_at};

/// Sets the call up, measures it, and leaves nothing behind on the server.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    let api = Api::new(options)?;
    api.check_alive().await?;
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    progress.set_message("signing in");
    let users = sign_in(&api, options.publishers + options.subscribers).await?;
    progress.set_message("creating the call");
    let (owner, others) = users.split_first().context("nobody to make the call")?;
    let group = api.create_group("Load test", owner, others).await?;
    let call_id = api.create_call(&group, owner).await?;
    let report = Run::new(options, &api, call_id.clone()).await?.measure(users.clone(), progress).await;
    let cleaned = api.delete_group(&group, owner).await;
    let report = report?;
    cleaned?;
    Ok(report)
}

pub(crate) async fn sign_in(api: &Api, count: usize) -> Result<Vec<User>> {
    let sign_in = |number| async move { api.sign_in(&format!("Load test {number}")).await };
    stream::iter(1..=count).map(sign_in).buffered(CONCURRENT_REQUESTS).try_collect().await
}

/// One measurement under way.
struct Run {
    call: Arc<CallContext>,
    stop: watch::Sender<bool>,
    milestones: mpsc::Receiver<Milestone>,
    peers: JoinSet<PeerSummary>,
    joins: Vec<Duration>,
    connects: Vec<Duration>,
    first_packets: Vec<Duration>,
    failures: Vec<String>,
}

/// Counters at one moment.
struct Sample {
    at: Instant,
    sent: u64,
    received: u64,
    server_cpu: Option<Duration>,
    generator_cpu: Option<Duration>,
}

impl Run {
    async fn new(options: &Options, api: &Api, call_id: String) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (milestones, reached) = mpsc::channel(1_024);
        let call = CallContext {
            options: options.clone(),
            identity: Identity::generate()?,
            call_id,
            rtp_capabilities: api.rtp_capabilities().await?,
            traffic: Traffic::default(),
            stop: stopped,
            milestones,
        };
        Ok(Self {
            call: Arc::new(call),
            stop,
            milestones: reached,
            peers: JoinSet::new(),
            joins: Vec::new(),
            connects: Vec::new(),
            first_packets: Vec::new(),
            failures: Vec::new(),
        })
    }

    async fn measure(mut self, mut users: Vec<User>, progress: ProgressBar) -> Result<Report> {
        let options = self.call.options.clone();
        let subscribers = users.split_off(options.publishers);
        progress.set_message("connecting publishers");
        for user in users {
            self.peers.spawn(self.call.clone().publish(user));
        }
        let connected =
            self.await_milestones(options.publishers, |m| matches!(m, Milestone::Connected(_))).await;
        ensure!(connected > 0, "no publisher could connect: {}", self.failures.join("; "));
        progress.set_message("connecting subscribers");
        for user in subscribers {
            self.peers.spawn(self.call.clone().subscribe(user));
        }
        self.await_milestones(options.subscribers, |m| matches!(m, Milestone::FirstPacket(_))).await;

        let server =
            options.server_pid.map(|pid| Process { pid }).or_else(|| Process::listening_on(options.port()));
        let before = self.sample(server);
        self.show_time(progress, &options).await;
        let after = self.sample(server);
        let resident_bytes = server.and_then(Process::resident_bytes);
        let summary = self.stop().await;
        let server = server.and_then(|process| server_report(process, &before, &after, resident_bytes));
        Ok(self.report(&before, &after, summary, server))
    }

    /// Waits until `count` peers have come as far as `goal` or failed; returns how many have come.
    async fn await_milestones(&mut self, count: usize, goal: impl Fn(&Milestone) -> bool) -> usize {
        let deadline = Instant::now() + SETUP_TIMEOUT;
        let (mut reached, failed_before) = (0, self.failures.len());
        while reached + self.failures.len() - failed_before < count {
            let Ok(Some(milestone)) = timeout_at(deadline.into(), self.milestones.recv()).await else {
                break;
            };
            reached += usize::from(goal(&milestone));
            self.note(milestone);
        }
        reached
    }

    fn note(&mut self, milestone: Milestone) {
        match milestone {
            Milestone::Joined(after) => self.joins.push(after),
            Milestone::Connected(after) => self.connects.push(after),
            Milestone::FirstPacket(after) => self.first_packets.push(after),
            Milestone::Failed(reason) => self.failures.push(reason),
        }
    }

    fn sample(&self, server: Option<Process>) -> Sample {
        Sample {
            at: Instant::now(),
            sent: self.call.traffic.sent(),
            received: self.call.traffic.received(),
            server_cpu: server.and_then(Process::cpu_time),
            generator_cpu: Process { pid: std::process::id() }.cpu_time(),
        }
    }

    async fn show_time(&mut self, progress: ProgressBar, options: &Options) {
        progress.set_length(options.seconds);
        progress.set_style(bar_style());
        let mut received = self.call.traffic.received();
        for second in 0..options.seconds {
            progress.set_position(second);
            sleep(Duration::from_secs(1)).await;
            let total = self.call.traffic.received();
            progress.set_message(format!("{} packets/s received", total - received));
            received = total;
        }
        progress.finish_and_clear();
    }

    async fn stop(&mut self) -> PeerSummary {
        // Peers that already failed need no stopping.
        let _ = self.stop.send(true);
        let mut sum = PeerSummary::default();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while let Ok(Some(peer)) = timeout_at(deadline.into(), self.peers.join_next()).await {
            match peer {
                Ok(peer) => {
                    sum.lost += peer.lost;
                    sum.expected += peer.expected;
                    sum.key_frames_requested += peer.key_frames_requested;
                    sum.rejected += peer.rejected;
                    sum.unsent += peer.unsent;
                }
                Err(error) => self.failures.push(error.to_string()),
            }
        }
        while let Ok(milestone) = self.milestones.try_recv() {
            self.note(milestone);
        }
        sum
    }

    fn report(
        &self,
        before: &Sample,
        after: &Sample,
        sum: PeerSummary,
        server: Option<ServerReport>,
    ) -> Report {
        let seconds = (after.at - before.at).as_secs_f64();
        let generator_cpu = after.generator_cpu.zip(before.generator_cpu);
        Report {
            publishers: self.call.options.publishers,
            subscribers: self.call.options.subscribers,
            failed: self.failures.len(),
            first_failure: self.failures.first().cloned(),
            window_seconds: seconds,
            join_ms: Spread::of(&self.joins),
            connect_ms: Spread::of(&self.connects),
            first_packet_ms: Spread::of(&self.first_packets),
            media: MediaReport {
                sent_per_second: (after.sent - before.sent) as f64 / seconds,
                received_per_second: (after.received - before.received) as f64 / seconds,
                loss_percent: 100.0 * sum.lost as f64 / sum.expected.max(1) as f64,
                key_frames_requested: sum.key_frames_requested,
                rejected: sum.rejected,
                unsent: sum.unsent,
            },
            server,
            generator_cores: generator_cpu
                .map(|(after, before)| after.saturating_sub(before).as_secs_f64() / seconds),
        }
    }
}

fn server_report(
    process: Process,
    before: &Sample,
    after: &Sample,
    resident_bytes: Option<u64>,
) -> Option<ServerReport> {
    let cpu = after.server_cpu?.saturating_sub(before.server_cpu?);
    let forwarded = after.received - before.received;
    Some(ServerReport {
        pid: process.pid,
        cores: cpu.as_secs_f64() / (after.at - before.at).as_secs_f64(),
        cpu_us_per_forwarded_packet: (forwarded > 0).then(|| cpu.as_secs_f64() * 1e6 / forwarded as f64),
        resident_mib: resident_bytes? as f64 / f64::from(1 << 20),
    })
}

fn bar_style() -> ProgressStyle {
    let template = ProgressStyle::with_template("{bar:30} {pos}/{len} s  {msg}");
    template.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Of REST requests at a time.
const CONCURRENT_REQUESTS: usize = 16;
/// For all publishers to connect, and for all subscribers to get media.
const SETUP_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
