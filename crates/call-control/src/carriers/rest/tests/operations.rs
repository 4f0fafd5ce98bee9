//! Operations without a token.

use super::*;

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
    let ice_servers = api.get("/ice-servers", &ada).await;
    assert_eq!(ice_servers.body, json!({"iceServers": []}));
    assert_eq!(ice_servers.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(api.get("/openapi.json", "").await.body["openapi"], "3.1.0");
    let docs = api.get("/docs/", "").await;
    assert_eq!(docs.status, StatusCode::OK);
    assert!(docs.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
    api.world.control.store.close().await;
    let down = api.get("/health/ready", "").await;
    down.assert_problem(503, "unavailable");
    assert!(down.headers.contains_key(header::RETRY_AFTER));
}
