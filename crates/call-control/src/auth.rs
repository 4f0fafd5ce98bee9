//! Authentication: bearer tokens (JWT, RFC 7519), the service token, and sign-in by name for development.

mod claims;
mod config;
mod dev;
mod jwks;
pub(crate) mod key_file;
mod secret;
mod service;

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::ExposeSecret;
use uuid::Uuid;

use claims::{ClaimRules, Claims, Subjects};
use dev::ProxySeen;
use jwks::Jwks;
use service::ServiceToken;

use crate::{
    actor::{Actor, Person, Who},
    error::{ErrorCode, Refusal},
    ids::UserId,
};

pub use config::{AuthConfig, AuthSetupError, SignIn};
pub use jwks::{InvalidJwksUrl, JwksUrl};
pub use secret::{WeakSecret, is_long_enough};

/// A signed-in user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user_id: UserId,
    pub name: String,
    /// Whether the token contains the name. Otherwise `name` is a short id.
    pub named: bool,
    /// Whether the token makes the user a server admin.
    pub admin: bool,
    /// When the token was issued (`iat`), if it contains that.
    pub issued_at: Option<DateTime<Utc>>,
    pub expires_at: DateTime<Utc>,
}

/// Verifies tokens, and signs them for tests, first steps and dev sign-in.
pub struct Authenticator {
    keys: Keys,
    validation: Validation,
    claims: ClaimRules,
    issuer: Option<String>,
    audience: Option<String>,
    service: Option<ServiceToken>,
    proxy: ProxySeen,
}

/// The keys that verify tokens.
enum Keys {
    Shared { decoding: Arc<DecodingKey>, encoding: EncodingKey, dev: bool },
    Published(Arc<Jwks>),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid here")]
    Invalid,
    #[error("the sessions of this user have been revoked")]
    Revoked,
    /// Cannot be verified now: the key source or the database is unreachable.
    #[error("the token cannot be checked right now")]
    Unavailable,
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let code = match error {
            AuthError::Expired | AuthError::Invalid | AuthError::Revoked => ErrorCode::Unauthorized,
            AuthError::Unavailable => ErrorCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl Identity {
    /// The user as the actor of a request from this address.
    #[must_use]
    pub fn actor(&self, address: Option<IpAddr>) -> Actor {
        let person = Person { id: self.user_id, name: self.name.clone() };
        Actor { who: Who::User { person, admin: self.admin }, address }
    }

    /// Whether a revocation at `revoked_at` covers this token: it was issued at that time or before, or has
    /// no `iat`.
    #[must_use]
    pub fn is_revoked(&self, revoked_at: DateTime<Utc>) -> bool {
        self.issued_at.is_none_or(|issued_at| issued_at <= revoked_at)
    }
}

impl Authenticator {
    /// # Errors
    /// [`AuthSetupError`] for contradictory settings, or if the key for dev sign-in can be neither read nor
    /// created.
    pub fn new(config: AuthConfig) -> Result<Self, AuthSetupError> {
        config.check()?;
        let keys = Keys::new(config.sign_in)?;
        Ok(Self {
            validation: validation(keys.algorithms(), config.issuer.as_deref(), config.audience.as_deref()),
            claims: ClaimRules::new(config.issuer.as_deref(), config.admin_claim, keys.subjects()),
            keys,
            issuer: config.issuer,
            audience: config.audience,
            service: config.service_token.as_ref().map(ServiceToken::new),
            proxy: ProxySeen::default(),
        })
    }

    /// Whether users of this machine may sign in by name.
    #[must_use]
    pub const fn is_dev(&self) -> bool {
        matches!(self.keys, Keys::Shared { dev: true, .. })
    }

    /// Whether a request has come through a proxy, so that sign-in by name is off until a restart.
    #[must_use]
    pub fn is_behind_proxy(&self) -> bool {
        self.proxy.is_set()
    }

    /// Notes that a request had this header, which only proxies add.
    pub fn note_proxy(&self, header: &str) {
        if self.is_dev() {
            self.proxy.set(header);
        }
    }

    /// Whether this is the app's service token. Compares in constant time.
    #[must_use]
    pub fn is_service(&self, token: &str) -> bool {
        self.service.as_ref().is_some_and(|service| service.is(token))
    }

    /// The user that a REST path names: by the `sub` of their tokens, or by the id that this server made of
    /// it. `None` unless `id` has 1 to 255 characters.
    #[must_use]
    pub fn user_in_path(&self, id: &str) -> Option<UserId> {
        self.claims.user_in_path(id)
    }

    /// The user of a token. May have to fetch the keys of the identity provider.
    ///
    /// # Errors
    /// [`AuthError`] for a token that is malformed, unsigned, expired, not valid yet, or for another issuer
    /// or audience, and if the identity provider is unreachable.
    pub async fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Invalid)?;
        // A token with critical extensions is refused, because none is supported (RFC 7515 §4.1.11).
        if header.crit.is_some() || !self.validation.algorithms.contains(&header.alg) {
            return Err(AuthError::Invalid);
        }
        let key = match &self.keys {
            Keys::Shared { decoding, .. } => Arc::clone(decoding),
            Keys::Published(jwks) => jwks.key(&header).await?,
        };
        // The library accepts only the one algorithm of this key.
        let validation = Validation { algorithms: vec![header.alg], ..self.validation.clone() };
        let token = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|error| {
            let expired = matches!(error.kind(), ErrorKind::ExpiredSignature);
            if expired { AuthError::Expired } else { AuthError::Invalid }
        })?;
        self.claims.identity(token.claims).ok_or(AuthError::Invalid)
    }

    /// Signs a token that [`Authenticator::verify`] accepts, valid for `lifetime` from `now`.
    ///
    /// # Errors
    /// `unsupported` if an identity provider holds the keys, `internal` if the claims cannot be encoded.
    pub fn mint(
        &self,
        sub: &str,
        name: Option<&str>,
        lifetime: Duration,
        now: DateTime<Utc>,
    ) -> Result<String, Refusal> {
        let Keys::Shared { encoding, .. } = &self.keys else {
            let detail = "tokens are signed by whoever publishes the keys of JWKS_URL";
            return Err(Refusal::new(ErrorCode::Unsupported, detail));
        };
        let expires = now.timestamp().saturating_add_unsigned(lifetime.as_secs());
        let claims = serde_json::json!({
            "sub": sub, "name": name, "iat": now.timestamp(), "exp": expires, "iss": self.issuer, "aud": self.audience,
        });
        let present: serde_json::Map<_, _> = claims
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &present, encoding)
            .map_err(|error| Refusal::internal(&error))
    }

    /// Signs in by name. The same name always gives the same user.
    ///
    /// # Errors
    /// See [`Authenticator::mint`].
    pub fn dev_token(&self, name: &str, now: DateTime<Utc>) -> Result<(String, Identity), Refusal> {
        let user_id = UserId(Uuid::new_v5(&dev::USERS, name.as_bytes()));
        let token = self.mint(&user_id.to_string(), Some(name), dev::LIFETIME, now)?;
        let identity = Identity {
            user_id,
            name: name.to_owned(),
            named: true,
            admin: false,
            issued_at: Some(now.trunc_subsecs(0)),
            expires_at: now + dev::LIFETIME,
        };
        Ok((token, identity))
    }

    /// Starts a task that keeps the published keys fresh, as long as this authenticator lives.
    pub(crate) fn keep_keys_fresh(&self) {
        if let Keys::Published(jwks) = &self.keys {
            tokio::spawn(Jwks::keep_fresh(Arc::downgrade(jwks)));
        }
    }
}

