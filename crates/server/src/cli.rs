//! The command line. `switchyard --help` is the documentation of every setting.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::settings::Settings;

/// Calls for an app that already has people and groups: call record, signaling and SFU in one binary.
///
/// Every setting is a flag, an environment variable and a key of the TOML file, in this order of precedence.
/// Secrets can also be read from files: JWT_SECRET_FILE instead of JWT_SECRET, and so on.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version)]
pub(crate) struct Cli {
    /// Without a command, the server runs.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// TOML file with settings; its keys are the flags in snake_case.
    #[arg(long, value_name = "FILE", env = "SWITCHYARD_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mint a token for tests and first steps.
    Token(Token),
    /// Look at the configuration without running.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the TypeScript types of the requests and events that sockets carry.
    Typescript,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the settings make sense together.
    Check,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whom the token is for: the id that your app knows the user by.
    #[arg(long)]
    pub(crate) sub: String,
    /// The name that others see.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How long it is valid.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = hours)]
    pub(crate) valid_for: Duration,
}

pub(crate) fn hours(text: &str) -> Result<Duration, String> {
    let hours: u64 = text.parse().map_err(|_| "a whole number of hours".to_owned())?;
    if (1..=MAX_HOURS).contains(&hours) {
        Ok(Duration::from_secs(hours * 3600))
    } else {
        Err(format!("from 1 to {MAX_HOURS} hours"))
    }
}

/// A year: longer is a typing error.
const MAX_HOURS: u64 = 24 * 366;
