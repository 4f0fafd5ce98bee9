//! Structured logs to standard error. `RUST_LOG` filters them.

use std::io::{IsTerminal, stderr};

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::settings::LogFormat;

pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = filter()?;
    // rtc-dtls logs a warning for things that a peer may do at any time, such as closing twice.
    let filter = match "rtc_dtls=error".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

/// What `RUST_LOG` says.
///
/// # Errors
/// If it is not understood.
pub(crate) fn filter() -> anyhow::Result<EnvFilter> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var(RUST_LOG)
        .from_env();
    filter.with_context(|| format!("{RUST_LOG} is not understood"))
}

const RUST_LOG: &str = "RUST_LOG";
