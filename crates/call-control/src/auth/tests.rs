use super::*;
use crate::clock::now;

const HOUR: Duration = Duration::from_secs(3600);
const SECRET: &str = "a secret of the app, long enough to keep";
const SERVICE_TOKEN: &str = "a token that only the app's server knows";

fn authenticator(issuer: Option<&str>, audience: Option<&str>) -> Authenticator {
    Authenticator::new(AuthConfig {
        sign_in: SignIn::Secret(SECRET.into()),
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        admin_claim: Some("calls_admin".to_owned()),
        service_token: Some(SERVICE_TOKEN.into()),
    })
    .unwrap()
}

fn token(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn claims(more: &serde_json::Value) -> serde_json::Value {
    let mut claims = serde_json::json!({"sub": "alice", "exp": now().timestamp() + 60});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn a_uuid_subject_is_the_user_and_any_other_maps_to_one_per_issuer() {
    let auth = authenticator(None, None);
    let id = Uuid::new_v4().to_string();
    let known = auth.verify(&auth.mint(&id, Some("Ada"), HOUR, now()).unwrap()).await.unwrap();
    assert_eq!((known.user_id.to_string(), known.name.as_str()), (id, "Ada"));

    let user = async |iss: &str| {
        let auth = authenticator(Some(iss), None);
        auth.verify(&token(&claims(&serde_json::json!({"iss": iss})))).await.unwrap().user_id
    };
    assert_eq!(user("https://one.example").await, user("https://one.example").await);
    assert_ne!(user("https://one.example").await, user("https://two.example").await);
}

#[tokio::test]
async fn a_subject_that_is_the_id_of_somebody_else_signs_in_somebody_new() {
    for issuer in [None, Some("https://app.example")] {
        let auth = authenticator(issuer, None);
        let user =
            async |sub: &str| auth.verify(&auth.mint(sub, None, HOUR, now()).unwrap()).await.unwrap().user_id;
        let alice = user("alice").await;
        assert_ne!(user(&alice.to_string()).await, alice);
        assert_ne!(user(&alice.to_string().to_uppercase()).await, alice);
        assert_ne!(user(&alice.0.simple().to_string()).await, alice);
    }
}

#[tokio::test]
async fn whoever_signs_in_by_name_is_the_user_that_their_token_is_for() {
    let data = tempfile::tempdir().unwrap();
    let sign_in = SignIn::Dev { data_dir: data.path().to_owned() };
    let auth = Authenticator::new(AuthConfig::new(sign_in)).unwrap();
    let (token, ada) = auth.dev_token("Ada", now()).unwrap();
    assert_eq!(auth.verify(&token).await.unwrap().user_id, ada.user_id);
}

#[tokio::test]
async fn the_app_knows_people_by_the_ids_that_their_tokens_carry() {
    for issuer in [None, Some("https://app.example")] {
        let auth = authenticator(issuer, None);
        let alice = auth.verify(&auth.mint("alice", None, HOUR, now()).unwrap()).await.unwrap();
        assert_eq!(auth.user_in_path("alice"), Some(alice.user_id));
    }
    let auth = authenticator(None, None);
    let alice =
        auth.verify(&token(&claims(&serde_json::json!({"iss": "https://app.example"})))).await.unwrap();
    assert_eq!(
        auth.user_in_path("alice"),
        Some(alice.user_id),
        "an issuer that is not checked does not count"
    );
}

#[tokio::test]
async fn only_a_claim_that_is_true_makes_an_admin() {
    let auth = authenticator(None, None);
    let is_admin = async |more: serde_json::Value| auth.verify(&token(&claims(&more))).await.unwrap().admin;
    assert!(is_admin(serde_json::json!({"calls_admin": true})).await);
    for other in [
        serde_json::json!({}),
        serde_json::json!({"calls_admin": false}),
        serde_json::json!({"calls_admin": "true"}),
        serde_json::json!({"calls_admin": 1}),
        serde_json::json!({"calls_admin": [true]}),
        serde_json::json!({"admin": true}),
    ] {
        assert!(!is_admin(other.clone()).await, "{other}");
    }
    let without = Authenticator::new(AuthConfig::new(SignIn::Secret(SECRET.into()))).unwrap();
    let claims = claims(&serde_json::json!({"calls_admin": true, "": true}));
    assert!(!without.verify(&token(&claims)).await.unwrap().admin);
}

#[tokio::test]
async fn a_token_says_when_it_was_made_or_counts_as_old() {
    let auth = authenticator(None, None);
    let revoked_at = now();
    let issued = async |iat: serde_json::Value| {
        auth.verify(&token(&claims(&serde_json::json!({ "iat": iat })))).await.unwrap()
    };
    let seconds = revoked_at.timestamp();
    assert_eq!(issued(serde_json::json!(seconds)).await.issued_at.unwrap().timestamp(), seconds);
    assert!(
        issued(serde_json::json!(seconds)).await.is_revoked(revoked_at),
        "in the same second, but before"
    );
    assert!(issued(serde_json::json!(seconds - 1)).await.is_revoked(revoked_at));
    assert!(issued(serde_json::json!(-1e300)).await.is_revoked(revoked_at));
    assert!(issued(serde_json::Value::Null).await.is_revoked(revoked_at));
    assert!(!issued(serde_json::json!(seconds + 1)).await.is_revoked(revoked_at));
}

#[test]
fn the_service_token_is_the_apps_alone() {
    let auth = authenticator(None, None);
    assert!(auth.is_service(SERVICE_TOKEN));
    for wrong in ["", "a", &SERVICE_TOKEN[1..], &format!("{SERVICE_TOKEN} ")] {
        assert!(!auth.is_service(wrong), "{wrong}");
    }
    let without = Authenticator::new(AuthConfig::new(SignIn::Secret(SECRET.into()))).unwrap();
    assert!(!without.is_service(""));
    for weak in ["", " ", "guess me"] {
        let weak =
            AuthConfig { service_token: Some(weak.into()), ..AuthConfig::new(SignIn::Secret(SECRET.into())) };
        assert!(matches!(weak.check(), Err(AuthSetupError::WeakSecret(_))));
    }
    let short = AuthConfig::new(SignIn::Secret("twenty letters, or so".into()));
    assert_eq!(short.check().unwrap(), ["JWT_SECRET"]);
}

#[test]
fn published_keys_are_of_use_only_with_issuer_and_audience() {
    let sign_in = SignIn::Jwks { url: "https://id.example/keys".parse().unwrap() };
    let config = |issuer: Option<&str>, audience: Option<&str>| AuthConfig {
        issuer: issuer.map(str::to_owned),
        audience: audience.map(str::to_owned),
        ..AuthConfig::new(sign_in.clone())
    };
    for (issuer, audience) in [(None, None), (Some("i"), None), (None, Some("a"))] {
        let refused = Authenticator::new(config(issuer, audience));
        assert!(matches!(refused, Err(AuthSetupError::AnyIssuerOrAudience)));
    }
    let auth = Authenticator::new(config(Some("i"), Some("a"))).unwrap();
    let refused = auth.mint("alice", None, HOUR, now()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unsupported);
}

#[test]
fn a_claim_to_check_is_not_blank() {
    let config = || AuthConfig::new(SignIn::Secret(SECRET.into()));
    for blank in [String::new(), " ".to_owned()] {
        for config in [
            AuthConfig { issuer: Some(blank.clone()), ..config() },
            AuthConfig { audience: Some(blank.clone()), ..config() },
            AuthConfig { admin_claim: Some(blank.clone()), ..config() },
        ] {
            assert!(matches!(config.check(), Err(AuthSetupError::Blank(_))));
        }
    }
}

#[tokio::test]
async fn the_name_comes_from_the_first_claim_that_has_one() {
    let auth = authenticator(None, None);
    let name = async |more: serde_json::Value| auth.verify(&token(&claims(&more))).await.unwrap();
    assert_eq!(name(serde_json::json!({"name": "Alice", "email": "a@b.example"})).await.name, "Alice");
    assert_eq!(name(serde_json::json!({"name": "\u{202e}A\u{200b}da"})).await.name, "Ada");
    assert_eq!(
        name(serde_json::json!({"name": "\u{200b}", "email": "a@b.example"})).await.name,
        "a@b.example"
    );
    assert_eq!(name(serde_json::json!({"name": " ", "preferred_username": "ali"})).await.name, "ali");
    assert_eq!(name(serde_json::json!({"email": "a@b.example"})).await.name, "a@b.example");
    assert_eq!(name(serde_json::json!({"name": "\u{202e}A\u{200b}da"})).await.name, "Ada");
    assert_eq!(
        name(serde_json::json!({"name": "\u{200b}", "email": "a@b.example"})).await.name,
        "a@b.example"
    );
    let nameless = name(serde_json::json!({})).await;
    assert_eq!(nameless.name, nameless.user_id.to_string()[..8]);
}

#[tokio::test]
async fn a_token_must_not_have_expired() {
    let auth = authenticator(None, None);
    let old = auth.mint("alice", None, HOUR, now() - HOUR * 2).unwrap();
    assert_eq!(auth.verify(&old).await, Err(AuthError::Expired));
    let endless = token(&serde_json::json!({"sub": "alice"}));
    assert_eq!(auth.verify(&endless).await, Err(AuthError::Invalid));
    let early = token(&serde_json::json!({"sub": "alice", "exp": i64::MAX, "nbf": now().timestamp() + 3600}));
    assert_eq!(auth.verify(&early).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn unsigned_foreign_and_malformed_tokens_are_refused() {
    let auth = authenticator(None, None);
    let exp = now().timestamp() + 60;
    let claims = serde_json::json!({"sub": "alice", "exp": exp});
    let foreign =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(b"other"));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
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
        assert_eq!(auth.verify(&bad).await, Err(AuthError::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn issuer_and_audience_are_checked_when_configured() {
    let auth = authenticator(Some("https://app.example"), Some("calls"));
    assert!(auth.verify(&auth.mint("alice", None, HOUR, now()).unwrap()).await.is_ok());
    let exp = now().timestamp() + 60;
    for (iss, aud) in [("https://other.example", "calls"), ("https://app.example", "mail")] {
        let other = token(&serde_json::json!({"sub": "alice", "exp": exp, "iss": iss, "aud": aud}));
        assert_eq!(auth.verify(&other).await, Err(AuthError::Invalid));
    }
    let neither = token(&serde_json::json!({"sub": "alice", "exp": exp}));
    assert_eq!(auth.verify(&neither).await, Err(AuthError::Invalid));
}

#[tokio::test]
async fn an_audience_counts_only_when_one_is_configured() {
    let for_others = token(&claims(&serde_json::json!({"aud": "mail"})));
    assert!(authenticator(None, None).verify(&for_others).await.is_ok());
    assert_eq!(authenticator(None, Some("calls")).verify(&for_others).await, Err(AuthError::Invalid));
    let for_both = token(&claims(&serde_json::json!({"aud": ["mail", "calls"]})));
    assert!(authenticator(None, Some("calls")).verify(&for_both).await.is_ok());
}

#[tokio::test]
async fn a_token_with_demands_that_are_not_understood_is_refused() {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(&serde_json::json!({})), &key).unwrap();
    assert_eq!(authenticator(None, None).verify(&token).await, Err(AuthError::Invalid));
}
