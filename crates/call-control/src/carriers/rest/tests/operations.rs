//! Operations without a token.

use super::*;
use crate::ice::IceServers;

#[tokio::test]
async fn what_anyone_may_ask() {
    let api = Api::new().await;
    assert_eq!(api.get("/health/live", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get("/health/ready", "").await.status, StatusCode::NO_CONTENT);
    let capabilities = api.get("/rtp-capabilities", "").await;
    assert!(capabilities.body["codecs"].is_array());
    assert!(capabilities.headers.contains_key(header::CACHE_CONTROL));
    api.get("/ice-servers", "").await.assert_problem(401, "unauthorized");
    let (_, ada) = api.user("Ada").await;
    assert_eq!(api.get("/ice-servers", &ada).await.body, json!({"iceServers": []}));
    assert_eq!(api.get("/openapi.json", "").await.body["openapi"], "3.1.0");
    let docs = api.get("/docs/", "").await;
    assert_eq!(docs.status, StatusCode::OK);
    let policy = docs.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn a_server_without_its_database_is_alive_and_not_ready() {
    let api = Api::new().await;
    api.world.control.store.close().await;
    let down = api.get("/health/ready", "").await;
    down.assert_problem(503, "unavailable");
    assert!(down.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(api.get("/health/live", "").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn nobody_stores_an_answer_that_holds_a_secret() {
    let data = tempfile::tempdir().unwrap();
    let api = Api::with(SignIn::Dev { data_dir: data.path().to_owned() }).await;
    let sign_in = Request::post("/auth/dev-token")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .extension(ConnectInfo("127.0.0.1:5000".parse::<SocketAddr>().unwrap()));
    let signed_in = api.send(sign_in.body(Body::from(r#"{"name":"Ada"}"#)).unwrap()).await;
    let token = signed_in.body["token"].as_str().unwrap();
    let servers = api.get("/ice-servers", token).await;
    let refused = api.get("/ice-servers", "nonsense").await;
    for answer in [&signed_in, &servers, &refused] {
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    }
    assert_eq!(servers.status, StatusCode::OK);
}

#[tokio::test]
async fn who_was_signed_out_gets_no_relay() {
    let api = Api::configured(|config| {
        config.auth.service_token = Some(SERVICE.into());
        config.ice_servers = IceServers {
            urls: vec!["turn:turn.example:3478".to_owned()],
            secret: Some("a secret that only the relay knows".into()),
        };
    })
    .await;
    let token = Api::token_of("alice", now() - Duration::from_secs(60), &json!({"name": "Alice"}));
    let servers = api.get("/ice-servers", &token).await.body;
    let username = servers["iceServers"][0]["username"].as_str().unwrap();
    let until: i64 = username.split(':').next().unwrap().parse().unwrap();
    assert!((now().timestamp()..=now().timestamp() + 3600).contains(&until));
    api.ask("DELETE", "/users/alice/sessions", SERVICE, None).await;
    api.get("/ice-servers", &token).await.assert_problem(401, "unauthorized");
}
