use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use super::Identity;
use crate::{ids::UserId, name::shorten};

/// The claims about the user's identity. The JWT library checks the others.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    /// Unix seconds, possibly with a fraction (RFC 7519 §2), like `iat`.
    exp: f64,
    iat: Option<f64>,
    name: Option<String>,
    preferred_username: Option<String>,
    email: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// How claims become an identity.
pub(super) struct ClaimRules {
    namespace: Uuid,
    admin_claim: Option<String>,
    subjects: Subjects,
}

/// Whose ids the `sub` of tokens is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subjects {
    /// The app's, which signs the tokens or has them signed.
    OfTheApp,
    /// This server's own: only dev sign-in signs tokens.
    MadeHere,
}

impl ClaimRules {
    /// A `sub` that is not a UUID is hashed in a namespace of the configured issuer. Without an issuer all
    /// share one namespace: all tokens signed with the secret are of one app, whatever their `iss`.
    pub(super) fn new(issuer: Option<&str>, admin_claim: Option<String>, subjects: Subjects) -> Self {
        let namespace = Uuid::new_v5(&ISSUERS, issuer.unwrap_or_default().as_bytes());
        Self { namespace, admin_claim, subjects }
    }

    /// The user of a token with this `sub`.
    fn user_of(&self, sub: &str) -> Option<UserId> {
        match self.subjects {
            Subjects::OfTheApp => UserId::from_external(sub, &self.namespace),
            Subjects::MadeHere => self.user_in_path(sub),
        }
    }

    pub(super) fn user_in_path(&self, id: &str) -> Option<UserId> {
        UserId::from_path(id, &self.namespace)
    }

    pub(super) fn identity(&self, claims: Claims) -> Option<Identity> {
        let user_id = self.user_of(&claims.sub)?;
        let names = [claims.name, claims.preferred_username, claims.email];
        let name = names.into_iter().flatten().find_map(|name| shorten(&name));
        let admin = self.admin_claim.as_ref().and_then(|claim| claims.others.get(claim));
        Some(Identity {
            user_id,
            named: name.is_some(),
            name: name.unwrap_or_else(|| user_id.short()),
            admin: admin == Some(&Value::Bool(true)),
            issued_at: claims.iat.map(time),
            expires_at: time(claims.exp),
        })
    }
}

/// Whole seconds, rounded down.
fn time(seconds: f64) -> DateTime<Utc> {
    #[expect(clippy::cast_possible_truncation, reason = "casting clamps, and no clock reaches that far")]
    let whole = seconds.floor() as i64;
    let beyond = if whole < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp(whole, 0).unwrap_or(beyond)
}

const ISSUERS: Uuid = uuid!("6a0f5c1e-5d0b-4c39-9d5c-0f9a7c8f3b21");
