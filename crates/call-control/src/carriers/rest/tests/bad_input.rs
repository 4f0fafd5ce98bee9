//! Malformed requests.

use super::*;

#[tokio::test]
async fn bodies_and_parameters_that_do_not_fit_get_a_problem() {
    let api = Api::new().await;
    let (ada, _, group) = api.team().await;
    for body in [
        json!([]),
        json!({}),
        json!({"groupId": 7}),
        json!({"groupId": "x"}),
        json!({"groupId": group, "type": "smoke"}),
        json!({"groupId": group, "metadata": []}),
        json!({"groupId": group, "metadata": {"a": "\u{0}"}}),
    ] {
        api.post("/calls", &ada, body).await.assert_problem(400, "bad_request");
    }
    let large = json!({"groupId": group, "metadata": {"a": "x".repeat(17 * 1024)}});
    api.post("/calls", &ada, large).await.assert_problem(413, "metadata_too_large");
    let huge = json!({"groupId": group, "metadata": {"a": "x".repeat(70 * 1024)}});
    api.post("/calls", &ada, huge).await.assert_problem(413, "too_large");
    for body in ["{", "nonsense", ""] {
        let request = Request::post("/calls")
            .header(header::AUTHORIZATION, format!("Bearer {ada}"))
            .header(header::CONTENT_TYPE, "application/json");
        api.send(request.body(Body::from(body)).unwrap()).await.assert_problem(400, "bad_request");
    }
    let plain = Request::post("/calls").header(header::AUTHORIZATION, format!("Bearer {ada}"));
    let plain = plain.header(header::CONTENT_TYPE, "text/plain").body(Body::from("{}")).unwrap();
    api.send(plain).await.assert_problem(415, "unsupported_media_type");
    for query in ["limit=0", "limit=101", "limit=x", "cursor=nonsense", "status=nonsense"] {
        api.get(&format!("/calls/group/{group}?{query}"), &ada).await.assert_problem(400, "bad_request");
    }
    for name in [json!(""), json!("  "), json!("a\nb"), json!("x".repeat(101)), json!(7), json!(null)] {
        api.post("/groups", &ada, json!({ "name": name })).await.assert_problem(400, "bad_request");
    }

    let call = api.post("/calls", &ada, json!({"groupId": group})).await.body;
    let path = format!("/calls/{}", call["id"].as_str().unwrap());
    let other = json!({"callId": Uuid::new_v4()});
    for (method, verb) in [("POST", "/join"), ("POST", "/leave"), ("PATCH", "/end")] {
        api.ask(method, &format!("{path}{verb}"), &ada, Some(other.clone()))
            .await
            .assert_problem(400, "bad_request");
    }
    let reason = json!({"reason": "last-left"});
    api.ask("PATCH", &format!("{path}/end"), &ada, Some(reason)).await.assert_problem(400, "bad_request");
    api.ask("PATCH", &format!("{path}/metadata"), &ada, None)
        .await
        .assert_problem(415, "unsupported_media_type");
    let leg = json!({"legId": Uuid::new_v4()});
    api.post(&format!("{path}/leave"), &ada, leg).await.assert_problem(404, "not_found");
    assert_eq!(api.get(&path, &ada).await.body["status"], "waiting");
}

#[tokio::test]
async fn unknown_paths_and_methods_get_a_problem() {
    let api = Api::new().await;
    api.get("/nothing/here", "").await.assert_problem(404, "not_found");
    api.ask("DELETE", "/calls", "", None).await.assert_problem(405, "method_not_allowed");
    api.ask("PUT", "/users/me", "", None).await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_member_that_no_body_has_is_a_mistake() {
    let api = Api::of_an_app().await;
    let (ada, bob, group, call) = api.call().await;
    let (bob_id, producer) = (api.id_of(&bob).await, Uuid::new_v4());
    let (eve_id, _) = api.user("Eve").await;
    let ada = ada.as_str();
    for (method, path, token, body) in [
        ("POST", "/calls".to_owned(), ada, json!({"groupId": group})),
        ("POST", format!("{call}/join"), ada, json!({})),
        ("POST", format!("{call}/leave"), ada, json!({})),
        ("PATCH", format!("{call}/end"), ada, json!({"reason": "normal"})),
        ("PATCH", format!("{call}/lock"), ada, json!({"locked": true})),
        ("PATCH", format!("{call}/participants/{bob_id}"), ada, json!({"canSubscribe": false})),
        ("POST", format!("{call}/producers/{producer}/mute"), ada, json!({"force": true})),
        ("POST", format!("/recordings/{producer}/links"), ada, json!({"fileId": producer})),
        ("POST", "/groups".to_owned(), ada, json!({"name": "Crew"})),
        ("PATCH", format!("/groups/{group}"), ada, json!({"name": "Crew"})),
        ("POST", format!("/groups/{group}/members"), ada, json!({"userId": eve_id})),
        ("PATCH", format!("/groups/{group}/members/{bob_id}"), ada, json!({"role": "admin"})),
        ("PUT", "/users/alice".to_owned(), SERVICE, json!({"name": "Alice"})),
        ("PUT", "/groups/crew".to_owned(), SERVICE, json!({"name": "Crew"})),
        ("PUT", format!("/groups/{group}/members/alice"), SERVICE, json!({"role": "member"})),
    ] {
        let mut wrong = body;
        wrong.as_object_mut().unwrap().insert("surprise".to_owned(), json!(1));
        api.ask(method, &path, token, Some(wrong)).await.assert_problem(400, "bad_request");
    }
    let unchanged = api.get(&call, ada).await.body;
    assert_eq!((&unchanged["status"], &unchanged["locked"]), (&json!("waiting"), &json!(false)));
}

#[tokio::test]
async fn an_id_of_the_app_has_1_to_255_bytes() {
    let api = Api::of_an_app().await;
    let (fits, long) = ("x".repeat(255), "x".repeat(256));
    let name = Some(json!({"name": "Alice"}));
    assert_eq!(api.ask("PUT", &format!("/users/{fits}"), SERVICE, name.clone()).await.status, StatusCode::OK);
    for path in [format!("/users/{long}"), format!("/groups/{long}"), format!("/groups/crew/members/{long}")]
    {
        api.ask("PUT", &path, SERVICE, name.clone()).await.assert_problem(400, "bad_request");
    }
    api.ask("DELETE", &format!("/users/{long}/sessions"), SERVICE, None)
        .await
        .assert_problem(400, "bad_request");
}
