//! Size limits and rate limits.

use super::*;

/// Repeats a request until the answer is 429, at most `most` times.
async fn refused_within(most: usize, mut ask: impl AsyncFnMut() -> Answer) -> Option<Answer> {
    for _ in 0..most {
        let answer = ask().await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Some(answer);
        }
    }
    None
}

#[tokio::test]
async fn a_user_who_asks_too_often_is_told_how_long_to_wait() {
    let api = Api::configured(|config| {
        config.limits.requests_per_user = 1;
        config.auth.service_token = Some(SERVICE.into());
    })
    .await;
    let (_, ada) = api.user("Ada").await;
    let refused = refused_within(1_000, async || api.get("/users/me", &ada).await).await.unwrap();
    refused.assert_problem(429, "rate_limited");
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    let (_, bob) = api.user("Bob").await;
    assert_eq!(api.get("/users/me", &bob).await.status, StatusCode::OK);
    let app = refused_within(20, async || api.get("/audit", SERVICE).await).await;
    assert!(app.is_none());
}

#[tokio::test]
async fn an_address_cannot_try_many_tokens() {
    let api = Api::configured(|config| {
        config.limits.requests_per_address = 1;
        config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    })
    .await;
    let (_, ada) = api.user("Ada").await;
    let guess = async |peer: &str, token: &str| api.ask_from(peer, Request::get("/users/me"), token).await;
    let refused = refused_within(1_000, async || guess("203.0.113.7", "a guess").await).await.unwrap();
    refused.assert_problem(429, "rate_limited");
    guess("203.0.113.7", &ada).await.assert_problem(429, "rate_limited");
    assert_eq!(guess("203.0.113.8", &ada).await.status, StatusCode::OK);
    assert_eq!(
        api.ask_from("203.0.113.7", Request::get("/health/live"), "").await.status,
        StatusCode::NO_CONTENT
    );
    assert!(refused_within(20, async || guess("127.0.0.1", &ada).await).await.is_none());

    let by_proxy = async |client: &str| {
        let request = Request::get("/users/me").header("x-forwarded-for", client);
        api.ask_from("10.0.0.1", request, &ada).await
    };
    assert!(refused_within(1_000, async || by_proxy("127.0.0.1, 198.51.100.1").await).await.is_some());
    assert_eq!(by_proxy("198.51.100.2").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_full_group_and_a_full_call_take_nobody_else() {
    let api = Api::configured(|config| {
        config.limits.members_per_group = 2;
        config.rules.max_participants = 1;
        config.auth.service_token = Some(SERVICE.into());
    })
    .await;
    let (_, bob, group, call) = api.call().await;
    api.ask("POST", &format!("{call}/join"), &bob, None).await.assert_problem(422, "too_many_participants");
    let (eve, _) = api.user("Eve").await;
    let members = format!("/groups/{group}/members");
    api.post(&members, SERVICE, json!({"userId": eve})).await.assert_problem(422, "too_many_members");
    let put = api.ask("PUT", &format!("{members}/eve"), SERVICE, Some(json!({}))).await;
    put.assert_problem(422, "too_many_members");
}

#[tokio::test]
async fn bodies_and_metadata_are_bounded_as_configured() {
    let api = Api::configured(|config| {
        config.limits.body_bytes = 1_000;
        config.rules.max_metadata_bytes = 100;
    })
    .await;
    let (ada, _, group, call) = api.call().await;
    let metadata = format!("{call}/metadata");
    let patch =
        async |size: usize| api.ask("PATCH", &metadata, &ada, Some(json!({"a": "x".repeat(size)}))).await;
    assert_eq!(patch(90).await.status, StatusCode::OK);
    patch(101).await.assert_problem(413, "metadata_too_large");
    patch(1_000).await.assert_problem(413, "too_large");
    let more = json!({"b": "x".repeat(50)});
    api.ask("PATCH", &metadata, &ada, Some(more)).await.assert_problem(413, "metadata_too_large");
    assert_eq!(api.get(&call, &ada).await.body["metadata"], json!({"a": "x".repeat(90)}));
    let long = json!({"name": "x".repeat(1_000)});
    api.ask("PATCH", &format!("/groups/{group}"), &ada, Some(long)).await.assert_problem(413, "too_large");
}