impl Keys {
    fn new(sign_in: SignIn) -> Result<Self, AuthSetupError> {
        let (secret, dev) = match sign_in {
            SignIn::Secret(secret) => (secret, false),
            SignIn::Dev { data_dir } => (dev::load_key(&data_dir)?, true),
            SignIn::Jwks { url } => return Ok(Self::Published(Jwks::new(url)?)),
        };
        let key = secret.expose_secret().as_bytes();
        Ok(Self::Shared {
            decoding: Arc::new(DecodingKey::from_secret(key)),
            encoding: EncodingKey::from_secret(key),
            dev,
        })
    }

    const fn subjects(&self) -> Subjects {
        match self {
            Self::Shared { dev: true, .. } => Subjects::MadeHere,
            Self::Shared { dev: false, .. } | Self::Published(_) => Subjects::OfTheApp,
        }
    }

    const fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Shared { .. } => &[Algorithm::HS256],
            Self::Published(_) => &jwks::ALGORITHMS,
        }
    }
}

fn validation(algorithms: &[Algorithm], issuer: Option<&str>, audience: Option<&str>) -> Validation {
    let mut validation = Validation {
        algorithms: algorithms.to_vec(),
        leeway: LEEWAY_SECONDS,
        validate_nbf: true,
        validate_aud: audience.is_some(),
        ..Validation::default()
    };
    validation.set_required_spec_claims(&["exp", "sub"]);
    if let Some(issuer) = issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    if let Some(audience) = audience {
        validation.set_audience(&[audience]);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    validation
}

/// Tolerated difference between the clocks of the app and this server, for `exp` and `nbf`.
const LEEWAY_SECONDS: u64 = 30;

#[cfg(test)]
mod tests;
