//! The command line. `switchyard --help` documents every setting.

mod file;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub(crate) use file::{FileError, parse};

use crate::settings::{Settings, hours};

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
    /// Inspect the configuration without running the server.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the TypeScript types of socket requests and events.
    Typescript,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check whether the settings are valid together.
    Check,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The user that the token is for: the user's id in your app.
    #[arg(long)]
    pub(crate) sub: String,
    /// The user's display name.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// How many hours the token is valid.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = hours)]
    pub(crate) valid_for: Duration,
}
