//! Repeated requests.

use super::*;

async fn create(api: &Api, token: &str, group: &str, keys: &[&str], more: &Value) -> Answer {
    let mut body = json!({ "groupId": group });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut request = Request::post("/calls")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    for key in keys {
        request = request.header("Idempotency-Key", *key);
    }
    api.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_starts_nothing() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let first = create(&api, &ada, &group, &["key-1"], &json!({})).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let call = format!("/calls/{}", first.body["id"].as_str().unwrap());
    api.ask("PATCH", &format!("{call}/end"), &ada, None).await;

    let again = create(&api, &ada, &group, &["key-1"], &json!({})).await;
    assert_eq!((again.status, again.body), (StatusCode::CREATED, first.body));
    assert_eq!(
        api.get(&format!("/calls/group/{group}"), &ada).await.body["items"].as_array().unwrap().len(),
        1
    );
    let other = create(&api, &ada, &group, &["key-1"], &json!({"type": "audio"})).await;
    other.assert_problem(422, "idempotency_mismatch");
    assert_eq!(create(&api, &bob, &group, &["key-1"], &json!({})).await.status, StatusCode::CREATED);
    create(&api, &ada, &group, &["key-2"], &json!({})).await.assert_problem(409, "call_exists");
}

#[tokio::test]
async fn a_key_is_one_header_of_up_to_255_visible_characters() {
    let api = Api::new().await;
    let (ada, _, group) = api.team().await;
    let (fits, long) = ("k".repeat(255), "k".repeat(256));
    for keys in [&[""][..], &["a b"], &["caf\u{e9}"], &[&long], &["a", "b"], &["a", "a"]] {
        create(&api, &ada, &group, keys, &json!({})).await.assert_problem(400, "bad_request");
    }
    assert_eq!(create(&api, &ada, &group, &[&fits], &json!({})).await.status, StatusCode::CREATED);
}
