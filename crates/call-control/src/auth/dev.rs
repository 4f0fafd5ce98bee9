//! The signing key of dev sign-in. It is stored, so that tokens stay valid after a restart.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use uuid::{Uuid, uuid};

use super::AuthSetupError;

pub(super) const USERS: Uuid = uuid!("c7c9b9f4-1b52-4a0e-8f55-2f4b6f0f8f5e");
pub(super) const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the key in this directory, or creates one.
pub(super) fn load_key(directory: &Path) -> Result<SecretString, AuthSetupError> {
    let path = directory.join("dev-key");
    let key = match fs::read_to_string(&path) {
        Ok(key) => fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).map(|()| key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_key(directory, &path),
        Err(error) => Err(error),
    };
    key.map(SecretString::from).map_err(|source| AuthSetupError::DevKey { path, source })
}

fn create_key(directory: &Path, path: &Path) -> io::Result<String> {
    let key = STANDARD.encode(rand::random::<[u8; 32]>());
    fs::create_dir_all(directory)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}

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
    }
}
