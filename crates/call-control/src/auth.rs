//! Who is asking: bearer tokens, and the sign-in for development.

mod claims;
mod dev;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use claims::Claims;

use crate::{
    actor::{Actor, Who},
    call::Person,
    error::{ErrorCode, Refusal},
    ids::UserId,
};

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    pub sign_in: SignIn,
    /// If given, tokens must carry this `iss`.
    pub issuer: Option<String>,
    /// If given, tokens must carry this `aud`.
    pub audience: Option<String>,
}

#[derive(Clone, Debug)]
pub enum SignIn {
    /// The app signs tokens (HS256) with this shared secret.
    Secret(SecretString),
    /// Anybody on this machine signs in by name; the key lives in this directory.
    Dev { data_dir: PathBuf },
}

/// A signed-in user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user_id: UserId,
    pub name: String,
    pub expires_at: DateTime<Utc>,
    /// Whether the app made this user an admin of the whole server.
    pub admin: bool,
}

/// Checks tokens, and mints them for tests, first steps and dev sign-in.
#[derive(Clone)]
pub struct Authenticator {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
    issuer: Option<String>,
    audience: Option<String>,
    dev: bool,
}

/// Why nobody can be authenticated at all.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    #[error("the key for dev sign-in cannot be kept in {path}: {source}")]
    DevKey { path: PathBuf, source: std::io::Error },
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid here")]
    Invalid,
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Expired => Self::new(ErrorCode::Unauthorized, "the token has expired"),
            AuthError::Invalid => Self::new(ErrorCode::Unauthorized, "the token is not valid here"),
        }
    }
}

impl Identity {
    /// The user as one who does something, from this address.
    #[must_use]
    pub fn actor(&self, address: Option<IpAddr>) -> Actor {
        let person = Person { id: self.user_id, name: self.name.clone() };
        Actor { who: Who::User { person, admin: self.admin }, address }
    }
}

impl Authenticator {
    /// # Errors
    /// [`AuthSetupError`] when the key for dev sign-in can be neither read nor made.
    pub fn new(config: AuthConfig) -> Result<Self, AuthSetupError> {
        let (secret, dev) = match config.sign_in {
            SignIn::Secret(secret) => (secret, false),
            SignIn::Dev { data_dir } => (dev::load_key(&data_dir)?, true),
        };
        let key = secret.expose_secret().as_bytes();
        if key.len() < SHORT_SECRET {
            tracing::warn!("JWT_SECRET is shorter than {SHORT_SECRET} bytes and may be guessed");
        }
        Ok(Self {
            decoding: DecodingKey::from_secret(key),
            encoding: EncodingKey::from_secret(key),
            validation: validation(config.issuer.as_deref(), config.audience.as_deref()),
            issuer: config.issuer,
            audience: config.audience,
            dev,
        })
    }

    /// Whether anybody on this machine may sign in by name.
    #[must_use]
    pub const fn is_dev(&self) -> bool {
        self.dev
    }

    /// # Errors
    /// [`AuthError`] for a token that is malformed, unsigned, expired, not yet valid, or somebody else's.
    pub fn verify(&self, token: &str) -> Result<Identity, AuthError> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation);
        let claims = token.map_err(|error| {
            let expired = matches!(error.kind(), ErrorKind::ExpiredSignature);
            if expired { AuthError::Expired } else { AuthError::Invalid }
        })?;
        claims.claims.identity().ok_or(AuthError::Invalid)
    }

    /// A token that [`Authenticator::verify`] takes, valid for `lifetime` from `now`.
    ///
    /// # Errors
    /// A message for people, when the claims cannot be written.
    pub fn mint(
        &self,
        sub: &str,
        name: Option<&str>,
        lifetime: Duration,
        now: DateTime<Utc>,
    ) -> Result<String, Refusal> {
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
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &present, &self.encoding)
            .map_err(|error| Refusal::internal(&error))
    }

    /// Signs in by name. The same name is always the same user.
    ///
    /// # Errors
    /// See [`Authenticator::mint`].
    pub fn dev_token(&self, name: &str, now: DateTime<Utc>) -> Result<(String, Identity), Refusal> {
        let user_id = UserId(Uuid::new_v5(&dev::USERS, name.as_bytes()));
        let token = self.mint(&user_id.to_string(), Some(name), dev::LIFETIME, now)?;
        Ok((
            token,
            Identity { user_id, name: name.to_owned(), expires_at: now + dev::LIFETIME, admin: false },
        ))
    }
}

fn validation(issuer: Option<&str>, audience: Option<&str>) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.validate_aud = audience.is_some();
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

