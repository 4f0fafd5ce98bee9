//! Moderation over REST.

use super::*;

#[tokio::test]
async fn a_locked_call_takes_only_whom_a_moderator_admits() {
    let api = Api::new().await;
    let (ada, bob, _, call) = api.call().await;
    let (lock, join) = (format!("{call}/lock"), format!("{call}/join"));
    api.ask("PATCH", &lock, &bob, Some(json!({"locked": true}))).await.assert_problem(403, "forbidden");
    assert_eq!(api.ask("PATCH", &lock, &ada, Some(json!({"locked": true}))).await.body["locked"], true);
    api.ask("POST", &join, &bob, None).await.assert_problem(403, "call_locked");
    let bobs = format!("{call}/participants/{}", api.id_of(&bob).await);
    assert_eq!(api.ask("PATCH", &bobs, &ada, Some(json!({"admitted": true}))).await.status, StatusCode::OK);
    assert_eq!(api.ask("POST", &join, &bob, None).await.body["status"], "active");
}

#[tokio::test]
async fn whoever_is_removed_stays_out_until_admitted() {
    let api = Api::new().await;
    let (ada, bob, _, call) = api.call().await;
    let join = format!("{call}/join");
    let (adas, bobs) = (
        format!("{call}/participants/{}", api.id_of(&ada).await),
        format!("{call}/participants/{}", api.id_of(&bob).await),
    );
    api.ask("DELETE", &bobs, &ada, None).await.assert_problem(409, "not_in_call");
    api.ask("POST", &join, &bob, None).await;
    api.ask("DELETE", &adas, &bob, None).await.assert_problem(403, "forbidden");
    let removed = api.ask("DELETE", &bobs, &ada, None).await;
    assert_eq!(removed.body["participants"].as_array().unwrap().len(), 1);
    api.ask("POST", &join, &bob, None).await.assert_problem(403, "removed");
    api.ask("PATCH", &bobs, &ada, Some(json!({"admitted": true}))).await;
    assert_eq!(api.ask("POST", &join, &bob, None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_people_may_do_is_listed_with_them() {
    let api = Api::new().await;
    let (ada, bob, _, call) = api.call().await;
    api.ask("POST", &format!("{call}/join"), &bob, None).await;
    let bob_id = api.id_of(&bob).await;
    let bobs = format!("{call}/participants/{bob_id}");
    let only_mic = json!({"canPublish": ["mic"], "canSubscribe": false});
    assert_eq!(api.ask("PATCH", &bobs, &ada, Some(only_mic)).await.status, StatusCode::OK);
    let listed = api.get(&format!("{call}/participants"), &bob).await.body;
    let bob_there =
        listed["items"].as_array().unwrap().iter().find(|person| person["userId"] == bob_id).unwrap();
    assert_eq!(bob_there["name"], "Bob");
    assert_eq!(bob_there["legs"].as_array().unwrap().len(), 1);
    assert_eq!((&bob_there["canPublish"], &bob_there["canSubscribe"]), (&json!(["mic"]), &json!(false)));

    api.ask("PATCH", &bobs, &ada, Some(json!({"canPublish": ["smoke"]})))
        .await
        .assert_problem(400, "bad_request");
    let strangers = format!("{call}/participants/{}", Uuid::new_v4());
    api.ask("PATCH", &strangers, &ada, Some(json!({}))).await.assert_problem(404, "not_found");
    api.ask("DELETE", &strangers, &ada, None).await.assert_problem(404, "not_found");
    let (_, eve) = api.user("Eve").await;
    api.get(&format!("{call}/participants"), &eve).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_call_that_is_over_cannot_be_moderated() {
    let api = Api::new().await;
    let (ada, bob, _, call) = api.call().await;
    let bobs = format!("{call}/participants/{}", api.id_of(&bob).await);
    let mute = format!("{call}/producers/{}/mute", Uuid::new_v4());
    api.ask("POST", &mute, &ada, None).await.assert_problem(404, "not_found");
    api.ask("POST", &mute, &bob, None).await.assert_problem(403, "forbidden");
    api.ask("PATCH", &format!("{call}/end"), &ada, None).await;
    for (method, path, body) in [
        ("PATCH", format!("{call}/lock"), Some(json!({"locked": true}))),
        ("PATCH", bobs.clone(), Some(json!({"canSubscribe": false}))),
        ("DELETE", bobs, None),
        ("POST", mute, None),
    ] {
        api.ask(method, &path, &ada, body).await.assert_problem(409, "call_ended");
    }
}

#[tokio::test]
async fn an_initiator_who_was_removed_moderates_over_rest_no_more() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let call = api.post("/calls", &bob, json!({"groupId": group})).await.body;
    let call = format!("/calls/{}", call["id"].as_str().unwrap());
    api.ask("POST", &format!("{call}/join"), &ada, None).await;
    let (adas, bobs) = (
        format!("{call}/participants/{}", api.id_of(&ada).await),
        format!("{call}/participants/{}", api.id_of(&bob).await),
    );
    assert_eq!(api.ask("DELETE", &bobs, &ada, None).await.status, StatusCode::OK);
    for (method, path, body) in [
        ("PATCH", format!("{call}/lock"), Some(json!({"locked": true}))),
        ("PATCH", adas, Some(json!({"canSubscribe": false}))),
        ("PATCH", format!("{call}/metadata"), Some(json!({"title": "x"}))),
        ("PATCH", format!("{call}/end"), None),
        ("POST", format!("{call}/producers/{}/mute", Uuid::new_v4()), None),
    ] {
        api.ask(method, &path, &bob, body).await.assert_problem(403, "forbidden");
    }
    api.ask("POST", &format!("{call}/join"), &bob, None).await.assert_problem(403, "removed");
}
