//! Everything of call control, put together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use switchyard_media_worker::Media;

use crate::{
    auth::{AuthConfig, AuthSetupError, Authenticator, Identity},
    call::Rules,
    calls::{Calls, CallsConfig},
    error::Refusal,
    groups::{Groups, GroupsManagedBy},
    ice::IceServers,
    ids::UserId,
    limits::Limits,
    signaling::hub::Hub,
    store::{Store, StoreError, now},
};

/// What an installation decides.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// `sqlite://…` or `postgres://…`.
    pub database_url: SecretString,
    /// Where everything lives on Postgres.
    pub database_schema: String,
    pub auth: AuthConfig,
    pub rules: Rules,
    pub limits: Limits,
    pub groups_managed_by: GroupsManagedBy,
    /// Running calls older than this are ended.
    pub max_call_age: Duration,
    pub ice_servers: IceServers,
    /// Origins whose pages may use the server, besides its own.
    pub origins: Vec<HeaderValue>,
}

/// Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Control {
    pub store: Store,
    pub calls: Calls,
    pub groups: Groups,
    pub auth: Authenticator,
    pub hub: Hub,
    pub ice_servers: IceServers,
    pub origins: Arc<[HeaderValue]>,
    pub limits: Limits,
    known: Arc<Mutex<HashMap<UserId, String>>>,
}

/// Why call control cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an allowed origin is one origin; `*` would let every page act for its visitors")]
    AnyOrigin,
}

impl Control {
    /// Opens the database, takes over the calls that were running, and starts serving them.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: ControlConfig, media: Media) -> Result<Self, StartError> {
        if config.origins.iter().any(|origin| origin == "*") {
            return Err(StartError::AnyOrigin);
        }
        let auth = Authenticator::new(config.auth)?;
        let store = Store::open(config.database_url.expose_secret(), &config.database_schema).await?;
        let hub = Hub::default();
        let calls_config = CallsConfig {
            rules: config.rules,
            limits: config.limits,
            max_call_age: config.max_call_age,
            ice_servers: config.ice_servers.clone(),
        };
        let calls = Calls::start(calls_config, store.clone(), media, hub.clone()).await?;
        Ok(Self {
            groups: Groups::new(store.clone(), calls.clone(), config.limits, config.groups_managed_by),
            store,
            calls,
            auth,
            hub,
            ice_servers: config.ice_servers,
            origins: config.origins.into(),
            limits: config.limits,
            known: Arc::default(),
        })
    }

    /// Who a token speaks for. A user seen for the first time, or under a new name, is written down.
    ///
    /// # Errors
    /// `unauthorized`, `unavailable`.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let identity = self.auth.verify(token)?;
        self.remember(&identity).await?;
        Ok(identity)
    }

    /// Makes sure that the user exists.
    pub(crate) async fn remember(&self, identity: &Identity) -> Result<(), Refusal> {
        if self.known().get(&identity.user_id) == Some(&identity.name) {
            return Ok(());
        }
        self.store.put_user(identity.user_id, &identity.name, now()).await?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(identity.user_id, identity.name.clone());
        Ok(())
    }

    /// Leaves running calls to the next start and closes the database.
    pub async fn shutdown(&self) {
        self.calls.shutdown().await;
        self.store.close().await;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Users whose row need not be written again; some megabytes.
const MOST_KNOWN: usize = 50_000;
