use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// The published keys that can verify tokens.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    /// The only algorithm used with this key, whatever a token's `alg` says.
    algorithm: Algorithm,
    decoding: Arc<DecodingKey>,
}

pub(super) enum Lookup {
    Found(Arc<DecodingKey>),
    /// The key exists, but not for the token's algorithm; or several keys match.
    OtherAlgorithm,
    Unknown,
}

/// A JWK Set (RFC 7517 §5).
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK Set. Keys for other uses and of unknown types are ignored (RFC 7517 §5).
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let published: Published = serde_json::from_slice(text)?;
        let count = published.keys.len();
        let keys: Vec<Key> = published.keys.into_iter().filter_map(Key::parse).collect();
        if keys.is_empty() {
            tracing::warn!(count, "none of the keys of JWKS_URL can check an RS256, ES256 or EdDSA token");
        }
        Ok(Self { keys })
    }

    /// Finds the key for a token. Without `kid`, exactly one key has to match.
    pub(super) fn look_up(&self, id: Option<&str>, algorithm: Algorithm) -> Lookup {
        let is_meant = |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let mut meant = self.keys.iter().filter(is_meant).peekable();
        if meant.peek().is_none() {
            return Lookup::Unknown;
        }
        let mut fitting = meant.filter(|key| key.algorithm == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Lookup::Found(Arc::clone(&key.decoding)),
            (None | Some(_), _) => Lookup::OtherAlgorithm,
        }
    }
}

impl Key {
    fn parse(published: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(published).ok()?;
        let algorithm = algorithm(&jwk.algorithm).filter(|algorithm| allows(&jwk.common, *algorithm))?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithm, decoding: Arc::new(decoding) })
    }
}

/// The algorithm of a key. Symmetric keys are not accepted: a published key is no secret.
fn algorithm(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    use AlgorithmParameters::{EllipticCurve as Ec, OctetKeyPair as Okp, RSA};
    match parameters {
        RSA(_) => Some(Algorithm::RS256),
        Ec(key) => (key.curve == EllipticCurve::P256).then_some(Algorithm::ES256),
        Okp(key) => (key.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA),
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => None,
    }
}

/// Whether `use`, `key_ops` and `alg` of the key, where present, allow to verify signatures of this
/// algorithm.
fn allows(key: &CommonParameters, algorithm: Algorithm) -> bool {
    let for_signatures = key.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
    let may_verify = key.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    let of_algorithm = key.key_algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm));
    for_signatures && may_verify && of_algorithm
}

/// The accepted algorithms. Each needs another type of key, so the type of a key determines its algorithm.
pub(in crate::auth) const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
