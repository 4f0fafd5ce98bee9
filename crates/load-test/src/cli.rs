//! The command line: which load for which server.

use crate::codec::VideoCodec;
use crate::options::{SendOptions, VideoOptions};
use crate::ramp::Rate;
use crate::scenario::Scenario;
use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Loads a running Switchyard server with headless peers. Reports the server's costs and the quality that
/// peers see.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Without a command, runs a scenario with media.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Which peers take part, and what each sends and receives.
    #[arg(long, value_enum, default_value = "webinar")]
    pub(crate) scenario: Scenario,
    /// Members of a meeting or audio room; receivers of the other scenarios [default: 200 in a webinar, 12 in a
    /// meeting, 50 in an audio room, 50 with churn, 20 behind a lossy uplink].
    #[arg(long)]
    pub(crate) peers: Option<usize>,
    /// Peers that only send, in scenarios in which not every peer sends.
    #[arg(long, default_value_t = 1)]
    pub(crate) publishers: usize,
    /// Videos that each member of a meeting watches at most.
    #[arg(long, default_value_t = 9)]
    pub(crate) watch: usize,
    /// Rate at which peers join, and as many leave, while churn is measured, such as 5/s.
    #[arg(long, default_value = "5/s")]
    pub(crate) churn_rate: Rate,
    /// Share of their own packets that publishers behind a lossy uplink lose, 0 to 1.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) loss: f64,
    /// Seconds to measure, after all peers are connected.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    /// Record the call while it is measured.
    #[arg(long, conflicts_with = "find_limit")]
    pub(crate) record: bool,
    /// Rate at which peers join, such as 10/s [default: as fast as the server allows; 50/s with
    /// --find-limit].
    #[arg(long)]
    pub(crate) ramp: Option<Rate>,
    #[command(flatten)]
    pub(crate) limit: LimitOptions,
    #[command(flatten)]
    pub(crate) video: VideoArguments,
    #[command(flatten)]
    pub(crate) receiving: ReceivingArguments,
    #[command(flatten)]
    pub(crate) generator: GeneratorArguments,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Call control alone: creating and joining calls, announcing a call to many sockets, and memory per idle
    /// socket.
    Control(ControlOptions),
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ControlOptions {
    /// Calls to create and join, each in its own group.
    #[arg(long, default_value_t = 500)]
    pub(crate) groups: usize,
    /// Idle sockets to which calls are announced.
    #[arg(long, default_value_t = 500)]
    pub(crate) sockets: usize,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Finding the limit")]
pub(crate) struct LimitOptions {
    /// Add peers until less than 99.9 % of the packets are delivered or the 99th percentile of latency exceeds 100 ms.
    #[arg(long)]
    pub(crate) find_limit: bool,
    /// Peers added between two measurements.
    #[arg(long, default_value_t = 50)]
    pub(crate) step: usize,
    /// Seconds to measure at each step.
    #[arg(long, default_value_t = 5)]
    pub(crate) hold: u64,
    /// Stop at this number of peers, even if the limit is not found.
    #[arg(long, default_value_t = 5_000)]
    pub(crate) max_peers: usize,
}

/// The properties of each publisher's media.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct VideoArguments {
    #[arg(long, value_enum, default_value = "vp8")]
    pub(crate) codec: VideoCodec,
    /// Bits per second of RTP payload: encoded frames, padded with bytes that decoders ignore.
    #[arg(long, default_value_t = 1_500_000)]
    pub(crate) video_bitrate: u64,
    /// Bytes of RTP payload per video packet.
    #[arg(long, default_value_t = 1_150)]
    pub(crate) packet_size: usize,
    /// Frames per second; a frame's packets are sent together.
    #[arg(long, default_value_t = 30)]
    pub(crate) fps: u32,
    /// Maximum random delay of frames and audio packets, in milliseconds.
    #[arg(long, default_value_t = 2)]
    pub(crate) jitter_ms: u64,
    /// Random seed: the same seed gives the same jitter, losses and identifiers.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Receiving")]
pub(crate) struct ReceivingArguments {
    /// Receivers do not offer transport-wide congestion control: they get no transport-wide sequence numbers
    /// and send no such feedback.
    #[arg(long)]
    pub(crate) no_transport_cc: bool,
    /// Interval of transport-wide feedback in milliseconds; libwebrtc starts with 100 and stays between 50
    /// and 250.
    #[arg(long, default_value_t = 100)]
    pub(crate) feedback_ms: u64,
    /// Share of received packets whose authentication is checked, 0.001 to 1.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) verify_share: f64,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Load generator")]
pub(crate) struct GeneratorArguments {
    /// Number of processes among which peers are divided.
    #[arg(long, default_value_t = 1)]
    pub(crate) processes: usize,
    /// Threads per process that drive transports [default: one per core of the generator].
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// While measuring, keep the server on one core of this machine and the generator on the others.
    #[arg(long)]
    pub(crate) pin: bool,
    #[arg(long, hide = true)]
    pub(crate) crew: bool,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// Base URL of the server.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    pub(crate) url: Url,
    /// Allow a server on another machine. Make sure that its owner agrees.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// Process id of the server, to measure its CPU time and memory; found by its listening port if not
    /// given.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// The server's JWT_SECRET, to sign tokens if the server has no sign-in by name.
    #[arg(long, env = "LOAD_TEST_TOKEN_SECRET", hide_env_values = true)]
    pub(crate) token_secret: Option<String>,
    /// The server's SERVICE_TOKEN, to create the group if users may not.
    #[arg(long, env = "LOAD_TEST_SERVICE_TOKEN", hide_env_values = true)]
    pub(crate) service_token: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report as a self-contained HTML page.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Options {
    /// Refuses options that cannot be measured, and remote servers without --allow-remote.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.peers() > 0, "--peers must be at least 1");
        ensure!(self.publishers > 0, "--publishers must be at least 1");
        ensure!(self.seconds > 0 && self.limit.hold > 0, "--seconds and --hold must be at least 1");
        ensure!(self.limit.step > 0, "--step must be at least 1");
        ensure!((0.0..=0.5).contains(&self.loss), "--loss must be 0 to 0.5");
        ensure!((1..=64).contains(&self.generator.processes), "--processes must be 1 to 64");
        ensure!(self.generator.threads.is_none_or(|threads| threads > 0), "--threads must be at least 1");
        let share = self.receiving.verify_share;
        ensure!((0.001..=1.0).contains(&share), "--verify-share must be 0.001 to 1");
        ensure!((10..=1_000).contains(&self.receiving.feedback_ms), "--feedback-ms must be 10 to 1000");
        let url = &self.server.url;
        ensure!(url.scheme() == "http", "only http:// URLs are supported, not {url}");
        self.video.check()?;
        if !self.server.allow_remote && !self.is_loopback() {
            bail!("{url} is not this machine; --allow-remote if you may put load on it");
        }
        Ok(())
    }

    pub(crate) fn peers(&self) -> usize {
        self.peers.unwrap_or(self.scenario.default_peers())
    }

    /// The number of peers that only send.
    pub(crate) fn only_publishers(&self) -> usize {
        match self.scenario {
            Scenario::Webinar | Scenario::Churn | Scenario::LossyUplink => self.publishers,
            Scenario::Meeting | Scenario::AudioRoom => 0,
        }
    }

    /// Videos that each peer watches at most; `None`: all videos.
    pub(crate) fn watched(&self) -> Option<usize> {
        (self.scenario == Scenario::Meeting).then_some(self.watch)
    }

    /// The rate at which peers join and leave during the measurement.
    pub(crate) fn churn(&self) -> Option<Rate> {
        (self.scenario == Scenario::Churn).then_some(self.churn_rate)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.server.url.host_str().unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.url.port_or_known_default().unwrap_or(80)
    }

    pub(crate) fn feedback_interval(&self) -> Duration {
        Duration::from_millis(self.receiving.feedback_ms)
    }

    /// The media of the publisher with this number.
    pub(crate) fn send_options(&self, number: u64) -> SendOptions {
        let VideoArguments { codec, video_bitrate: bitrate, packet_size, fps, jitter_ms, seed } = self.video;
        SendOptions {
            video: self.scenario.has_video().then_some(VideoOptions { codec, bitrate, packet_size, fps }),
            jitter: Duration::from_millis(jitter_ms),
            loss: if self.scenario == Scenario::LossyUplink { self.loss } else { 0.0 },
            seed: seed.wrapping_mul(1 << 32) ^ number,
        }
    }
}

impl VideoArguments {
    fn check(&self) -> Result<()> {
        ensure!((1..=240).contains(&self.fps), "--fps must be 1 to 240");
        ensure!((100..=1_300).contains(&self.packet_size), "--packet-size must be 100 to 1300");
        ensure!(
            (10_000..=100_000_000).contains(&self.video_bitrate),
            "--video-bitrate must be 10 kbit/s to 100 Mbit/s"
        );
        ensure!(self.jitter_ms <= 1_000, "--jitter-ms must be at most 1000");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_in_any_spelling_is_allowed() {
        for url in ["http://127.0.0.1:3000", "http://localhost", "http://[::1]:3000", "http://127.9.9.9"] {
            assert!(options(&["--url", url]).check().is_ok(), "{url}");
        }
    }

    #[test]
    fn another_machine_needs_consent() {
        let refused = options(&["--url", "http://192.0.2.1:3000"]);
        assert!(refused.check().unwrap_err().to_string().contains("--allow-remote"));
        assert!(options(&["--url", "http://192.0.2.1:3000", "--allow-remote"]).check().is_ok());
    }

    #[test]
    fn a_name_that_only_begins_like_loopback_is_not() {
        assert!(options(&["--url", "http://localhost.example:3000"]).check().is_err());
        assert!(options(&["--url", "http://127.0.0.1.example:3000"]).check().is_err());
    }

    #[test]
    fn impossible_loads_are_refused() {
        for bad in [
            ["--publishers", "0"],
            ["--peers", "0"],
            ["--fps", "0"],
            ["--packet-size", "9000"],
            ["--loss", "1"],
            ["--verify-share", "0"],
            ["--processes", "0"],
        ] {
            assert!(options(&bad).check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_control_command_takes_the_servers_options_before_it() {
        let options = options(&["--server-pid", "7", "control", "--groups", "3"]);
        assert_eq!(options.server.server_pid, Some(7));
        assert!(matches!(
            options.command,
            Some(Command::Control(ControlOptions { groups: 3, sockets: 500 }))
        ));
    }

    fn options(arguments: &[&str]) -> Options {
        Options::parse_from([&["load-test"], arguments].concat())
    }
}
