//! The `switchyard` binary: reads the configuration, connects the parts, and runs until a stop signal.

mod cli;
mod config;
mod listener;
mod logging;
mod metrics;
mod page;
mod serve;
mod settings;
mod trace;

use std::process::ExitCode;

use chrono::Utc;
use switchyard_call_control::auth::Authenticator;
use switchyard_call_control::carriers::rest;
use switchyard_call_control::wire::typescript::typescript;

use crate::cli::{Cli, Command, ConfigCommand, Token};
use crate::config::Config;

/// jemalloc returns the memory of an ended call to the system; the default allocator keeps it. The delay and
/// the number of arenas are set at build time (`.cargo/config.toml`).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let cli = match cli::parse(&arguments) {
        Ok(cli) => cli,
        Err(cli::FileError::Usage(usage)) => usage.exit(),
        Err(error) => return fail(&error.into()),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        None => run_server(cli.settings),
        Some(Command::Token(token)) => mint(cli.settings, &token),
        Some(Command::Config(ConfigCommand::Check)) => check(cli.settings),
        Some(Command::Typescript) => {
            say(typescript().trim_end());
            Ok(())
        }
        Some(Command::Openapi) => {
            say(&rest::openapi().to_pretty_json()?);
            Ok(())
        }
    }
}

fn run_server(settings: settings::Settings) -> anyhow::Result<()> {
    logging::start(settings.http.log_format)?;
    let data_dir = settings.records.data_dir.clone();
    let config = Config::new(settings)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(serve::serve(config, &data_dir));
    // Tasks that still run after an orderly stop are not waited for.
    runtime.shutdown_background();
    served
}

fn mint(settings: settings::Settings, token: &Token) -> anyhow::Result<()> {
    let host = settings.http.host.resolve("HOST")?;
    let auth = config::auth(settings.access, host, &settings.records.data_dir)?;
    let token =
        Authenticator::new(auth)?.mint(&token.sub, token.name.as_deref(), token.valid_for, Utc::now())?;
    say(&token);
    Ok(())
}

fn check(settings: settings::Settings) -> anyhow::Result<()> {
    logging::filter()?;
    let config = Config::new(settings)?;
    for warning in &config.warnings {
        complain(&format!("warning: {warning}"));
    }
    say(&format!("The settings make sense. The server would listen on http://{}", config.listen));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the log may not have started")]
fn complain(text: &str) {
    eprintln!("switchyard: {text}");
}

fn fail(error: &anyhow::Error) -> ExitCode {
    complain(&told_once(error));
    ExitCode::FAILURE
}

/// The error with its causes. Many errors name their cause already, and it is not named again.
fn told_once(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Cause;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write: {0}")]
    struct Naming(#[from] Cause);

    #[test]
    fn an_error_is_told_once_with_its_causes() {
        let told = |error: anyhow::Error| told_once(&error);
        assert_eq!(told(Cause.into()), "the disk is full");
        assert_eq!(told(Naming(Cause).into()), "cannot write: the disk is full");
        assert_eq!(
            told(anyhow::Error::from(Cause).context("cannot start")),
            "cannot start: the disk is full"
        );
        let deep = anyhow::Error::from(Naming(Cause)).context("cannot start");
        assert_eq!(told(deep), "cannot start: cannot write: the disk is full");
    }
}
