//! A call over REST, and its record.

use super::*;

#[tokio::test]
async fn a_call_from_start_to_history() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let created = api.post("/calls", &ada, json!({"groupId": group, "metadata": {"title": "Standup"}})).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let mut fields: Vec<_> = created.body.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "createdAt",
            "duration",
            "durationSeconds",
            "endReason",
            "endedAt",
            "epoch",
            "errorMessage",
            "groupId",
            "id",
            "initiatedById",
            "locked",
            "maxParticipants",
            "metadata",
            "participants",
            "recording",
            "seq",
            "startedAt",
            "status",
            "type",
            "updatedAt",
            "webrtcRoomId",
        ]
    );
    assert_eq!((&created.body["status"], &created.body["type"]), (&json!("waiting"), &json!("video")));
    assert!(created.body["webrtcRoomId"].is_string());
    assert!(created.body["startedAt"].is_null());
    let id = created.body["id"].as_str().unwrap();

    let second = api.post("/calls", &bob, json!({"groupId": group})).await;
    second.assert_problem(409, "call_exists");
    assert_eq!(second.body["callId"], id);

    let joined = api.ask("POST", &format!("/calls/{id}/join"), &bob, None).await;
    assert_eq!((joined.status, &joined.body["status"]), (StatusCode::OK, &json!("active")));
    let active = api.get(&format!("/calls/group/{group}/active"), &bob).await;
    assert_eq!(active.body["participants"].as_array().unwrap().len(), 2);
    assert_eq!(api.get("/calls/user/active", &ada).await.body["items"][0]["id"], id);
    let left = api.post(&format!("/calls/{id}/leave"), &bob, json!({"callId": id})).await;
    assert_eq!(left.body["participants"].as_array().unwrap().len(), 1);
    let patched =
        api.ask("PATCH", &format!("/calls/{id}/metadata"), &ada, Some(json!({"title": null, "n": 1}))).await;
    assert_eq!(patched.body["metadata"], json!({"n": 1}));

    let ended = api.ask("PATCH", &format!("/calls/{id}/end"), &ada, Some(json!({"reason": "error"}))).await;
    assert_eq!((&ended.body["status"], &ended.body["endReason"]), (&json!("ended"), &json!("error")));
    assert_eq!(ended.body["maxParticipants"], 2);
    let again = api.ask("PATCH", &format!("/calls/{id}/end"), &ada, None).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &ended.body));
    api.ask("POST", &format!("/calls/{id}/join"), &bob, None).await.assert_problem(409, "call_ended");
    api.get(&format!("/calls/group/{group}/active"), &ada).await.assert_problem(404, "not_found");

    assert_eq!(api.get(&format!("/calls/{id}"), &bob).await.body, ended.body);
    let history = api.get(&format!("/calls/group/{group}?status=ended&limit=1"), &bob).await;
    assert_eq!(history.body, json!({"items": [ended.body]}));
    let legs = api.get(&format!("/calls/{id}/legs"), &ada).await.body;
    let reasons: Vec<_> = legs["items"].as_array().unwrap().iter().map(|leg| leg["reason"].clone()).collect();
    assert_eq!(reasons, [json!("call-ended"), json!("left")]);
    let events = api.get(&format!("/calls/{id}/events?limit=2"), &ada).await.body;
    assert_eq!(
        (events["items"][0]["kind"].clone(), events["nextCursor"].clone()),
        (json!("call-created"), json!("2"))
    );
}

