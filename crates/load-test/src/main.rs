//! Headless peers against a running server, over its real signaling and real DTLS-SRTP, and the report.
//!
//! It knows the server only from outside: REST, Socket.IO, UDP, and procfs for what the process costs. A scenario
//! ([`one_call`]) makes people and a call through [`api`], runs peers, and measures between two samples. A peer
//! ([`peer`]) is a signaling connection and a transport of `switchyard-peer`, which a [`link`] drives on a socket.

mod api;
mod cli;
mod control;
mod feedback;
mod link;
mod one_call;
mod peer;
mod publisher;
mod report;
mod rtp_stream;
mod server_process;
mod signaling;
mod socket_io;
mod stream_stats;
mod subscriber;
mod vp8;

use anyhow::{Result, ensure};
use clap::Parser;
use cli::{Command, Options};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody to read it, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let options = Options::parse();
    options.check()?;
    if let Some(Command::Control(sizes)) = &options.command {
        return print(&options, &control::run(&options, sizes).await?);
    }
    let report = one_call::run(&options).await?;
    print(&options, &report)?;
    ensure!(report.failed == 0, "{} peers failed", report.failed);
    ensure!(report.media.received_per_second > 0.0, "no media was forwarded");
    Ok(())
}

fn print(options: &Options, report: &(impl Display + Serialize)) -> Result<()> {
    let text = if options.json { serde_json::to_string_pretty(report)? + "\n" } else { report.to_string() };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