/// How far the clocks of the app and this server may be apart.
const LEEWAY_SECONDS: u64 = 30;
/// An HS256 key should have at least as many bytes as the hash (RFC 7518 §3.2).
const SHORT_SECRET: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::now;

    const HOUR: Duration = Duration::from_secs(3600);

    fn authenticator(issuer: Option<&str>, audience: Option<&str>) -> Authenticator {
        Authenticator::new(AuthConfig {
            sign_in: SignIn::Secret("a secret of the app, long enough to keep".into()),
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
        })
        .unwrap()
    }

    fn token(claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(b"a secret of the app, long enough to keep");
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
    }

    #[test]
    fn a_uuid_subject_is_the_user_and_any_other_maps_to_one_per_issuer() {
        let auth = authenticator(None, None);
        let id = Uuid::new_v4().to_string();
        let known = auth.verify(&auth.mint(&id, Some("Ada"), HOUR, now()).unwrap()).unwrap();
        assert_eq!((known.user_id.to_string(), known.name.as_str()), (id, "Ada"));

        let exp = now().timestamp() + 60;
        let user = |iss: &str| {
            let claims = serde_json::json!({"sub": "alice", "iss": iss, "exp": exp});
            auth.verify(&token(&claims)).unwrap().user_id
        };
        assert_eq!(user("https://one.example"), user("https://one.example"));
        assert_ne!(user("https://one.example"), user("https://two.example"));
    }

    #[test]
    fn the_name_comes_from_the_first_claim_that_has_one() {
        let auth = authenticator(None, None);
        let exp = now().timestamp() + 60;
        let name = |more: serde_json::Value| {
            let mut claims = serde_json::json!({"sub": "alice", "exp": exp});
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            auth.verify(&token(&claims)).unwrap()
        };
        assert_eq!(name(serde_json::json!({"name": "Alice", "email": "a@b.example"})).name, "Alice");
        assert_eq!(name(serde_json::json!({"name": " ", "preferred_username": "ali"})).name, "ali");
        assert_eq!(name(serde_json::json!({"email": "a@b.example"})).name, "a@b.example");
        let nameless = name(serde_json::json!({}));
        assert_eq!(nameless.name, nameless.user_id.to_string()[..8]);
    }

    #[test]
    fn a_token_must_not_have_expired() {
        let auth = authenticator(None, None);
        let old = auth.mint("alice", None, HOUR, now() - HOUR * 2).unwrap();
        assert_eq!(auth.verify(&old), Err(AuthError::Expired));
        let endless = token(&serde_json::json!({"sub": "alice"}));
        assert_eq!(auth.verify(&endless), Err(AuthError::Invalid));
        let early =
            token(&serde_json::json!({"sub": "alice", "exp": i64::MAX, "nbf": now().timestamp() + 3600}));
        assert_eq!(auth.verify(&early), Err(AuthError::Invalid));
    }

    #[test]
    fn unsigned_foreign_and_malformed_tokens_are_refused() {
        let auth = authenticator(None, None);
        let exp = now().timestamp() + 60;
        let claims = serde_json::json!({"sub": "alice", "exp": exp});
        let foreign = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &EncodingKey::from_secret(b"other"),
        );
        let key = EncodingKey::from_secret(b"a secret of the app, long enough to keep");
        let other_algorithm = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key);
        // {"alg":"none"}.{"sub":"alice","exp":9999999999}.
        let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OX0.".to_owned();
        let no_subject = token(&serde_json::json!({"exp": exp}));
        let wrong_type = token(&serde_json::json!({"sub": 7, "exp": exp}));
        for bad in [
            foreign.unwrap(),
            other_algorithm.unwrap(),
            unsigned,
            no_subject,
            wrong_type,
            "x.y.z".to_owned(),
            String::new(),
        ] {
            assert_eq!(auth.verify(&bad), Err(AuthError::Invalid), "{bad}");
        }
    }

    #[test]
    fn issuer_and_audience_are_checked_when_configured() {
        let auth = authenticator(Some("https://app.example"), Some("calls"));
        assert!(auth.verify(&auth.mint("alice", None, HOUR, now()).unwrap()).is_ok());
        let exp = now().timestamp() + 60;
        for (iss, aud) in [("https://other.example", "calls"), ("https://app.example", "mail")] {
            let other = token(&serde_json::json!({"sub": "alice", "exp": exp, "iss": iss, "aud": aud}));
            assert_eq!(auth.verify(&other), Err(AuthError::Invalid));
        }
        let neither = token(&serde_json::json!({"sub": "alice", "exp": exp}));
        assert_eq!(auth.verify(&neither), Err(AuthError::Invalid));
    }
}
