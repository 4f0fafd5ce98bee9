//! Sign-in by name, for development: its signing key, and whether it is still offered.
//!
//! The key is stored, so that tokens stay valid after a restart.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use uuid::{Uuid, uuid};

use super::AuthSetupError;

pub(super) const USERS: Uuid = uuid!("c7c9b9f4-1b52-4a0e-8f55-2f4b6f0f8f5e");
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a proxy was seen in front of the server. It stays seen until a restart: a proxy that names clients
/// in some requests may leave it out in others.
#[derive(Debug, Default)]
pub(super) struct ProxySeen(AtomicBool);

impl ProxySeen {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, header: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                header,
                "sign-in by name is off until a restart: a request came through a proxy, so whoever asks may \
                 be on another machine"
            );
        }
    }
}

/// Reads the key in this directory, or creates one.
pub(super) fn load_key(directory: &Path) -> Result<SecretString, AuthSetupError> {
    let path = directory.join("dev-key");
    let key = match fs::read_to_string(&path) {
        Ok(key) if is_whole(&key) => {
            fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).map(|()| key)
        }
        Ok(_) => return Err(AuthSetupError::CutDevKey { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_key(directory, &path),
        Err(error) => Err(error),
    };
    key.map(SecretString::from).map_err(|source| AuthSetupError::DevKey { path, source })
}

/// Anybody could sign with a key that is empty, or guess one that is cut.
fn is_whole(key: &str) -> bool {
    STANDARD.decode(key.trim_end()).is_ok_and(|key| key.len() == KEY_BYTES)
}

/// Writes the key under another name first, so that a crash or a full disk leaves no part of a key.
fn create_key(directory: &Path, path: &Path) -> io::Result<String> {
    let key = STANDARD.encode(rand::random::<[u8; KEY_BYTES]>());
    fs::create_dir_all(directory)?;
    let draft = directory.join(format!("dev-key.{}", Uuid::new_v4()));
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
        let first = load_key(&data).unwrap();
        assert_eq!(load_key(&data).unwrap().expose_secret(), first.expose_secret());
        let mode = fs::metadata(data.join("dev-key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = fs::read_dir(&data).unwrap().count();
        assert_eq!(files, 1, "the draft is gone");
    }

    #[test]
    fn an_empty_or_cut_key_signs_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let whole = load_key(directory.path()).unwrap();
        let whole = whole.expose_secret();
        for bad in ["", "\n", &whole[..20], &whole[1..], "a key of my own, in plain words, of 44 letters.."] {
            fs::write(directory.path().join("dev-key"), bad).unwrap();
            let refused = load_key(directory.path());
            assert!(matches!(refused, Err(AuthSetupError::CutDevKey { .. })), "{bad}");
        }
        fs::write(directory.path().join("dev-key"), format!("{whole}\n")).unwrap();
        assert!(load_key(directory.path()).is_ok(), "an editor may have added a line break");
    }
}
