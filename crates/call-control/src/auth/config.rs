use std::path::PathBuf;

use secrecy::SecretString;

use super::{JwksUrl, WeakSecret, is_long_enough};

/// Which tokens are accepted.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    pub sign_in: SignIn,
    /// If given, tokens must have this `iss`. [`SignIn::Jwks`] requires it.
    pub issuer: Option<String>,
    /// If given, tokens must have this `aud`. [`SignIn::Jwks`] requires it. If absent, `aud` is ignored,
    /// although RFC 7519 §4.1.3 says to refuse a token with an audience: apps put their own name there, and
    /// no other app has tokens signed with the shared secret.
    pub audience: Option<String>,
    /// The user is a server admin if their token has this claim with the value `true`.
    pub admin_claim: Option<String>,
    /// The token with which the app itself sends requests.
    pub service_token: Option<SecretString>,
}

#[derive(Clone, Debug)]
pub enum SignIn {
    /// The app signs tokens (HS256) with this shared secret.
    Secret(SecretString),
    /// An identity provider signs tokens (RS256, ES256, EdDSA) with keys that it publishes.
    Jwks { url: JwksUrl },
    /// Users of this machine sign in by name; the key is stored in this directory.
    Dev { data_dir: PathBuf },
}

/// Why authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AuthSetupError {
    #[error("the key for dev sign-in cannot be kept in {path}: {source}")]
    DevKey { path: PathBuf, source: std::io::Error },
    #[error(
        "JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE: without them, tokens that the identity provider gave to \
         other apps would be taken"
    )]
    AnyIssuerOrAudience,
    #[error(
        "the key for dev sign-in in {path} is empty or cut; remove the file to get a new one, and everybody \
         signs in again"
    )]
    CutDevKey { path: PathBuf },
    #[error("{0} is set but blank")]
    Blank(&'static str),
    #[error(transparent)]
    WeakSecret(#[from] WeakSecret),
    #[error("keys cannot be fetched from JWKS_URL")]
    Http(#[from] reqwest::Error),
}

impl AuthConfig {
    /// The given sign-in, without the optional settings.
    #[must_use]
    pub const fn new(sign_in: SignIn) -> Self {
        Self { sign_in, issuer: None, audience: None, admin_claim: None, service_token: None }
    }

    /// Checks that the settings are consistent. Returns the settings whose secret is shorter than it should be.
    ///
    /// # Errors
    /// [`AuthSetupError::Blank`], [`AuthSetupError::AnyIssuerOrAudience`], [`AuthSetupError::WeakSecret`].
    pub fn check(&self) -> Result<Vec<&'static str>, AuthSetupError> {
        let claims = [
            ("JWT_ISSUER", &self.issuer),
            ("JWT_AUDIENCE", &self.audience),
            ("ADMIN_CLAIM", &self.admin_claim),
        ];
        if let Some((name, _)) =
            claims.iter().find(|(_, it)| it.as_ref().is_some_and(|it| it.trim().is_empty()))
        {
            return Err(AuthSetupError::Blank(name));
        }
        let is_for_us = self.issuer.is_some() && self.audience.is_some();
        if matches!(self.sign_in, SignIn::Jwks { .. }) && !is_for_us {
            return Err(AuthSetupError::AnyIssuerOrAudience);
        }
        let signs = match &self.sign_in {
            SignIn::Secret(secret) => Some(secret),
            SignIn::Jwks { .. } | SignIn::Dev { .. } => None,
        };
        let mut short = Vec::new();
        for (name, secret) in [("JWT_SECRET", signs), ("SERVICE_TOKEN", self.service_token.as_ref())] {
            if let Some(secret) = secret
                && !is_long_enough(name, secret)?
            {
                short.push(name);
            }
        }
        Ok(short)
    }
}
