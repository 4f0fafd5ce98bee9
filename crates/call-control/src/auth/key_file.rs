//! Keys that the server makes for itself, each kept in a file that only the server's user may read.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use uuid::Uuid;

#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("the key in {path} is empty or cut; remove the file to get a new one")]
    Cut { path: PathBuf },
    #[error("the key cannot be kept in {path}: {source}")]
    Unusable { path: PathBuf, source: io::Error },
}

/// The key of this name in the directory, as text of 32 random bytes; made at the first use.
///
/// # Errors
/// [`KeyFileError`].
pub(crate) fn load_or_create(directory: &Path, name: &str) -> Result<SecretString, KeyFileError> {
    let path = directory.join(name);
    let key = match fs::read_to_string(&path) {
        Ok(key) if is_whole(&key) => {
            fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).map(|()| key)
        }
        Ok(_) => return Err(KeyFileError::Cut { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_key(directory, &path),
        Err(error) => Err(error),
    };
    key.map(SecretString::from).map_err(|source| KeyFileError::Unusable { path, source })
}

/// Anybody could sign with a key that is empty, or guess one that is cut.
fn is_whole(key: &str) -> bool {
    STANDARD.decode(key.trim_end()).is_ok_and(|key| key.len() == KEY_BYTES)
}

/// Writes the key under another name first, so that a crash or a full disk leaves no part of a key.
fn create_key(directory: &Path, path: &Path) -> io::Result<String> {
    let key = STANDARD.encode(rand::random::<[u8; KEY_BYTES]>());
    fs::create_dir_all(directory)?;
    let draft = path.with_extension(Uuid::new_v4().to_string());
    let written = write_key(&draft, &key).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The error of the write is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

fn write_key(path: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()
}

const KEY_BYTES: usize = 32;
const OWNER_ONLY: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_key_persists_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let first = load_or_create(&data, "key").unwrap();
        assert_eq!(load_or_create(&data, "key").unwrap().expose_secret(), first.expose_secret());
        let mode = fs::metadata(data.join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(&data).unwrap().count();
        assert_eq!(files, 1, "the draft is gone");
    }

    #[test]
    fn an_empty_or_cut_key_signs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let whole = load_or_create(directory.path(), "key").unwrap();
        let whole = whole.expose_secret();
        for bad in ["", "\n", &whole[..20], &whole[1..], "a key of my own, in plain words, of 44 letters.."] {
            fs::write(directory.path().join("key"), bad).unwrap();
            let refused = load_or_create(directory.path(), "key");
            assert!(matches!(refused, Err(KeyFileError::Cut { .. })), "{bad}");
        }
        fs::write(directory.path().join("key"), format!("{whole}\n")).unwrap();
        assert!(load_or_create(directory.path(), "key").is_ok(), "an editor may have added a line break");
    }
}
