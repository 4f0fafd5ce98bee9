use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// The published keys that tokens can be checked with.
#[derive(Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    /// The only one that the key is used with, whatever a token claims.
    algorithm: Algorithm,
    decoding: Arc<DecodingKey>,
}

pub(super) enum Lookup {
    Found(Arc<DecodingKey>),
    /// The key is there, but for tokens of another kind.
    OtherAlgorithm,
    Unknown,
}

/// A key set as it is published (RFC 7517 §5).
#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Keys for other purposes, and of kinds not known here, are left out (RFC 7517 §5).
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let published: Published = serde_json::from_slice(text)?;
        let count = published.keys.len();
        let keys: Vec<Key> = published.keys.into_iter().filter_map(Key::parse).collect();
        if keys.is_empty() {
            tracing::warn!(count, "none of the keys of JWKS_URL can check an RS256, ES256 or EdDSA token");
        }
        Ok(Self { keys })
    }

    /// A token without `kid` is taken only if there is no doubt about its key.
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

/// A symmetric key is never one: it is no secret once it is published.
fn algorithm(parameters: &AlgorithmParameters) -> Option<Algorithm> {
    use AlgorithmParameters::{EllipticCurve as Ec, OctetKeyPair as Okp, RSA};
    match parameters {
        RSA(_) => Some(Algorithm::RS256),
        Ec(key) => (key.curve == EllipticCurve::P256).then_some(Algorithm::ES256),
        Okp(key) => (key.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA),
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => None,
    }
}

/// Whether the key may check signatures made with this algorithm, as far as it says.
fn allows(key: &CommonParameters, algorithm: Algorithm) -> bool {
    let for_signatures = key.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
    let may_verify = key.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    let of_algorithm = key.key_algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm));
    for_signatures && may_verify && of_algorithm
}

/// Of a kind each, so that the type of a key says which one it is for.
pub(in crate::auth) const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
