//! Secrets are given as values or in files, never as both.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("{0} and {0}_FILE are both set; which one counts?")]
    Both(&'static str),
    #[error("{name}_FILE: cannot read {path}: {source}")]
    Unreadable { name: &'static str, path: PathBuf, source: io::Error },
    #[error("{0} is set but empty")]
    Empty(&'static str),
}

/// The value, or the content of the file without the line break at its end, which editors add.
pub(crate) fn read_secret(
    name: &'static str,
    value: Option<String>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, SecretError> {
    let secret = match (value, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(SecretError::Both(name)),
        (Some(value), None) => value,
        (None, Some(path)) => fs::read_to_string(path)
            .map_err(|source| SecretError::Unreadable { name, path: path.to_owned(), source })?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
    };
    if secret.is_empty() { Err(SecretError::Empty(name)) } else { Ok(Some(secret.into())) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_file_may_end_with_a_line_break() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "open sesame\n").unwrap();
        let secret = read_secret("JWT_SECRET", None, Some(&path)).unwrap().unwrap();
        assert_eq!(secret.expose_secret(), "open sesame");
    }

    #[test]
    fn two_sources_or_an_empty_one_are_refused() {
        let both = read_secret("JWT_SECRET", Some("a".to_owned()), Some(Path::new("/nowhere")));
        assert!(matches!(both, Err(SecretError::Both("JWT_SECRET"))));
        let empty = read_secret("JWT_SECRET", Some(String::new()), None);
        assert!(matches!(empty, Err(SecretError::Empty("JWT_SECRET"))));
        let missing = read_secret("JWT_SECRET", None, Some(Path::new("/nowhere/at/all")));
        assert!(matches!(missing, Err(SecretError::Unreadable { .. })));
    }
}
