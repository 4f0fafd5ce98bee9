//! Sign-in by name, for development: its signing key, and whether it is still offered.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use secrecy::SecretString;
use uuid::{Uuid, uuid};

use super::{
    AuthSetupError,
    key_file::{self, KeyFileError},
};

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

/// Reads the key in this directory, or creates one. It is stored, so that tokens stay valid after a restart.
pub(super) fn load_key(directory: &Path) -> Result<SecretString, AuthSetupError> {
    key_file::load_or_create(directory, "dev-key").map_err(|error| match error {
        KeyFileError::Cut { path } => AuthSetupError::CutDevKey { path },
        KeyFileError::Unusable { path, source } => AuthSetupError::DevKey { path, source },
    })
}
