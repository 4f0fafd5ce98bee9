//! An identity provider on a free port of this machine, with keys of every kind.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::auth::{AuthConfig, AuthError, Authenticator, Identity, SignIn};

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const AUDIENCE: &str = "calls";

/// What the provider answers.
#[derive(Clone)]
pub(super) enum Answer {
    Keys(Vec<Value>),
    Redirect(String),
    Text(String),
    Broken,
    Never,
}

#[derive(Clone)]
pub(super) struct Provider {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    port: u16,
}

impl Provider {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let provider = Self { answer: Arc::new(Mutex::new(answer)), asked: Arc::default(), port };
        let router = Router::new().route("/keys", get(serve)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }

    pub(super) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Number of requests for the keys.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// An authenticator that accepts this provider's tokens.
    pub(super) fn relying_party(&self) -> Arc<Authenticator> {
        let config = AuthConfig {
            issuer: Some(ISSUER.to_owned()),
            audience: Some(AUDIENCE.to_owned()),
            ..AuthConfig::new(SignIn::Jwks { url: self.url().parse().unwrap() })
        };
        Arc::new(Authenticator::new(config).unwrap())
    }
}

async fn serve(State(provider): State<Provider>) -> Response {
    provider.asked.fetch_add(1, Ordering::SeqCst);
    let answer = provider.answer.lock().unwrap().clone();
    match answer {
        Answer::Keys(keys) => json!({ "keys": keys }).to_string().into_response(),
        Answer::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Answer::Text(text) => text.into_response(),
        Answer::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Answer::Never => std::future::pending().await,
    }
}

/// A key pair of the provider.
pub(super) struct SigningKey {
    pub(super) algorithm: Algorithm,
    key: EncodingKey,
    id: &'static str,
}

/// Generating RSA keys takes long, so the tests share two.
pub(super) static RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa("rsa"));
pub(super) static OTHER_RSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::rsa("other-rsa"));

impl SigningKey {
    fn rsa(id: &'static str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let base64 = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        Self { algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(), id }
    }

    pub(super) fn ec(id: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        Self { algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(der.as_ref()), id }
    }

    pub(super) fn ed(id: &'static str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        Self { algorithm: Algorithm::EdDSA, key: EncodingKey::from_ed_der(der.as_ref()), id }
    }

    /// The public key as a JWK.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn jwk_with(&self, member: &str, value: impl Into<Value>) -> Value {
        let mut jwk = self.jwk();
        jwk[member] = value.into();
        jwk
    }

    pub(super) fn header(&self) -> Header {
        Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) }
    }

    /// A token for Alice.
    pub(super) fn token(&self) -> String {
        self.sign(&self.header(), &claims())
    }

    pub(super) fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).unwrap()
    }
}

pub(super) fn claims() -> Value {
    json!({ "sub": "alice", "exp": chrono::Utc::now().timestamp() + 600, "iss": ISSUER, "aud": AUDIENCE })
}

/// Verifies a token with a server that has not fetched the provider's keys before.
pub(super) async fn verify_once(keys: Vec<Value>, token: &str) -> Result<Identity, AuthError> {
    Provider::start(Answer::Keys(keys)).await.relying_party().verify(token).await
}