#[tokio::test]
async fn the_history_of_a_group_is_filtered_and_paged() {
    let api = Api::new().await;
    let (ada, bob, group, first) = api.call().await;
    api.ask("POST", &format!("{first}/join"), &bob, None).await;
    api.ask("PATCH", &format!("{first}/end"), &ada, None).await;
    let second = api.post("/calls", &ada, json!({"groupId": group, "type": "audio"})).await.body;
    let first = api.get(&first, &ada).await.body;

    let history = format!("/calls/group/{group}");
    let found = async |query: &str| {
        let page = api.get(&format!("{history}?{query}"), &bob).await;
        let items = page.body["items"].as_array().unwrap_or_else(|| panic!("{query}: {}", page.body));
        items.iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first_id, second_id) = (first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    assert_eq!(found("").await, [second_id, first_id]);
    assert_eq!(found("status=waiting").await, [second_id]);
    assert_eq!(found("type=video").await, [first_id]);
    assert_eq!(found(&format!("member={}", api.id_of(&bob).await)).await, [first_id]);
    let started = second["createdAt"].as_str().unwrap();
    assert_eq!(found(&format!("from={started}")).await, [second_id]);
    assert_eq!(found(&format!("to={started}")).await, [first_id]);
    assert_eq!(found(&format!("type=audio&to={started}")).await, [""; 0]);

    let page = api.get(&format!("{history}?limit=1"), &ada).await.body;
    let cursor = page["nextCursor"].as_str().unwrap();
    assert_eq!(found(&format!("limit=1&cursor={cursor}")).await, [first_id]);
    for bad in ["from=yesterday", "to=-4713-01-01T00:00:00Z", "member=bob", "type=smoke"] {
        api.get(&format!("{history}?{bad}"), &ada).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_call_that_is_over_cannot_be_left_by_who_was_never_there() {
    let api = Api::new().await;
    let (ada, bob, _, call) = api.call().await;
    api.ask("POST", &format!("{call}/leave"), &bob, None).await.assert_problem(409, "not_in_call");
    assert_eq!(api.ask("POST", &format!("{call}/leave"), &ada, None).await.body["status"], "cancelled");
    assert_eq!(api.ask("POST", &format!("{call}/leave"), &ada, None).await.status, StatusCode::OK);
    api.ask("POST", &format!("{call}/leave"), &bob, None).await.assert_problem(409, "not_in_call");
    assert_eq!(api.get(&format!("{call}/participants"), &bob).await.body, json!({"items": []}));
}

#[tokio::test]
async fn a_recording_is_started_paused_and_stopped() {
    let api = Api::new().await;
    let (ada, bob, group) = api.team().await;
    let call = api.post("/calls", &ada, json!({"groupId": group})).await.body["id"].clone();
    let of_call = format!("/calls/{}/recordings", call.as_str().unwrap());
    assert_eq!(api.post(&of_call, &bob, json!({})).await.body["code"], "forbidden");
    let unknown = api.post(&of_call, &ada, json!({"mode": "smell"})).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let started = api.post(&of_call, &ada, json!({"mode": "audio", "consent": "ask"})).await;
    assert_eq!(started.status, StatusCode::CREATED);
    let path = started.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(path, format!("/recordings/{}", started.body["id"].as_str().unwrap()));
    assert_eq!((&started.body["mode"], &started.body["consent"]), (&json!("audio"), &json!("ask")));
    let again = api.post(&of_call, &ada, json!({})).await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("already_recording")));

    let (pause, stop) = (format!("{path}/pause"), format!("{path}/stop"));
    for (paused, status) in [(true, "paused"), (true, "paused"), (false, "recording")] {
        let answer = api.ask("PATCH", &pause, &ada, Some(json!({"paused": paused}))).await;
        assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!(status)));
    }
    assert_eq!(api.ask("PATCH", &stop, &bob, None).await.body["code"], "forbidden");
    for _ in 0..2 {
        let stopped = api.ask("PATCH", &stop, &ada, None).await;
        assert_eq!((stopped.status, &stopped.body["endReason"]), (StatusCode::OK, &json!("stopped")));
    }
    let late = api.ask("PATCH", &pause, &ada, Some(json!({"paused": true}))).await;
    assert_eq!((late.status, &late.body["code"]), (StatusCode::CONFLICT, &json!("not_recording")));
    let nowhere = api.ask("PATCH", &format!("/recordings/{group}/stop"), &ada, None).await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}
