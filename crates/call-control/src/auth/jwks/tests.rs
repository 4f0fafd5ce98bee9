//! Stories of a server and its identity provider. Both are real; only the time is simulated.

mod provider;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::time;

use super::{FLOOR, PERIOD};
use crate::auth::{AuthError, Authenticator};
use provider::{Answer, OTHER_RSA, Provider, RSA, SigningKey, claims, verify_once};

/// Advances the time at once. Otherwise the clock runs, because the network takes real time.
async fn pass(duration: time::Duration) {
    time::pause();
    time::advance(duration).await;
    time::resume();
}

#[tokio::test]
async fn tokens_of_each_algorithm_are_taken() {
    let (ec, ed) = (SigningKey::ec("ec"), SigningKey::ed("ed"));
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk(), ec.jwk(), ed.jwk()])).await;
    let server = provider.relying_party();
    for key in [&RSA, &ec, &ed] {
        let alice = server.verify(&key.token()).await.unwrap();
        assert_eq!(Some(alice.user_id), server.user_in_path("alice"), "{:?}", key.algorithm);
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_uuid_is_taken_as_it_is_since_the_issuer_is_configured() {
    let id = uuid::Uuid::new_v4();
    let mut claims = claims();
    claims["sub"] = json!(id);
    let identity = verify_once(vec![RSA.jwk()], &RSA.sign(&RSA.header(), &claims)).await.unwrap();
    assert_eq!(identity.user_id.0, id);
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let jwk = RSA.jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    let provider = Provider::start(Answer::Keys(vec![jwk.clone()])).await;
    let server = provider.relying_party();
    server.verify(&RSA.token()).await.unwrap();
    for secret in [modulus, jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().into()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: RSA.header().kid, ..Header::new(algorithm) };
            let forged =
                jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
            assert_eq!(server.verify(&forged).await, Err(AuthError::Invalid), "{algorithm:?}");
        }
    }
    assert_eq!(provider.asked(), 1, "a token that can never be valid is not worth a fetch");
}

