//! The key set that an identity provider publishes (RFC 7517). It is fetched when a token names an unknown
//! key, and periodically, so that withdrawn keys are dropped.

mod download;
mod key_set;
mod url;

use std::{
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use jsonwebtoken::{DecodingKey, Header};
use tokio::{sync::Mutex, time::Instant};

pub use url::{InvalidJwksUrl, JwksUrl};

use super::AuthError;
use download::{Download, DownloadError};
use key_set::{KeySet, Lookup};

pub(super) use key_set::ALGORITHMS;

pub(super) struct Jwks {
    download: Download,
    held: RwLock<Arc<KeySet>>,
    /// Locked during a fetch: other callers wait for its result instead of starting another.
    last_fetch: Arc<Mutex<Option<Fetch>>>,
}

struct Fetch {
    ended: Instant,
    answered: bool,
}

impl Jwks {
    pub(super) fn new(url: JwksUrl) -> Result<Arc<Self>, reqwest::Error> {
        let download = Download::new(url)?;
        Ok(Arc::new(Self { download, held: RwLock::default(), last_fetch: Arc::default() }))
    }

    /// The key for a token with this header. Only `kid` and `alg` are used: a token must not name the source
    /// of its own key (`jwk`, `jku`, `x5u`).
    ///
    /// # Errors
    /// [`AuthError::Invalid`] if no such key is published, [`AuthError::Unavailable`] if the key is unknown
    /// and the provider did not answer.
    pub(super) async fn key(self: &Arc<Self>, header: &Header) -> Result<Arc<DecodingKey>, AuthError> {
        match self.look_up(header) {
            Lookup::Found(key) => return Ok(key),
            Lookup::OtherAlgorithm => return Err(AuthError::Invalid),
            Lookup::Unknown => {}
        }
        let answered = self.refresh().await;
        match self.look_up(header) {
            Lookup::Found(key) => Ok(key),
            Lookup::Unknown if !answered => Err(AuthError::Unavailable),
            Lookup::Unknown | Lookup::OtherAlgorithm => Err(AuthError::Invalid),
        }
    }

    /// Fetches the keys at once, and again every [`PERIOD`], until the key set is dropped.
    pub(super) async fn keep_fresh(jwks: Weak<Self>) {
        while let Some(jwks) = jwks.upgrade() {
            jwks.refresh().await;
            drop(jwks);
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Fetches the keys, unless the last attempt ended less than [`FLOOR`] ago. Returns whether the last
    /// attempt succeeded.
    async fn refresh(self: &Arc<Self>) -> bool {
        let mut last = Arc::clone(&self.last_fetch).lock_owned().await;
        if let Some(fetch) = last.as_ref().filter(|fetch| fetch.ended.elapsed() < FLOOR) {
            return fetch.answered;
        }
        let jwks = Arc::clone(self);
        // A task of its own: if this caller is cancelled, the fetch continues for the callers that wait.
        let fetch = tokio::spawn(async move {
            let answered = jwks.fetch().await.inspect_err(|error| {
                tracing::warn!(?error, "the keys of JWKS_URL cannot be fetched; those held stay in use");
            });
            *last = Some(Fetch { ended: Instant::now(), answered: answered.is_ok() });
            answered.is_ok()
        });
        fetch.await.unwrap_or(false)
    }

    async fn fetch(&self) -> Result<(), DownloadError> {
        let keys = KeySet::parse(&self.download.body().await?)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn look_up(&self, header: &Header) -> Lookup {
        let held = Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner));
        held.look_up(header.kid.as_deref(), header.alg)
    }
}

/// Minimum time between fetches, so that tokens with invented key ids cannot cause more.
const FLOOR: Duration = Duration::from_secs(10);
/// Time between periodic fetches: about as long a withdrawn key is still accepted, while the provider
/// answers.
const PERIOD: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests;
