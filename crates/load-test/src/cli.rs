//! The command line: what load to put on which server.

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use std::net::IpAddr;
use std::time::Duration;

/// Drives a running Switchyard server with headless peers and reports what it cost and how it felt.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Without a command, one call with media.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Peers that send Opus and VP8.
    #[arg(long, default_value_t = 2)]
    pub(crate) publishers: usize,
    /// Peers that receive everything.
    #[arg(long, default_value_t = 8)]
    pub(crate) subscribers: usize,
    /// Seconds of measuring, once all peers are connected.
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u64,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    pub(crate) url: Url,
    /// Allow a server that is not on this machine: make sure that its owner agrees.
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// The server's process, for its CPU and memory; found by its listening port if not given.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The server's JWT_SECRET, to sign tokens with when it has no dev sign-in.
    #[arg(long, env = "LOAD_TEST_TOKEN_SECRET", hide_env_values = true)]
    pub(crate) token_secret: Option<String>,
    /// The server's SERVICE_TOKEN, to make the group with when users may not.
    #[arg(long, env = "LOAD_TEST_SERVICE_TOKEN", hide_env_values = true)]
    pub(crate) service_token: Option<String>,
    #[command(flatten)]
    pub(crate) video: VideoOptions,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Call control alone: creates, joins, telling many sockets, and what a waiting socket costs.
    Control(ControlOptions),
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ControlOptions {
    /// Calls to create and join, each in a group of its own.
    #[arg(long, default_value_t = 500)]
    pub(crate) groups: usize,
    /// Sockets that wait and are told of a call.
    #[arg(long, default_value_t = 500)]
    pub(crate) sockets: usize,
}

/// The shape of each publisher's video.
#[derive(Debug, Clone, Copy, Parser)]
pub(crate) struct VideoOptions {
    /// Bits per second of RTP payload.
    #[arg(long = "video-bitrate", default_value_t = 1_500_000)]
    pub(crate) bitrate: u64,
    /// Bytes of RTP payload per video packet.
    #[arg(long, default_value_t = 1_200)]
    pub(crate) packet_size: usize,
    /// Frames per second; a frame's packets leave together.
    #[arg(long, default_value_t = 30)]
    pub(crate) fps: u32,
}

impl Options {
    /// Refuses what cannot be measured, and load on machines that nobody said yes for.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.publishers > 0, "at least one publisher is needed");
        ensure!(self.subscribers > 0, "at least one subscriber is needed");
        ensure!(self.seconds > 0, "--seconds must be at least 1");
        ensure!(self.url.scheme() == "http", "only http:// URLs are supported, not {}", self.url);
        self.video.check()?;
        if !self.allow_remote && !self.is_loopback() {
            bail!("{} is not this machine; --allow-remote if you may put load on it", self.url);
        }
        Ok(())
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }
}

impl VideoOptions {
    fn check(&self) -> Result<()> {
        ensure!((1..=240).contains(&self.fps), "--fps must be 1 to 240");
        ensure!((100..=1_300).contains(&self.packet_size), "--packet-size must be 100 to 1300");
        ensure!(
            (10_000..=100_000_000).contains(&self.bitrate),
            "--video-bitrate must be 10 kbit/s to 100 Mbit/s"
        );
        Ok(())
    }

    pub(crate) fn frame_interval(&self) -> Duration {
        Duration::from_secs(1) / self.fps
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
        for bad in [["--publishers", "0"], ["--subscribers", "0"], ["--fps", "0"], ["--packet-size", "9000"]]
        {
            assert!(options(&bad).check().is_err(), "{bad:?}");
        }
    }

    fn options(arguments: &[&str]) -> Options {
        Options::parse_from([&["load-test"], arguments].concat())
    }
}
