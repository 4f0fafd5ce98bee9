use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::JwksUrl;

/// Whose tokens are taken.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    pub sign_in: SignIn,
    /// If given, tokens must carry this `iss`; [`SignIn::Jwks`] cannot do without.
    pub issuer: Option<String>,
    /// If given, tokens must carry this `aud`; [`SignIn::Jwks`] cannot do without. If not, `aud` is not looked at,
    /// although RFC 7519 §4.1.3 would refuse tokens that have one: apps put their own name there, and who has the
    /// shared secret has no other app's tokens to misuse.
    pub audience: Option<String>,
    /// Whose token has this claim with the value `true` is a server admin.
    pub admin_claim: Option<String>,
    /// The token by which the app itself asks.
    pub service_token: Option<SecretString>,
}

#[derive(Clone, Debug)]
pub enum SignIn {
    /// The app signs tokens (HS256) with this shared secret.
    Secret(SecretString),
    /// An identity provider signs tokens (RS256, ES256, EdDSA) with keys that it publishes.
    Jwks { url: JwksUrl },
    /// Anybody on this machine signs in by name; the key lives in this directory.
    Dev { data_dir: PathBuf },
}

/// Why nobody can be authenticated at all.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    #[error("the key for dev sign-in cannot be kept in {path}: {source}")]
    DevKey { path: PathBuf, source: std::io::Error },
    #[error(
        "JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE: without them, tokens that the identity provider gave to \
         other apps would be taken"
    )]
    AnyIssuerOrAudience,
    #[error("SERVICE_TOKEN is empty")]
    EmptyServiceToken,
    #[error("keys cannot be fetched from JWKS_URL")]
    Http(#[from] reqwest::Error),
}

impl AuthConfig {
    /// The given sign-in and nothing else.
    #[must_use]
    pub const fn new(sign_in: SignIn) -> Self {
        Self { sign_in, issuer: None, audience: None, admin_claim: None, service_token: None }
    }

    /// Whether the parts go together.
    ///
    /// # Errors
    /// [`AuthSetupError::AnyIssuerOrAudience`], [`AuthSetupError::EmptyServiceToken`].
    pub fn check(&self) -> Result<(), AuthSetupError> {
        let is_for_us = self.issuer.is_some() && self.audience.is_some();
        if matches!(self.sign_in, SignIn::Jwks { .. }) && !is_for_us {
            return Err(AuthSetupError::AnyIssuerOrAudience);
        }
        if self.service_token.as_ref().is_some_and(|token| token.expose_secret().is_empty()) {
            return Err(AuthSetupError::EmptyServiceToken);
        }
        Ok(())
    }
}