#[tokio::test]
async fn a_published_secret_is_no_key() {
    let secret = b"published, so everybody knows it";
    let oct = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(secret) });
    let header = Header { kid: Some("oct".to_owned()), ..Header::new(Algorithm::HS256) };
    let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
    assert_eq!(verify_once(vec![oct, RSA.jwk()], &forged).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn an_unsigned_token_is_refused() {
    let claims = URL_SAFE_NO_PAD.encode(claims().to_string());
    for algorithm in ["none", "None", "NONE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "kid": "rsa" }).to_string());
        let unsigned = format!("{header}.{claims}.");
        assert_eq!(verify_once(vec![RSA.jwk()], &unsigned).await, Err(AuthError::Invalid), "{algorithm}");
    }
}

#[tokio::test]
async fn a_key_is_used_with_the_algorithm_of_its_type_only() {
    let ec = SigningKey::ec("rsa");
    let claims_to_be_rsa = ec.token();
    assert_eq!(verify_once(vec![RSA.jwk()], &claims_to_be_rsa).await, Err(AuthError::Invalid));
    let stronger = Header { alg: Algorithm::RS512, ..RSA.header() };
    let token = RSA.sign(&stronger, &claims());
    assert_eq!(verify_once(vec![RSA.jwk()], &token).await, Err(AuthError::Invalid));
    // Two keys of different types may share an id (RFC 7517 §4.5).
    let keys = vec![RSA.jwk(), ec.jwk()];
    assert!(verify_once(keys.clone(), &claims_to_be_rsa).await.is_ok());
    assert!(verify_once(keys, &RSA.token()).await.is_ok());
}

#[tokio::test]
async fn a_key_is_used_for_what_it_is_published_for() {
    for good in [RSA.jwk_with("use", "sig"), RSA.jwk_with("key_ops", json!(["verify"])), RSA.jwk()] {
        assert!(verify_once(vec![good], &RSA.token()).await.is_ok());
    }
    for bad in [
        RSA.jwk_with("use", "enc"),
        RSA.jwk_with("key_ops", json!(["encrypt"])),
        RSA.jwk_with("alg", "PS256"),
        RSA.jwk_with("alg", "RSA-OAEP"),
        RSA.jwk_with("alg", "something new"),
        RSA.jwk_with("n", 7),
    ] {
        assert_eq!(verify_once(vec![bad.clone()], &RSA.token()).await, Err(AuthError::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn keys_of_unknown_kinds_do_not_hide_the_others() {
    let strange = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "rsa", "pub": "…" });
    let broken = json!({ "kty": "RSA", "kid": 7, "n": null });
    assert!(verify_once(vec![strange, broken, json!("no key"), RSA.jwk()], &RSA.token()).await.is_ok());
}

#[tokio::test]
async fn a_token_cannot_bring_its_own_key() {
    let attacker = Provider::start(Answer::Keys(vec![OTHER_RSA.jwk()])).await;
    let own = Header {
        jku: Some(attacker.url()),
        x5u: Some(attacker.url()),
        jwk: serde_json::from_value(OTHER_RSA.jwk()).unwrap(),
        ..RSA.header()
    };
    let forged = OTHER_RSA.sign(&own, &claims());
    assert_eq!(verify_once(vec![RSA.jwk()], &forged).await, Err(AuthError::Invalid));
    assert_eq!(attacker.asked(), 0);
    let harmless = RSA.sign(&own, &claims());
    assert!(verify_once(vec![RSA.jwk()], &harmless).await.is_ok(), "the hints are ignored, not refused");
}

#[tokio::test]
async fn a_token_without_key_id_is_taken_if_there_is_no_doubt() {
    let token = RSA.sign(&Header::new(Algorithm::RS256), &claims());
    assert!(verify_once(vec![RSA.jwk(), SigningKey::ec("ec").jwk()], &token).await.is_ok());
    assert_eq!(verify_once(vec![RSA.jwk(), OTHER_RSA.jwk()], &token).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn tokens_that_are_old_or_for_others_are_refused() {
    for (claim, value, error) in [
        ("exp", json!(chrono::Utc::now().timestamp() - 60), AuthError::Expired),
        ("exp", json!(null), AuthError::Invalid),
        ("nbf", json!(chrono::Utc::now().timestamp() + 600), AuthError::Invalid),
        ("iss", json!("https://evil.example"), AuthError::Invalid),
        ("iss", json!(null), AuthError::Invalid),
        ("aud", json!("mail"), AuthError::Invalid),
        ("aud", json!(null), AuthError::Invalid),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let token = RSA.sign(&RSA.header(), &claims);
        assert_eq!(verify_once(vec![RSA.jwk()], &token).await, Err(error), "{claims}");
    }
}

#[tokio::test]
async fn many_tokens_with_a_new_key_cause_one_fetch() {
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let server = provider.relying_party();
    let verify = async |token: String| server.verify(&token).await;
    let first = join_all((0..50).map(|_| verify(RSA.token()))).await;
    assert!(first.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 1);

    provider.answers(Answer::Keys(vec![RSA.jwk(), OTHER_RSA.jwk()]));
    pass(FLOOR).await;
    let rotated = join_all((0..50).map(|_| verify(OTHER_RSA.token()))).await;
    assert!(rotated.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn made_up_key_ids_cannot_hurry_the_server() {
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let server = provider.relying_party();
    server.verify(&RSA.token()).await.unwrap();
    for _ in 0..5 {
        assert_eq!(server.verify(&OTHER_RSA.token()).await, Err(AuthError::Invalid));
    }
    assert_eq!(provider.asked(), 1, "too soon after the first");
    pass(FLOOR).await;
    assert_eq!(server.verify(&OTHER_RSA.token()).await, Err(AuthError::Invalid));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_request_that_goes_away_does_not_stop_the_fetch_for_others() {
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let server = provider.relying_party();
    let token = RSA.token();
    let mut impatient = Box::pin(server.verify(&token));
    assert!(futures_util::poll!(&mut impatient).is_pending());
    until_asked(&provider, 1).await;
    drop(impatient);
    assert!(server.verify(&token).await.is_ok());
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_is_forgotten_in_time() {
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let server = provider.relying_party();
    server.keep_keys_fresh();
    server.verify(&RSA.token()).await.unwrap();
    provider.answers(Answer::Keys(vec![OTHER_RSA.jwk()]));
    until_idle().await;
    pass(PERIOD).await;
    until_asked(&provider, 2).await;
    // The new key is there once the answer has been read.
    assert!(server.verify(&OTHER_RSA.token()).await.is_ok());
    assert_eq!(server.verify(&RSA.token()).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn keys_stay_in_use_while_the_provider_is_away() {
    let provider = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let server = provider.relying_party();
    server.verify(&RSA.token()).await.unwrap();
    provider.answers(Answer::Broken);
    pass(FLOOR).await;
    assert_eq!(server.verify(&OTHER_RSA.token()).await, Err(AuthError::Unavailable));
    assert_eq!(provider.asked(), 2);
    assert!(server.verify(&RSA.token()).await.is_ok());
    assert_eq!(server.verify(&OTHER_RSA.token()).await, Err(AuthError::Unavailable), "nobody can tell");
    assert_eq!(provider.asked(), 2);

    provider.answers(Answer::Keys(vec![OTHER_RSA.jwk()]));
    pass(FLOOR).await;
    assert!(server.verify(&OTHER_RSA.token()).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Provider::start(Answer::Keys(vec![RSA.jwk()])).await;
    let provider = Provider::start(Answer::Redirect(elsewhere.url())).await;
    unavailable(&provider.relying_party()).await;
    assert_eq!((provider.asked(), elsewhere.asked()), (1, 0));
}

#[tokio::test]
async fn an_answer_that_is_huge_or_no_key_set_is_refused() {
    let padding = |length: usize| " ".repeat(length);
    let keys = json!({ "keys": [RSA.jwk()] }).to_string();
    let fits = Provider::start(Answer::Text(padding(1024 * 1024 - keys.len()) + &keys)).await;
    assert!(fits.relying_party().verify(&RSA.token()).await.is_ok());
    for text in [padding(1024 * 1024) + &keys, "<html>".to_owned(), "{}".to_owned(), "[]".to_owned()] {
        let provider = Provider::start(Answer::Text(text)).await;
        unavailable(&provider.relying_party()).await;
    }
}

#[tokio::test]
async fn a_provider_that_never_answers_does_not_keep_people_waiting() {
    let provider = Provider::start(Answer::Never).await;
    let server = provider.relying_party();
    // The clock jumps to the next timer whenever nothing else happens.
    time::pause();
    time::timeout(time::Duration::from_secs(6), unavailable(&server)).await.unwrap();
}

async fn unavailable(server: &Authenticator) {
    assert_eq!(server.verify(&RSA.token()).await, Err(AuthError::Unavailable));
}

async fn until_asked(provider: &Provider, times: usize) {
    let asked = async {
        while provider.asked() < times {
            tokio::task::yield_now().await;
        }
    };
    time::timeout(time::Duration::from_secs(20), asked).await.unwrap();
}

/// Yields, so that other tasks do all that they can do without waiting.
async fn until_idle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
