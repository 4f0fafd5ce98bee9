//! The audit log, and the end of stale calls.

use super::*;

#[tokio::test]
async fn the_log_says_who_did_what_to_whom_and_from_where() {
    let api = Api::configured(|config| {
        config.auth.service_token = Some(SERVICE.into());
        config.trusted_proxies = vec!["10.0.0.1".parse().unwrap()];
    })
    .await;
    let (ada, bob, group, call) = api.call().await;
    let join = Request::post(format!("{call}/join")).header("x-forwarded-for", "127.0.0.1, 198.51.100.7");
    assert_eq!(api.ask_from("10.0.0.1", join, &bob).await.status, StatusCode::OK);
    let end = Request::patch(format!("{call}/end")).header("x-forwarded-for", "198.51.100.7");
    assert_eq!(api.ask_from("203.0.113.9", end, &ada).await.status, StatusCode::OK);

    let entries = async |query: &str| {
        let page = api.get(&format!("/audit?{query}"), SERVICE).await;
        page.body["items"].as_array().unwrap_or_else(|| panic!("{query}: {}", page.body)).clone()
    };
    let joined = &entries("action=CALL_JOINED").await[0];
    let (bob_id, call_id) = (api.id_of(&bob).await, call.rsplit('/').next().unwrap());
    assert_eq!((&joined["actor"], &joined["actorId"]), (&json!("user"), &json!(bob_id)));
    assert_eq!((&joined["groupId"], &joined["callId"]), (&json!(group), &json!(call_id)));
    assert_eq!(joined["address"], "198.51.100.7");
    assert_eq!(entries("action=CALL_ENDED").await[0]["address"], "203.0.113.9");

    let all = entries("").await;
    let actions: Vec<_> = all.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    let position = |action| actions.iter().position(|found| *found == action).unwrap();
    assert!(position("CALL_ENDED") < position("CALL_JOINED"));
    assert!(position("CALL_STARTED") < position("MEMBER_ADDED"));
    assert_eq!(entries(&format!("groupId={group}")).await.len(), all.len());
    let of_call = entries(&format!("callId={call_id}")).await;
    assert!(!of_call.is_empty() && of_call.iter().all(|entry| entry["callId"] == call_id));
    let of_bob = entries(&format!("userId={bob_id}")).await;
    assert!(of_bob.iter().any(|entry| entry["action"] == "MEMBER_ADDED"));
    assert!(of_bob.iter().all(|entry| entry["actorId"] == bob_id || entry["subjectId"] == bob_id));
    let since = joined["createdAt"].as_str().unwrap();
    assert!(entries(&format!("from={since}")).await.contains(joined));
    assert!(!entries(&format!("to={since}")).await.contains(joined));
    assert_eq!(entries(&format!("groupId={}", Uuid::new_v4())).await, [Value::Null; 0]);
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let api = Api::of_an_app().await;
    api.call().await;
    let whole = api.get("/audit", SERVICE).await.body["items"].as_array().unwrap().clone();
    let (mut read, mut path) = (Vec::new(), "/audit?limit=1".to_owned());
    loop {
        let page = api.get(&path, SERVICE).await.body;
        read.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/audit?limit=1&cursor={cursor}");
    }
    assert!(whole.len() > 2);
    assert_eq!(read, whole);
    for bad in ["limit=0", "limit=101", "cursor=nonsense", "action=NOTHING", "callId=x", "from=x"] {
        api.get(&format!("/audit?{bad}"), SERVICE).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn only_admins_read_the_log_and_sweep() {
    let api = Api::configured(|config| config.auth.admin_claim = Some("callsAdmin".to_owned())).await;
    let (_, ada) = api.user("Ada").await;
    let admin = Api::token_of("root", now(), &json!({"callsAdmin": true}));
    let nearly = Api::token_of("root", now(), &json!({"callsAdmin": "true"}));
    for token in [&ada, &nearly] {
        api.get("/audit", token).await.assert_problem(403, "forbidden");
        api.ask("POST", "/admin/sweep", token, None).await.assert_problem(403, "forbidden");
    }
    assert_eq!(api.get("/audit", &admin).await.status, StatusCode::OK);
    assert_eq!(api.ask("POST", "/admin/sweep", &admin, None).await.body, json!({"ended": 0}));
    api.get("/audit", "").await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_sweep_ends_the_calls_that_are_too_old() {
    let api = Api::configured(|config| {
        config.max_call_age = Duration::ZERO;
        config.auth.service_token = Some(SERVICE.into());
    })
    .await;
    let (ada, _, _, call) = api.call().await;
    assert_eq!(api.ask("POST", "/admin/sweep", SERVICE, None).await.body, json!({"ended": 1}));
    let over = api.get(&call, &ada).await.body;
    assert_eq!(over["endReason"], "timeout");
    assert_eq!(api.ask("POST", "/admin/sweep", SERVICE, None).await.body, json!({"ended": 0}));
}
