//! Call control: the store, the services and the hub, wired together.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use switchyard_media_worker::Media;

use crate::{
    actor::Actor,
    address::TrustedProxy,
    auth::{AuthConfig, AuthError, AuthSetupError, Authenticator, Identity},
    call::Rules,
    calls::{Calls, CallsConfig, CallsError, RecordingConfig, StudioError},
    clock::now,
    error::Refusal,
    groups::{Groups, GroupsManagedBy},
    hub::Hub,
    ice::IceServers,
    ids::UserId,
    known::{KnownUser, KnownUsers},
    limiter::Limiter,
    limits::Limits,
    origin::Origin,
    recordings::Recordings,
    store::{Ownership, Store, StoreError},
};

/// Settings of call control.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// `sqlite://…` or `postgres://…`.
    pub database_url: SecretString,
    /// Schema of the tables on Postgres.
    pub database_schema: String,
    pub auth: AuthConfig,
    pub rules: Rules,
    pub recording: RecordingConfig,
    pub limits: Limits,
    /// A call that has run longer than this is ended.
    pub max_call_age: Duration,
    pub ice_servers: IceServers,
    /// Origins of the pages that may use the server, besides the server's own.
    pub origins: Vec<Origin>,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<TrustedProxy>,
    pub groups_managed_by: GroupsManagedBy,
    /// How long a socket stays open after its token has expired.
    pub token_grace: Duration,
}

/// Handle of call control. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub struct Control {
    pub store: Store,
    pub calls: Calls,
    pub groups: Groups,
    pub recordings: Recordings,
    pub auth: Arc<Authenticator>,
    pub hub: Hub,
    pub ice_servers: IceServers,
    pub origins: Arc<[Origin]>,
    pub trusted_proxies: Arc<[TrustedProxy]>,
    pub limits: Limits,
    pub limiter: Arc<Limiter>,
    /// How long a socket stays open after its token has expired.
    pub token_grace: Duration,
    known: Arc<KnownUsers>,
    ownership: Arc<Ownership>,
}

/// Why call control cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Recording(#[from] StudioError),
}

impl From<CallsError> for StartError {
    fn from(error: CallsError) -> Self {
        match error {
            CallsError::Store(error) => Self::Store(error),
            CallsError::Recording(error) => Self::Recording(error),
        }
    }
}

impl Control {
    /// Claims and opens the database, takes over the calls that were running, and starts serving them.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: ControlConfig, media: Media) -> Result<Self, StartError> {
        let auth = Arc::new(Authenticator::new(config.auth)?);
        auth.keep_keys_fresh();
        let (url, schema) = (config.database_url.expose_secret(), config.database_schema.as_str());
        let ownership = Arc::new(Ownership::claim(url, schema).await?);
        let store = Store::open(url, schema).await?;
        let hub = Hub::default();
        let limiter = Arc::new(Limiter::new(config.limits));
        limiter.keep_small();
        let calls_config = CallsConfig {
            rules: config.rules,
            limits: config.limits,
            max_call_age: config.max_call_age,
            ice_servers: config.ice_servers.clone(),
            recording: config.recording.clone(),
        };
        let calls =
            Calls::start(calls_config, store.clone(), Arc::clone(&ownership), media, hub.clone()).await?;
        let recordings = Recordings::start(config.recording, store.clone(), calls.clone());
        Ok(Self {
            groups: Groups::new(
                store.clone(),
                calls.clone(),
                recordings.clone(),
                config.limits,
                config.groups_managed_by,
            ),
            recordings,
            store,
            calls,
            auth,
            hub,
            ice_servers: config.ice_servers,
            origins: config.origins.into(),
            trusted_proxies: config.trusted_proxies.into(),
            limits: config.limits,
            limiter,
            token_grace: config.token_grace,
            known: Arc::default(),
            ownership,
        })
    }

    /// The user of a token. A new user, or a new name, is stored. Users who are in the map of known users are
    /// accepted even while the database is unreachable.
    ///
    /// # Errors
    /// [`AuthError`]; as a refusal, `unauthorized` or `unavailable`.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, AuthError> {
        let mut identity = self.auth.verify(token).await?;
        let known = self.remember(&identity).await?;
        if let (false, Some(name)) = (identity.named, known.name) {
            identity.name = name;
        }
        Ok(identity)
    }

    /// Makes sure that the user is stored, and that their sessions were not revoked after the token was
    /// issued.
    pub(crate) async fn remember(&self, identity: &Identity) -> Result<KnownUser, AuthError> {
        let known = self.known_user(identity).await?;
        let revoked = known.sessions_revoked_at.is_some_and(|at| identity.is_revoked(at));
        if revoked { Err(AuthError::Revoked) } else { Ok(known) }
    }

    /// Revokes all tokens of the user issued up to `now`, closes the user's sockets and ends the user's legs.
    ///
    /// # Errors
    /// `forbidden` for all but server admins, `unavailable`.
    pub async fn revoke_sessions(&self, by: &Actor, user: UserId, now: DateTime<Utc>) -> Result<(), Refusal> {
        by.require_admin()?;
        let (control, by) = (self.clone(), by.clone());
        let revocation = async move {
            control.store.revoke_sessions(user, &by, now).await?;
            control.known.revoked(user, now);
            control.hub.disconnect(user);
            control.calls.expel_everywhere(&by, user).await
        };
        self.calls.whole(revocation).await
    }

    /// Whether the user's sessions were revoked after this token was issued, by the map of known users alone.
    pub(crate) fn is_signed_out(&self, identity: &Identity) -> bool {
        let known = self.known.get(identity.user_id);
        known.and_then(|known| known.sessions_revoked_at).is_some_and(|at| identity.is_revoked(at))
    }

    /// Stores a user, or renames them.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn put_user(&self, user: UserId, name: &str) -> Result<(), Refusal> {
        let sessions_revoked_at = self.store.put_user(user, name, now()).await?;
        self.known.stored(user, name, sessions_revoked_at);
        Ok(())
    }

    /// Stops the service without ending running calls, closes the database and leaves it to the next server.
    pub async fn shutdown(&self) {
        self.recordings.shutdown().await;
        self.calls.shutdown().await;
        self.store.close().await;
        self.ownership.release().await;
    }

    async fn known_user(&self, identity: &Identity) -> Result<KnownUser, AuthError> {
        let Identity { user_id, name, named, .. } = identity;
        let known = self.known.get(*user_id);
        // A token without a name keeps the stored name.
        let is_named = |known: &&KnownUser| match &known.name {
            Some(stored) => !named || stored == name,
            None => false,
        };
        if let Some(known) = known.as_ref().filter(is_named) {
            return Ok(known.clone());
        }
        let stored = if *named {
            let revoked = self.store.put_user(*user_id, name, now()).await;
            revoked.map(|sessions_revoked_at| (name.clone(), sessions_revoked_at))
        } else {
            self.store.note_user(*user_id, name, now()).await
        };
        match stored {
            Ok((name, sessions_revoked_at)) => Ok(self.known.stored(*user_id, &name, sessions_revoked_at)),
            Err(error) => {
                tracing::warn!(user = %user_id, %error, "a user cannot be noted");
                // A known user continues under the old name. An entry without a name comes from a revocation:
                // the user may not exist.
                known.filter(|known| known.name.is_some()).ok_or(AuthError::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests;
