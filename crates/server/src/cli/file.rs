//! The TOML file. Its values become the defaults of the flags. So flags and environment variables have
//! precedence, one parser reads all three, and a key that is not a flag is an error.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::OsStr;
use clap::{CommandFactory, FromArgMatches};
use toml::{Table, Value};

use crate::cli::Cli;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Malformed { path: PathBuf, source: toml::de::Error },
    #[error("{path}: there is no setting `{key}`")]
    UnknownKey { path: PathBuf, key: String },
    #[error("{path}: `{key}` takes text, a number, or a list of them")]
    WrongType { path: PathBuf, key: String },
    #[error(transparent)]
    Usage(#[from] clap::Error),
}

/// Parses the command line, with defaults from the settings file if one is given.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, FileError> {
    let cli = read(Cli::command(), arguments)?;
    let Some(path) = &cli.config else { return Ok(cli) };
    let command = with_defaults(Cli::command(), path)?;
    Ok(read(command, arguments)?)
}

fn read(command: clap::Command, arguments: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

fn with_defaults(mut command: clap::Command, path: &Path) -> Result<clap::Command, FileError> {
    let text =
        fs::read_to_string(path).map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
    let table: Table =
        text.parse().map_err(|source| FileError::Malformed { path: path.to_owned(), source })?;
    for (key, value) in table {
        let is_setting = |argument: &clap::Arg| *argument.get_id() == key && argument.get_env().is_some();
        if key == CONFIG || !command.get_arguments().any(is_setting) {
            return Err(FileError::UnknownKey { path: path.to_owned(), key });
        }
        let Some(values) = texts(value) else {
            return Err(FileError::WrongType { path: path.to_owned(), key });
        };
        command = command.mut_arg(key, |argument| argument.default_values(values));
    }
    Ok(command)
}

fn texts(value: Value) -> Option<Vec<OsStr>> {
    if let Value::Array(items) = value {
        return items.into_iter().map(text).collect();
    }
    text(value).map(|text| vec![text])
}

fn text(value: Value) -> Option<OsStr> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Integer(number) => Some(number.to_string().into()),
        Value::Boolean(choice) => Some(choice.to_string().into()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

/// The key that is refused in the file: a settings file cannot name another one.
const CONFIG: &str = "config";

#[cfg(test)]
mod tests {
    use crate::cli::file::*;

    fn parse_with(file: &str, flags: &[&str]) -> Result<Cli, FileError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switchyard.toml");
        fs::write(&path, file).unwrap();
        let mut arguments: Vec<OsString> = vec!["switchyard".into(), "--config".into(), path.into()];
        arguments.extend(flags.iter().map(OsString::from));
        parse(&arguments)
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let file = "port = 4000\nmedia_port = 50000\nmedia_host = [\"127.0.0.1\", \"::1\"]\n";
        let settings = parse_with(file, &["--port", "5000"]).unwrap().settings;
        assert_eq!(settings.http.port, 5000);
        assert_eq!(settings.media.media_port, 50000);
        assert_eq!(settings.media.media_host.len(), 2);
        assert_eq!(settings.calls.ring_seconds, 60);
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(
            matches!(parse_with("prot = 4000", &[]), Err(FileError::UnknownKey { key, .. }) if key == "prot")
        );
        assert!(matches!(parse_with("config = \"x\"", &[]), Err(FileError::UnknownKey { .. })));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error() {
        assert!(matches!(parse_with("port = \"many\"", &[]), Err(FileError::Usage(_))));
        assert!(matches!(parse_with("[port]\nx = 1", &[]), Err(FileError::WrongType { .. })));
        assert!(matches!(parse_with("port = ", &[]), Err(FileError::Malformed { .. })));
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let arguments = ["switchyard", "--config", "/nowhere/at/all.toml"].map(OsString::from);
        assert!(matches!(parse(&arguments), Err(FileError::Unreadable { .. })));
    }
}
