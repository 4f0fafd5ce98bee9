//! Headless peers that load a running server, over its real signaling and real DTLS-SRTP, and the report.
//!
//! The load test sees the server only from outside: by REST, Socket.IO and UDP, and by procfs for its CPU
//! time and memory. A [`run`] creates users and a call through [`api`], adds peers to crews ([`crew`], in
//! this process or in child processes), and measures whole seconds. A peer's signaling is a task ([`peer`]);
//! its media is a [`sender`] and a [`receiver`] on transports of `switchyard-peer`, thousands of which one
//! [`engine`] thread drives. Both ends count their packets per second ([`tally`]), and [`run`] makes the
//! report from the counts.
//!
//! Engines use epoll, so this needs Linux.

mod adaptation;
mod advice;
mod api;
mod cast;
mod cli;
mod clip;
mod codec;
mod context;
mod control;
mod crew;
mod crews;
mod engine;
mod html;
mod kind;
mod latency;
mod ledger;
mod limit;
mod nack;
mod observer;
mod options;
mod orders;
mod out_stream;
mod pace;
mod peer;
mod pin;
mod ramp;
mod receiver;
mod recording;
mod report;
mod rtp;
mod run;
mod scenario;
mod sender;
mod server_process;
mod signaling;
mod socket_io;
mod stamp;
mod tally;
mod window;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use cli::{Command, Options};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match start(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, the exit code still shows the failure.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Sets the cores first, because threads inherit them from the thread that starts them.
fn start(options: &Options) -> Result<()> {
    options.check()?;
    let is_crew = options.generator.crew;
    let server_core = if options.generator.pin && !is_crew { Some(pin::leave_first_core()?) } else { None };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if is_crew {
            return crews::serve_parent(options.clone()).await;
        }
        if let Some(Command::Control(sizes)) = &options.command {
            return print(options, &control::run(options, sizes).await?);
        }
        measure(options, server_core).await
    })
}

async fn measure(options: &Options, server_core: Option<usize>) -> Result<()> {
    let report = run::run(options, server_core).await?;
    if let Some(path) = &options.output.html {
        std::fs::write(path, html::page(&report)).with_context(|| format!("writing {}", path.display()))?;
    }
    print(options, &report)?;
    let refused = report.limit.is_none() && report.peers.failed > 0;
    ensure!(!refused, "{} peers failed", report.peers.failed);
    ensure!(report.media.received_per_second > 0.0, "no media was forwarded");
    Ok(())
}

fn print(options: &Options, report: &(impl Display + Serialize)) -> Result<()> {
    let json = options.output.json;
    let text = if json { serde_json::to_string_pretty(report)? + "\n" } else { report.to_string() };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
